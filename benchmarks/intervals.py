"""How often intervals cover the truth, and what is claimed where there is nothing: python benchmarks/intervals.py [N]

N simulated studies (1,000) of each kind: seven calibrations, the first may be better (`tests/helpers/answers.py`).
A line has how often the 95 % interval of the first against the second covers the true difference, and that of the first
against the mean of the others, with the share of intervals that lie wholly below and wholly above it. Then: perplexity
and a language's benchmarks together; and how many studies of seven languages claim an effect where there is none, and
where there is one: of a language, against English or the others (by INF-9), and by the test of the whole
block. Last: what any interval could do with few right answers. Twenty minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from scipy import stats

sys.path[:0] = [str(Path(__file__).parents[1] / "workflow_scripts"), str(Path(__file__).parents[1])]

from tests.helpers.answers import simulated, true_effect  # noqa: E402

from polyprune.maths.inference import against  # noqa: E402
from polyprune.maths.jackknife import log_perplexity, pseudo_values  # noqa: E402
from polyprune.maths.share_limits import Shares  # noqa: E402
from polyprune.report.answers.answer import best_calibrations  # noqa: E402
from polyprune.report.answers.comparison import Comparison  # noqa: E402
from polyprune.report.measured import ACCURACY, Column  # noqa: E402

PAIR_AND_REST = ({"0": 1.0, "1": -1.0}, against("0", [str(index) for index in range(7)]))
SHARES, SIZES, EFFECTS = (
    (0.01, 0.02, 0.05, 0.25, 0.5, 0.95),
    ((60, 1, 1), (60, 3, 1), (120, 3, 2), (900, 3, 1)),
    (0, 0.6),
)
"""Right answers; questions, draws, questions a passage; how much better the first is, on the probit scale."""
BY_DRAW = 0.2
FEW, FEW_SHARES = 60, (0.01, 0.02, 0.03, 0.05)
"""Questions, and right answers, of `few_right`."""
LANGUAGES = ("ar", "de", "en", "es", "ru", "sw", "zh")
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
        comparison = Comparison(list(study(rng)), "0")
        for index, weights in enumerate(PAIR_AND_REST):
            low, high = comparison.difference(weights).interval()
            missed[index] += high < truth, low > truth
    for below, above in 100 * missed / studies:
        yield f"{100 - below - above:5.1f} ({below:.1f}, {above:.1f})"


def block(rng: np.random.Generator, effect: float) -> dict[tuple[str, str], Column]:
    """Three benchmarks of 300 questions in each of seven languages, two draws; a language's own is better."""
    columns = {}
    for language, benchmark in product(LANGUAGES, ("arc", "belebele", "mmlu")):
        found = answers(rng, 0.4, (300, 2, 1), effect)
        names = dict(zip(found.values, (language, *(each for each in LANGUAGES if each != language)), strict=True))
        columns[benchmark, language] = column({names[key]: v for key, v in found.values.items()}, found.groups)
    return columns


def claims(studies: int, effect: float) -> str:
    """Of the gains of a language's own calibration, and of the test of the block, how many are told from nothing."""
    rng, claimed, blocks = np.random.default_rng(19), [], []
    for _ in range(studies):
        rows = best_calibrations({("model", "method", "scheme"): block(rng, effect)})
        pooled = rows[(rows["metric"] == "benchmarks") & rows["is_target"].astype(bool)]
        whole = pooled["eval_language"] == "all"
        told = pooled["verdict"].isin(("better", "worse"))
        claimed.append([told[~whole].mean(), told[~whole].any()])
        blocks.append(bool((pooled.loc[whole, "p"] < 0.05).iloc[0]))
    one, some = 100 * np.mean(claimed, axis=0)
    return f"{one:.1f} % of the gains of a language, {some:.1f} % any gain, {100 * np.mean(blocks):.1f} % by the block"


def outcomes(share: float) -> np.ndarray:
    """Chances of a and b right of 60, [a, b]: two calibrations, one draw, independent and equally good."""
    one = stats.binom.pmf(np.arange(FEW + 1), FEW, share)
    return np.outer(one, one)


def few_right(studies: int) -> Iterator[str]:
    """Which outcomes an interval may leave 0 out in, so that it errs in 3 to 7 % of studies."""
    a, b = np.indices((FEW + 1, FEW + 1))
    rare, less_rare = outcomes(0.01), outcomes(0.03)
    names = ", ".join(
        f"{i} and {j}: {100 * rare[i, j] * (1 + (i > j)):.1f} %" for i, j in ((0, 0), (1, 0), (1, 1), (2, 0))
    )
    times = (less_rare / rare)[a + b > 2].min()
    yield f"1 % right of {FEW}, {names}; any other {times:.2f} times as often or more where 3 % are"
    q = float(stats.t.ppf(0.975, FEW - 1))
    ours = np.array([[_leaves_out(i, j, q) for j in range(FEW + 1)] for i in range(FEW + 1)])
    for name, left_out in (("three and none", (abs(a - b) > 2) & (np.minimum(a, b) == 0)), ("ours", ours)):
        errs = ", ".join(f"{100 * outcomes(share)[left_out].sum():.1f} % at {share:.0%}" for share in FEW_SHARES)
        yield f"one draw, 0 left out from {name}: errs in {errs}"
    for n, passage in ((60, 1), (120, 2)):
        errs = ", ".join(f"{100 * _by_counts(studies, share, n, passage):.1f} % at {share:.0%}" for share in FEW_SHARES)
        yield f"three draws, {n} questions on {n // passage} passages, |a - b| >= 1.96 sqrt(a + b): errs in {errs}"


def _leaves_out(a: int, b: int, q: float) -> bool:
    shares = Shares(np.array([a, b]) / FEW, np.array([1.0, -1.0]), np.eye(2), float(FEW))
    return shares.distance(q, below=a > b) < abs(a - b) / FEW


def _by_counts(studies: int, share: float, n: int, passage: int) -> float:
    rng = np.random.default_rng(n)
    right = [simulated(rng, n, 3, share, BY_DRAW, 0.0, passage)[0] for _ in range(studies)]
    a, b = (np.array([values[name].sum() for values in right]) for name in ("0", "1"))
    return float(((abs(a - b) >= 1.96 * np.sqrt(a + b)) & (a != b)).mean())


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
    for effect in (0.0, 0.1, 0.2, 0.4):
        points = 100 * true_effect(0.4, BY_DRAW, effect)
        print(f"{some} studies with an effect of {points:.1f} points claim one: {claims(some, effect)}", flush=True)
    for line in few_right(10 * studies):
        print(line, flush=True)


if __name__ == "__main__":
    main()
