"""Paired differences: against textbook formulas, statsmodels and simulated studies of known truth; INF-1 to INF-10.

A simulation of N studies is held to its aim within three standard errors: wide enough for its seed, and a variance that
is wrong by a third, or a sign, is far outside.
"""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from tests.helpers.answers import simulated, true_effect

from polyprune.maths.draws import UNKNOWN, Draws, draws_of, pooled_draws
from polyprune.maths.inference import Difference, against, contrast, holm, means_of, pooled, possible

PAIR = {"de": 1.0, "en": -1.0}


def alone(n: int) -> np.ndarray:
    return np.arange(n)


def compared(
    values: dict[str, np.ndarray], weights: dict[str, float], groups: np.ndarray, draws: Draws, bounded: bool = False
) -> Difference:
    return contrast(means_of(values, groups, draws, bounded), weights)


STUDIES = 250
PAIR_AND_REST = ({"0": 1.0, "1": -1.0}, against("0", [str(i) for i in range(7)]))


def coverage(studies: int, truth: float, seed: int, **study: float) -> list[float]:
    """Of a pair and of one against the rest, in the same studies."""
    rng, hits = np.random.default_rng(seed), [0, 0]
    for _ in range(studies):
        values, groups = simulated(rng, **study)  # type: ignore[arg-type]
        means = means_of(values, groups, draws_of(values, groups, bounded=True), bounded=True)
        for index, weights in enumerate(PAIR_AND_REST):
            low, high = contrast(means, weights).interval()
            hits[index] += low <= truth <= high
    return [each / studies for each in hits]


@pytest.mark.parametrize(
    ("share", "by_draw", "effect", "n", "draws", "passage", "most"),
    [
        (0.4, 0.3, 0.8, 60, 3, 1, 0.95),
        (0.27, 0.2, 0.0, 60, 3, 1, 0.95),
        (0.05, 0.1, 0.6, 60, 3, 1, 0.97),
        (0.01, 0.1, 0.6, 60, 3, 1, 0.99),
        (0.01, 0.0, 1.2, 60, 1, 1, 0.99),
        (0.4, 0.0, 0.0, 60, 1, 1, 0.95),
        (0.5, 0.2, 0.4, 120, 3, 2, 0.95),
    ],
    ids=["effect", "chance", "few right", "floor", "floor, one draw", "one draw", "passages"],
)
def test_intervals_cover_the_truth_as_often_as_they_say(
    share: float, by_draw: float, effect: float, n: int, draws: int, passage: int, most: float
):
    """INF-1 to INF-6, nominal 95 %: of 60 questions, near chance and near nothing, where few values are possible."""
    study = {"share": share, "by_draw": by_draw, "effect": effect, "n": n, "draws": draws, "passage": passage}
    for found in coverage(STUDIES, true_effect(share, by_draw, effect), 11, **study):
        assert 0.95 - 3 * (0.95 * 0.05 / STUDIES) ** 0.5 <= found <= most + 3 * (most * (1 - most) / STUDIES) ** 0.5


def test_draws_that_are_left_out_make_intervals_too_short():
    """What INF-3 is for: with the questions' variance alone a fifth of intervals would miss."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(150):
        values, groups = simulated(rng, n=300, by_draw=0.4)
        means = {name: value.mean(axis=1, keepdims=True) for name, value in values.items()}
        low, high = compared(means, {"0": 1.0, "1": -1.0}, groups, draws_of(means, groups)).interval()
        hits += low <= 0 <= high
    assert hits / 150 < 0.8


def test_one_draw_and_no_groups_is_the_paired_t_test():
    """INF-1, INF-2 and INF-5 against scipy."""
    rng = np.random.default_rng(0)
    values = {"de": rng.normal(0.2, 1, (50, 1)), "en": rng.normal(0, 1, (50, 1))}
    found = compared(values, PAIR, alone(50), draws_of(values, alone(50)))
    expected = stats.ttest_rel(values["de"][:, 0], values["en"][:, 0])
    assert found.value == pytest.approx((values["de"] - values["en"]).mean())
    assert found.p_zero() == pytest.approx(float(expected.pvalue))  # type: ignore[attr-defined]
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()))  # type: ignore[attr-defined]
    one_sided = stats.ttest_rel(values["de"][:, 0], values["en"][:, 0], alternative="greater")
    assert found.p_larger() == pytest.approx(float(one_sided.pvalue))  # type: ignore[attr-defined]


def test_groups_are_the_cluster_robust_variance():
    """INF-2 against statsmodels' sandwich for a mean with unequal groups; without its factor for n − 1 of n items."""
    rng = np.random.default_rng(3)
    groups = np.sort(rng.integers(0, 20, 90))
    groups = np.unique(groups, return_inverse=True)[1]
    values = {name: rng.normal(size=(90, 1)) + rng.normal(size=20)[groups][:, None] for name in PAIR}
    found = compared(values, PAIR, groups, draws_of(values, groups))
    y = (values["de"] - values["en"])[:, 0]
    fit = sm.OLS(y, np.ones(90)).fit(cov_type="cluster", cov_kwds={"groups": groups, "df_correction": True})
    assert found.of_items == pytest.approx(float(fit.bse[0]) ** 2, rel=1e-9)
    assert found.df == groups.max()
    assert found.of_items > compared(values, PAIR, alone(90), draws_of(values, alone(90))).of_items


