"""What a table knows of its columns: which rows can be told from the best, and from which distance on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from polyprune.report.measured import ACCURACY, Column
from polyprune.report.tables.standing import standings

BLOCK = ("tiny", "wanda", "0.50")
NAMES = ("ar", "de", "en", "es", "ru")


def column(kind: str, spread: float, behind: float) -> Column:
    """Five rows over 400 items; Arabic is so far behind the others, which differ by chance."""
    rng = np.random.default_rng(3)
    values = {name: rng.normal(3, spread, (400, 1)) - behind * (name == "ar") for name in NAMES}
    return Column(kind, values, dict.fromkeys(NAMES, (0,)), np.arange(400))


def test_the_distance_that_is_told_apart_is_that_of_the_test():
    """A row just beyond it is told from the best, one just short of it is not: of SNR, by t over all pairs.

    Unless it is behind the mean of the others, which are as good as each other here. German is asked beforehand against
    English and the mean of others; 13 comparisons are left (INF-9).
    """
    levels = {("de", "en"): 2 * 2, ("de", "mean"): 2 * 2}
    plain = column("snr", 1.0, 0.0)
    found = standings({BLOCK: {("snr", "de"): plain}}, references=False)[BLOCK, ("snr", "de")]
    best = max(plain.values, key=lambda name: plain.values[name].mean())
    apart = []
    for name in NAMES:
        if name != best:
            d = (plain.values[best] - plain.values[name])[:, 0]
            factor = levels.get((min(best, name), max(best, name)), 2 * 13)
            apart.append(stats.t.ppf(1 - 0.025 / factor, 399) * d.std(ddof=1) / 20)
    assert found.resolution == pytest.approx(float(np.median(apart)))
    assert found.told == frozenset() and found.may_be_best == frozenset(NAMES)
    for name, distance in zip([name for name in NAMES if name != best], apart, strict=True):
        for factor, told in ((1.01, True), (0.99, False)):
            moved = plain.values[best].mean() - plain.values[name].mean() - factor * distance
            values = {**plain.values, name: plain.values[name] + moved}
            shown = standings({BLOCK: {("snr", "de"): replace(plain, values=values)}}, references=False)
            d = np.mean([values[other] for other in NAMES if other != name], axis=0)[:, 0] - values[name][:, 0]
            level = levels.get((name, "mean"), 2 * 13)
            by_average = d.mean() > stats.t.ppf(1 - 0.025 / level, 399) * d.std(ddof=1) / 20
            assert (name in shown[BLOCK, ("snr", "de")].told) == (told or by_average)


def test_rows_behind_are_told_and_shares_are_per_cent():
    rng = np.random.default_rng(1)
    easy = rng.random((300, 1)) + rng.normal(0, 0.1, (300, 2))
    values = {
        name: (easy + rng.normal(0, 0.1, (300, 2)) < (0.3 if name == "ar" else 0.6)).astype(float) for name in NAMES
    }
    shares = Column(ACCURACY, values, dict.fromkeys(NAMES, (0, 1)), np.arange(300), chance=0.25)
    found = standings({BLOCK: {("arc", "de"): shares}}, references=False)[BLOCK, ("arc", "de")]
    assert found.told == {"ar"} and "ar" not in found.may_be_best and found.chance == 25
    assert 2 < found.resolution < 12


def test_a_table_of_mixes_asks_for_the_target_beforehand():
    """Of AR+DE, EN and the language itself: two of three pairs are the target's over English and the mix (INF-9)."""
    rng = np.random.default_rng(3)
    values = {name: rng.normal(0, 1, (400, 1)) + 9 * (name == "de") for name in ("de", "en", "es", "ar-de")}
    measured = Column("snr", values, dict.fromkeys(values, (0,)), np.arange(400))
    found = standings({BLOCK: {("snr", "de"): measured}}, references=True)[BLOCK, ("snr", "de")]
    assert set(found.behind) == {"en", "ar-de"}
    for name, interval in found.behind.items():
        d = (values["de"] - values[name])[:, 0]
        reach = stats.t.ppf(1 - 0.025 / 4, 399) * d.std(ddof=1) / 20
        assert interval == pytest.approx((d.mean() - reach, d.mean() + reach))
