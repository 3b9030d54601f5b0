"""Of how many hypotheses a gain's p is one, and which columns the test of a block is over."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy import stats
from tests.helpers.answers import BLOCK, simulated, study
from tests.helpers.titles import titles_of

from polyprune.report.answers.answer import best_calibrations, whole_block
from polyprune.report.answers.answer_text import block_sentence, p_text
from polyprune.report.answers.comparison import Comparison
from polyprune.report.measured import ACCURACY, Column
from polyprune.report.page.verdict import sentences

SEVEN = ("ar", "de", "en", "es", "ru", "sw", "zh")


def test_two_languages_are_one_question_and_not_two():
    """DE less EN and EN less DE have one p; a mix beside them makes three pairs, and is compared with their mean."""
    column = study(np.random.default_rng(6), effect=0.8)["arc", "de"]
    for names, hypotheses in ((("de", "en"), 1), (("de", "en", "ar-de-en"), 4)):
        some = column.only({name: column.seeds[name] for name in names})
        others = best_calibrations({BLOCK: {("arc", "de"): some}}).query("reference == 'others'")
        assert set(others["hypotheses"]) == {hypotheses}
        own = others[others["calibration"] == "de"].iloc[0]
        assert own["p_corrected"] == pytest.approx(min(1, hypotheses * own["p"]))


def compared(values: dict[str, np.ndarray], target: str = "") -> Comparison:
    """SNR of items (n,), of one draw."""
    columns = {name: each[:, None] for name, each in values.items()}
    items = np.arange(len(next(iter(columns.values()))))
    return Comparison([Column("snr", columns, dict.fromkeys(columns, (0,)), items)], target)


def test_all_comparisons_of_a_column_are_right_together():
    """INF-9: of studies of seven equal ones one in twenty shows any, (K − 1) P one in five."""
    rng = np.random.default_rng(7)
    shown, few, studies = 0, 0, 150
    for _ in range(studies):
        answers, groups = simulated(rng, n=200, by_draw=0.0)
        values = {name: answers[str(number)] for number, name in enumerate(SEVEN)}
        comparison = Comparison([Column(ACCURACY, values, dict.fromkeys(values, (0, 1, 2)), groups)], "ar")
        shown += bool(comparison.shown)
        best = comparison.best
        p = [comparison.difference({best: 1.0, name: -1.0}).p_larger() for name in values if name != best]
        few += min(p) * 6 < 0.05
    assert shown / studies <= 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5 < few / studies


@pytest.mark.parametrize(("target", "beforehand", "others"), [("de", 6, 66), ("en", 4, 68), ("fr", 36, 36)])
def test_half_of_the_level_is_for_what_is_asked_beforehand(target: str, beforehand: int, others: int):
    """INF-9 by scipy: 28 pairs of eight and 8 averages, of which the target over EN, the mix and the average are asked.

    EN has no gain over itself; where no calibration is in the target all are alike.
    """
    rng = np.random.default_rng(7)
    values = {name: rng.normal(size=50) for name in (*SEVEN, "de-en")}
    comparison = compared(values, target)
    pairs = [{one: 1.0, other: -1.0} for one, other in permutations(values, 2)]
    averages = {}
    for name in values:
        rest = [other for other in SEVEN if other != name]
        averages[name] = {name: 1.0} | {other: -1 / len(rest) for other in rest}
    asked = [*({target, over} for over in ("en", "de-en") if over != target), averages.get(target)]
    for weights in (*pairs, *averages.values()):
        d = np.sum([weight * values[name] for name, weight in weights.items()], axis=0)
        factor = beforehand if weights in asked or set(weights) in asked else others
        reach = stats.t.ppf(1 - 0.025 / factor, 49) * d.std(ddof=1) / 50**0.5
        assert comparison.interval(weights) == pytest.approx((d.mean() - reach, d.mean() + reach))


@pytest.mark.parametrize("names", [
    ("de", "en"), ("de", "es"), ("en", "es"), ("de", "en", "de-en"), ("de", "en-es", "de-en"), ("de", "en", "es"), SEVEN
])  # fmt: skip
@pytest.mark.parametrize("target", ["de", "en"])
def test_all_levels_together_are_five_per_cent(names: tuple[str, ...], target: str):
    """INF-9: α/f of all comparisons add up to α."""
    rng = np.random.default_rng(1)
    found = compared({name: rng.normal(size=9) for name in names}, target)
    every = [*({one: 1.0, other: -1.0} for one, other in combinations(names, 2)), *found.averages.values()]
    assert sum(Fraction(1, found.hypotheses(weights)) for weights in every) == 1


def test_what_is_behind_another_or_the_average_is_not_the_best():
    """INF-9: ES did best with much noise of its own, RU and DE are behind EN, which answers alike, and may be best."""
    rng = np.random.default_rng(0)
    common, noise = rng.standard_normal(400), rng.standard_normal((6, 400))
    noise -= noise.mean(axis=1, keepdims=True)
    alike = {
        "de": common,
        "en": common + 0.02,
        "ru": common - 0.05 + 0.1 * noise[0],
        "es": common.mean() + 0.2 + 3 * noise[1],
    }
    found = compared(alike)
    assert found.best == "es" and found.not_worse() == ["en", "es"]
    assert {name: found.ahead_of(name) for name in alike} == {
        "de": ["en"],
        "en": [],
        "ru": ["en", "de"],
        "es": [],
    }
    apart = compared({name: each - 0.19 * (name == "sw") for name, each in zip(SEVEN, noise, strict=False)})
    assert apart.ahead_of("sw") == ["others"] and "sw" not in apart.not_worse()


def test_both_parts_of_english_arc_ask_for_english_beforehand():
    """EN over the mix, and over the average; eight other comparisons."""
    column = study(np.random.default_rng(6))["arc", "en"]
    rows = best_calibrations({BLOCK: {("arc", "en-c"): column}}).query("eval_language == 'en-c' and is_target")
    assert list(rows["calibration"]) == ["en", "en"] and list(rows["hypotheses"]) == [4, 4]


def test_what_cannot_be_best_with_all_that_is_shown_is_not():
    """EN is above DE and DE above the average of EN and ES, so ES is below DE, which no interval of its own shows.

    They differ along one direction, 2.6 standard errors from nought: enough at α/4, and not at α/8.
    """
    noise = np.random.default_rng(1).standard_normal(400)
    along = (noise - noise.mean()) / noise.std(ddof=1) + 2.6 / 20
    found = compared({"de": 0 * along, "en": along, "es": -3 * along}, "de")
    assert found.shown == [{"de": -1.0, "en": 1.0}, {"de": 1.0, "en": -0.5, "es": -0.5}]
    assert found.ahead_of("es") == [] and found.not_worse() == ["en"]


def test_the_test_of_a_block_is_over_the_languages_that_are_calibrated_in():
    """Evaluated in three languages, calibrated in two: the third one's columns have no diagonal, the others have."""
    columns = {
        key: column.only({name: column.seeds[name] for name in ("de", "en", "ar-de-en")})
        for key, column in study(np.random.default_rng(7)).items()
    }
    (row,) = (row for row in whole_block(columns) if row["metric"] == "benchmarks")
    gains = {
        (benchmark, language): column.values[language].mean() - column.values["en" if language == "de" else "de"].mean()
        for (benchmark, language), column in columns.items()
        if language != "ar"
    }
    assert row["gain"] == pytest.approx(100 * np.mean(list(gains.values()))) and row["items"] == 60 * len(gains)
    rows = best_calibrations({BLOCK: columns})
    said = block_sentence(rows, titles_of({"tiny": "Tiny"}))
    assert not [each for each in sentences(rows) if each.startswith("By ")]
    assert row["p"] in (0.5, 1) and f"(p = {row['p']:.4f}; of 2 languages it is 0.50 at least)" in said
    one = {key: column.only({"de": column.seeds["de"]}) for key, column in columns.items()}
    assert not list(whole_block(one))