def test_variance_of_crossed_items_and_draws_is_the_sum_of_its_mean_squares():
    """INF-3 and INF-4 of a single calibration: (MS_items + MS_draws − MS_rest) / (n S), and its degrees of freedom."""
    rng = np.random.default_rng(4)
    n, s = 30, 4
    y = rng.normal(size=(n, 1)) + 2 * rng.normal(size=(1, s)) + rng.normal(size=(n, s))
    items, draws = y.mean(axis=1), y.mean(axis=0)
    rest = y - items[:, None] - draws + y.mean()
    ms_items, ms_draws = s * items.var(ddof=1), n * draws.var(ddof=1)
    ms_rest = (rest**2).sum() / ((n - 1) * (s - 1))
    found = compared({"de": y}, {"de": 1.0}, alone(n), draws_of({"de": y}, alone(n)))
    assert found.variance == pytest.approx((ms_items + ms_draws - ms_rest) / (n * s))
    squares = ms_items**2 / (n - 1) + ms_draws**2 / (s - 1) + ms_rest**2 / ((n - 1) * (s - 1))
    assert found.df == pytest.approx(max(s - 1, (ms_items + ms_draws - ms_rest) ** 2 / squares))


def test_more_calibrations_tell_more_of_draws():
    """INF-3 is over all calibrations of the column; INF-5 has their degrees of freedom where draws are what matters."""
    rng = np.random.default_rng(5)
    values = {str(c): np.tile(rng.normal(size=3), (40, 1)) + 1e-3 * rng.normal(size=(40, 3)) for c in range(7)}
    draws = draws_of(values, alone(40))
    assert draws.df == 14
    assert draws.variance == pytest.approx(np.mean([v.mean(axis=0).var(ddof=1) for v in values.values()]), rel=1e-3)
    assert compared(values, {"0": 1.0, "1": -1.0}, alone(40), draws).df == pytest.approx(14, rel=1e-3)


def test_draws_scatter_alike_in_log_odds():
    """INF-3, INF-4 of shares by hand: one half and one tenth right, of which two draws differ by 20 and 8 points."""
    cells = {"de": (8, 12), "en": (1, 3)}
    values = {
        name: np.stack([(np.arange(20) < count).astype(float) for count in each], 1) for name, each in cells.items()
    }
    draws = draws_of(values, alone(20), bounded=True)
    h = {name: (p * (1 - p)) ** 2 for name, p in {"de": 10.5 / 21, "en": 2.5 / 21}.items()}
    weight = h["de"] + h["en"]  # each has one degree of freedom
    assert draws.between == pytest.approx((0.2**2 / 2 + 0.1**2 / 2) / weight)
    assert draws.df == pytest.approx(weight**2 / (h["de"] ** 2 + h["en"] ** 2))
    of_both = draws.spread(PAIR) * draws.variance
    assert of_both == pytest.approx((h["de"] + h["en"]) / 2 * max(0, draws.between - draws.residual))
    alike = draws_of(values, alone(20))
    assert alike.spread(PAIR) == 1 and alike.between == pytest.approx((0.2**2 / 2 + 0.1**2 / 2) / 2) and alike.df == 2


def test_draws_that_scatter_alike_in_points_are_taken_wrongly():
    """What h of INF-3 is for: a tenth right against a hundredth, whose draws scatter little and say nothing of it."""
    rng, truth, hits = np.random.default_rng(2), true_effect(0.01, 0.3, 1.6), {False: 0, True: 0}
    for _ in range(150):
        values, groups = simulated(rng, n=900, by_draw=0.3, share=0.01, effect=1.6)
        for bounded in hits:
            draws = draws_of(values, groups, bounded)
            low, high = compared(values, {"0": 1.0, "1": -1.0}, groups, draws, bounded=True).interval()
            hits[bounded] += low <= truth <= high
    assert hits[True] / 150 >= 0.95 - 3 * (0.95 * 0.05 / 150) ** 0.5
    assert hits[False] / 150 < 0.85


