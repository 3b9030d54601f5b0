"""How often intervals cover the truth, and what is claimed where there is nothing: python benchmarks/intervals.py [N]

N simulated studies (1,000) of each kind: seven calibrations, the first may be better (`tests/helpers/answers.py`).
A line has how often the 95 % interval of the first against the second covers the true difference, and that of the first
against the mean of the others, with the share of intervals that lie wholly below and wholly above it. Then: perplexity
and a language's benchmarks together; and how many studies without an effect claim one for a language against English,
the mix and the others (p < .05 after Holm), and how many find a small one. About ten minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "workflow_scripts"), str(Path(__file__).parents[1])]

from tests.helpers.answers import simulated, true_effect  # noqa: E402

from polyprune.maths.inference import against  # noqa: E402
from polyprune.maths.jackknife import log_perplexity, pseudo_values  # noqa: E402
from polyprune.report.answer import Comparison, compare  # noqa: E402
from polyprune.report.measured import ACCURACY, Column  # noqa: E402

PAIR_AND_REST = ({"0": 1.0, "1": -1.0}, against("0", [str(index) for index in range(7)]))
SHARES, SIZES, EFFECTS = (
    (0.01, 0.02, 0.05, 0.25, 0.5, 0.95),
    ((60, 1, 1), (60, 3, 1), (120, 3, 2), (900, 3, 1)),
    (0, 0.6),
)
"""Right answers; questions, draws, questions a passage; how much better the first is, on the probit scale."""
BY_DRAW = 0.2
SEQUENCES, PREDICTED, EXCESS = 48, 512, 0.02
"""Of a perplexity; and how much lower the first one's logarithm is."""


def column(values: dict[str, np.ndarray], groups: np.ndarray, kind: str = ACCURACY) -> Column:
    seeds = {name: tuple(range(value.shape[1])) for name, value in values.items()}
    return Column(kind, values, seeds, groups)


def answers(rng: np.random.Generator, share: float, size: tuple[int, int, int], effect: float) -> Column:
    n, draws, passage = size
    by_draw = BY_DRAW if draws > 1 else 0.0  # of one draw the intervals are about that draw
    return column(*simulated(rng, n, draws, share, by_draw, effect, passage))


def perplexities(rng: np.random.Generator, draws: int) -> Column:
    """Losses of sequences that differ in difficulty, by calibration and draw; as `report/measured.py` makes them."""
    text, tokens = rng.normal(0, 0.3, SEQUENCES), np.full(SEQUENCES, float(PREDICTED))
    values = {}
    for index in range(7):
        level = 3 - EXCESS * (index == 0) + (0.02 * rng.standard_normal(draws) if draws > 1 else np.zeros(draws))
        nll = PREDICTED * (
            level + (text + rng.normal(0, 0.05, SEQUENCES))[:, None] + rng.normal(0, 0.05, (SEQUENCES, draws))
        )
        values[str(index)] = np.stack(
            [-pseudo_values({"nll": each, "tokens": tokens}, log_perplexity) for each in nll.T], axis=1
        )
    return column(values, np.arange(SEQUENCES), "perplexity")


def coverage(studies: int, truth: float, study: Callable[[np.random.Generator], Sequence[Column]]) -> Iterator[str]:
    """Of a pair, and of one against the rest."""
    rng, missed = np.random.default_rng(round(1e6 * truth)), np.zeros((2, 2))
    for _ in range(studies):
        comparison = Comparison(list(study(rng)))
        for index, weights in enumerate(PAIR_AND_REST):
            low, high = comparison.difference(weights).interval()
            missed[index] += high < truth, low > truth
    for below, above in 100 * missed / studies:
        yield f"{100 - below - above:5.1f} ({below:.1f}, {above:.1f})"


def named(rng: np.random.Generator, share: float, effect: float) -> list[Column]:
    """Three benchmarks of 300 questions in German, two draws; the first calibration is German, the last a mix."""
    names = dict(zip("0123456", ("de", "en", "es", "ar", "ru", "zh", "ar-de-en-es-ru-zh"), strict=True))
    found = [answers(rng, share, (300, 2, 1), effect) for _ in range(3)]
    return [column({names[key]: value for key, value in each.values.items()}, each.groups) for each in found]


def claims(studies: int, effect: float) -> float:
    """Share of studies in which German is told from any of three references."""
    rng, claimed = np.random.default_rng(19), 0
    for _ in range(studies):
        rows = compare("de", "benchmarks", Comparison(named(rng, 0.4, effect)))
        claimed += any(row["is_target"] and row["verdict"] in ("better", "worse") for row in rows)
    return 100 * claimed / studies


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{studies} studies a line; in parentheses intervals below and above the truth\n")
    print("| right | questions, draws | first is right in | against the second | against the mean of others |")
    print("|---|---|---|---|---|")
    for share, size, effect in product(SHARES, SIZES, EFFECTS):
        truth = true_effect(share, BY_DRAW if size[1] > 1 else 0.0, effect)
        found = coverage(studies, truth, lambda rng, s=share, z=size, e=effect: [answers(rng, s, z, e)])
        passages = f" on {size[0] // size[2]} passages" * (size[2] > 1)
        print(
            f"| {share:.0%} | {size[0]}{passages}, {size[1]} | {share + truth:.1%} | {' | '.join(found)} |", flush=True
        )
    for draws in (1, 3):
        found = coverage(studies, EXCESS, lambda rng, d=draws: [perplexities(rng, d)])
        print(f"| perplexity | {SEQUENCES} sequences, {draws} | | {' | '.join(found)} |", flush=True)
    truth = true_effect(0.3, BY_DRAW, 0.3)
    found = coverage(studies, truth, lambda rng: [answers(rng, 0.3, (200, 2, 1), 0.3) for _ in range(4)])
    print(f"| 30% | 4 x 200, 2 | {0.3 + truth:.1%} | {' | '.join(found)} |", flush=True)
    some = studies // 5
    print(f"\nof {some} studies without an effect {claims(some, 0.0):.1f} % claim one")
    for effect in (0.15, 0.3):
        points = 100 * true_effect(0.4, BY_DRAW, effect)
        print(f"of {some} with one of {points:.1f} points {claims(some, effect):.1f} % do")


if __name__ == "__main__":
    main()