def test_a_p_that_is_not_nought_is_not_printed_as_nought():
    """The least p of 7 languages is 1/7!, of 20 it is 1/20!."""
    assert p_text(1 / 5040) == "p = 0.0002" and p_text(1 / 2432902008176640000) == "p < 0.0001"


def test_other_text_may_be_called_best_and_is_no_language():
    """Tests over languages and gains over them are as without it; the reference mix is one of equal shares."""
    columns = study(np.random.default_rng(8), effect=0.5)
    more = {}
    for key, column in columns.items():
        others = dict.fromkeys(("de+n8", "en@code", "de75-en25", "ar-de-en+chat", "en+self"), column.values["de"])
        values = {**column.values, **others, "random": np.ones_like(column.values["de"])}
        seeds = dict.fromkeys(values, column.seeds["de"])
        more[key] = replace(column, values=values, seeds=seeds)
    plain, found = best_calibrations({BLOCK: columns}), best_calibrations({BLOCK: more})
    assert set(found.loc[found["eval_language"] != "all", "best"]) == {"random"}
    assert set(found.loc[found["reference"] == "mix", "against"]) == {"ar-de-en"}
    whole = [rows[rows["eval_language"] == "all"].reset_index(drop=True) for rows in (plain, found)]
    assert len(whole[0]) and whole[0].equals(whole[1])
    keys = ["eval_language", "metric", "reference"]
    gains = [rows[rows["is_target"].astype(bool)].set_index(keys)["gain"] for rows in (plain, found)]
    assert gains[0].to_dict() == pytest.approx(gains[1].to_dict())