def test_where_each_has_one_draw_their_variance_is_unknown_and_left_out():
    values, groups = simulated(np.random.default_rng(0), draws=1)
    draws = draws_of(values, groups)
    assert draws.df == 0 and np.isnan(draws.variance)
    assert compared(values, {"0": 1.0, "1": -1.0}, groups, draws).of_draws == 0


def test_nothing_answered_is_an_interval_and_not_a_point():
    """INF-6: of 60 questions that nobody answers; both shares may be as large as the score limit of none."""
    values = dict.fromkeys(PAIR, np.zeros((60, 1)))
    draws = draws_of(values, alone(60))
    found, q = compared(values, PAIR, alone(60), draws, bounded=True), stats.t.ppf(0.975, 59)
    hidden = stats.beta.ppf(stats.norm.cdf(q), 0.5, 60.5)  # SHARE-1 of nothing
    assert (*found.interval(), found.of_items) == pytest.approx((-hidden, hidden, (hidden / q) ** 2))
    assert 0.04 < hidden < 0.05
    plain = compared(values, PAIR, alone(60), draws)
    assert plain.interval() == (0, 0) and plain.p_zero() == 1


def test_p_is_the_level_at_which_a_limit_meets_the_hypothesis():
    """INF-6, INF-7: of bounded values, by their intervals of other levels."""
    values, groups = simulated(np.random.default_rng(3), share=0.1, effect=0.6)
    found = compared(values, {"0": 1.0, "1": -1.0}, groups, draws_of(values, groups), bounded=True)
    assert found.value > 0 and 1e-4 < found.p_zero() < 0.5
    assert found.interval(1 - found.p_zero())[0] == pytest.approx(0, abs=1e-9)
    assert found.p_larger() == pytest.approx(found.p_zero() / 2)
    margin = found.value + 0.1
    assert found.interval(1 - 2 * found.p_equivalent(margin))[1] == pytest.approx(margin)
    assert found.p_equivalent(found.value / 2) > 0.5
    mirrored = compared(values, {"1": 1.0, "0": -1.0}, groups, draws_of(values, groups), bounded=True)
    assert mirrored.p_zero() == pytest.approx(found.p_zero())
    assert mirrored.interval() == pytest.approx([-end for end in reversed(found.interval())])
    assert mirrored.p_larger() == pytest.approx(1 - found.p_larger())


