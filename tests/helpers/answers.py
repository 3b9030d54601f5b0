"""Simulated studies of known truth: right and wrong answers of several calibrations to the same questions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from polyprune.report.measured import ACCURACY, Block, Column

BLOCK: Block = ("tiny", "wanda", "0.50")
CALIBRATIONS = ("ar", "de", "en", "ar-de-en")
"""Of `study`."""

SPREAD = 2.25
"""Variance of an answer on the probit scale: of a question, of a question and calibration, of the rest."""


def simulated(
    rng: np.random.Generator,
    n: int = 60,
    draws: int = 3,
    share: float = 0.4,
    by_draw: float = 0.2,
    effect: float = 0.0,
    passage: int = 1,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Values by calibration, "0" to "6", and groups; the first is better by `effect` on the probit scale.

    Questions differ in difficulty, `passage` neighbours share theirs and how each calibration does on them.
    """
    groups = np.repeat(np.arange(n // passage), passage)
    level = stats.norm.ppf(share) * np.sqrt(SPREAD + by_draw**2)
    difficulty = rng.standard_normal(n // passage)[groups]
    values = {}
    for index in range(7):
        of_group = 0.5 * rng.standard_normal(n // passage)[groups]
        of_draw = by_draw * rng.standard_normal(draws)
        noise = rng.standard_normal((n, draws))
        latent = level + (difficulty + of_group)[:, None] + of_draw + noise + effect * (index == 0)
        values[str(index)] = (latent > 0).astype(float)
    return values, groups


def true_effect(share: float, by_draw: float, effect: float) -> float:
    """By how much the first is right more often."""
    return float(stats.norm.cdf(stats.norm.ppf(share) + effect / np.sqrt(SPREAD + by_draw**2)) - share)


def study(rng: np.random.Generator, effect: float = 0.0, items: int = 60, draws: int = 3) -> dict[Any, Column]:
    """Three benchmarks in three languages; the own language is better by `effect` on the probit scale."""
    seeds: dict[str, tuple[int, ...]] = {name: tuple(range(draws)) for name in CALIBRATIONS}
    columns = {}
    luck = {name: 0.15 * rng.standard_normal(draws) for name in CALIBRATIONS}
    for benchmark in ("arc", "belebele", "mmlu"):
        for language in ("ar", "de", "en"):
            difficulty = rng.standard_normal((items, 1))
            values = {
                name: (
                    difficulty + luck[name] + rng.standard_normal((items, draws)) + effect * (name == language) > 0
                ).astype(float)
                for name in CALIBRATIONS
            }
            columns[benchmark, language] = Column(ACCURACY, values, seeds, np.arange(items))
    return columns