def test_the_same_answers_to_a_few_questions_are_no_proof_of_equality():
    """SHARE-4: 60 of 60 alike may be 2 points apart, 20,000 alike are within a point."""
    for n, shown in ((60, False), (20_000, True)):
        values = dict.fromkeys(PAIR, np.tile([[1.0], [0.0]], (n // 2, 1)))
        found = compared(values, PAIR, alone(n), draws_of(values, alone(n)), bounded=True)
        assert found.p_zero() == 1 and (found.p_equivalent(0.01) < 0.05) == shown
        assert found.interval()[1] == pytest.approx(stats.t.ppf(0.975, n - 1) / n, rel=0.05)


def test_a_difference_of_everything_has_no_doubt():
    values = {"de": np.ones((9, 1)), "en": np.zeros((9, 1))}
    found = compared(values, PAIR, alone(9), draws_of(values, alone(9)))
    assert found.p_zero() == 0 and found.p_larger() == 0 and found.p_equivalent(0.5) == 1


def test_one_against_the_rest_leaves_itself_out():
    weights = against("de", ["ar", "de", "en"])
    assert weights == {"de": 1.0, "ar": -0.5, "en": -0.5}
    values = {"ar": np.array([[0.0], [2]]), "de": np.array([[4.0], [4]]), "en": np.array([[1.0], [1]])}
    assert compared(values, weights, alone(2), draws_of(values, alone(2))).value == 3


def test_one_group_says_nothing_of_others():
    values = dict.fromkeys(PAIR, np.zeros((5, 1)))
    groups = np.zeros(5, dtype=int)
    with pytest.raises(ValueError, match="5 items in 1 group"):
        compared(values, PAIR, groups, draws_of(values, groups))


@pytest.mark.parametrize("mean", [0.02, -0.02])
def test_equivalence_is_two_one_sided_tests(mean: float):
    """INF-7 by scipy; and p is below .05 exactly where the 90 % interval lies within the margin."""
    rng = np.random.default_rng(6)
    values = {"de": rng.normal(mean, 0.1, (80, 1)), "en": np.zeros((80, 1))}
    found = compared(values, PAIR, alone(80), draws_of(values, alone(80)))
    y = values["de"][:, 0]
    for margin in (0.02, 0.04, 0.06):
        above = stats.ttest_1samp(y, -margin, alternative="greater").pvalue  # type: ignore[attr-defined]
        below = stats.ttest_1samp(y, margin, alternative="less").pvalue  # type: ignore[attr-defined]
        assert found.p_equivalent(margin) == pytest.approx(max(above, below))
        low, high = found.interval(0.90)
        assert (found.p_equivalent(margin) < 0.05) == (-margin < low and high < margin)


def test_the_mean_of_columns_is_the_column_of_means():
    """INF-10: columns of equal size in which draws do the same; against one column of their items' means."""
    rng = np.random.default_rng(9)
    draws = {name: rng.normal(size=(1, 3)) for name in ("ar", "de", "en")}
    columns = [{name: rng.normal(size=(40, 3)) + draw for name, draw in draws.items()} for _ in range(4)]
    of_columns = [draws_of(column, alone(40)) for column in columns]
    each = [compared(column, PAIR, alone(40), UNKNOWN) for column in columns]
    together = pooled_draws(columns, of_columns)
    found = pooled(each, PAIR, together)
    joint = {name: np.mean([column[name] for column in columns], axis=0) for name in draws}
    expected = draws_of(joint, alone(40))
    assert together.between == pytest.approx(expected.between) and together.df == expected.df == 6
    assert found.value == pytest.approx(compared(joint, PAIR, alone(40), expected).value)
    assert found.of_items == pytest.approx(sum(one.of_items for one in each) / 16)
    assert found.of_draws == pytest.approx((together.between - together.residual) * 2 / 3)
    assert found.n_groups == 160 and 4 < found.df < 12


def test_draws_of_a_mean_of_shares_scatter_by_the_mean_of_their_slopes():
    """INF-10 by hand: half and a tenth right in two columns of ten, of which draws differ by 0 and 2."""
    counts = {"de": [(4, 6), (0, 2)], "en": [(5, 5), (1, 1)]}
    right = {
        name: [np.array([np.arange(10) < count for count in each]).T for each in both] for name, both in counts.items()
    }
    columns = [{name: both[index].astype(float) for name, both in right.items()} for index in (0, 1)]
    of_columns = [draws_of(column, alone(10), bounded=True) for column in columns]
    found = pooled_draws(columns, of_columns, bounded=True)
    slope = (5.5 / 11 * 5.5 / 11 + 1.5 / 11 * 9.5 / 11) / 2  # of both calibrations
    assert found.shares == pytest.approx({"de": slope**2 / 2, "en": slope**2 / 2})
    assert found.between == pytest.approx(0.2**2 / 2 / (2 * slope**2)) and found.df == 2
    assert found.squares == pytest.approx(sum(each.squares for each in of_columns) / 4)


def test_pooled_intervals_cover_the_truth_though_a_draw_is_in_all_columns():
    """INF-10: four columns of 40 questions, three draws whose luck is the same in all."""
    rng, hits, studies = np.random.default_rng(10), 0, 200
    for _ in range(studies):
        luck = {str(c): rng.normal(0, 0.1, (1, 3)) for c in range(7)}
        columns = [{c: 0.5 + rng.normal(0, 0.5, (40, 3)) + each for c, each in luck.items()} for _ in range(4)]
        weights = {"0": 1.0, "1": -1.0}
        each = [compared(column, weights, alone(40), UNKNOWN) for column in columns]
        together = pooled_draws(columns, [draws_of(column, alone(40)) for column in columns])
        low, high = pooled(each, weights, together).interval()
        hits += low <= 0 <= high
    assert abs(hits / studies - 0.95) <= 3 * (0.95 * 0.05 / studies) ** 0.5


def test_holm_by_hand():
    """INF-8: .01·3, then max(.03, .02·2), then .04 is not below that; in the order given. And statsmodels."""
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([]) == []
    p = np.random.default_rng(8).uniform(0, 0.2, 30)
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


def test_what_follows_cannot_be_otherwise():
    """INF-9: with a > b > c there is c < (a + b)/2, and no b > (a + b)/2."""
    said = [{"a": 1.0, "b": -1.0}, {"b": 1.0, "c": -1.0}]
    assert possible([*said, {"a": 0.5, "b": 0.5, "c": -1.0}], "abc")
    assert not possible([*said, {"b": 0.5, "a": -0.5}], "abc")
