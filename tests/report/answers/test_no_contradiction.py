"""No two lines of an answer contradict each other: what it says is read as statements about true values, and solved.

Random studies, in which calibrations differ by much or little and answer alike or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.helpers.answers import BLOCK
from tests.helpers.titles import titles_of

from polyprune.report.answers.answer import best_calibrations
from polyprune.report.answers.answer_text import sentence, table
from polyprune.report.measured import ACCURACY, Column
from polyprune.report.names import calibration_label
from polyprune.report.page.verdict import blocks

LANGUAGE, KNOWN = "de", ["de"]
FOUR = ["de", "en", "es", "ru"]
SETS = [["de", "en"], ["de", "en", "es"], FOUR, [*FOUR, "de-en"], ["en", "es", "ru"], [*FOUR, "de-en-es-ru", "ar"]]
TITLES = titles_of({"tiny": "Tiny"})
DECIDED = ("better", "worse")
Statement = dict[str, float]
"""Weights of calibrations: the weighted sum of true values is above nought."""


def column(names: list[str], items: int, draws: int, spread: float, kind: str, seed: int) -> Column:
    """Values of calibrations that differ so much; some go with a common part of the items, and some do not."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((items, 1))
    values = {}
    for name in names:
        level, share, noise = spread * rng.standard_normal(), rng.choice([0.0, 1.0]), rng.choice([0.05, 0.3, 1.0])
        values[name] = level + share * common + noise * rng.standard_normal((items, draws))
    if kind == ACCURACY:
        values = {name: (each > 0).astype(float) for name, each in values.items()}
    return Column(kind, values, dict.fromkeys(names, tuple(range(draws))), np.arange(items))


def minus(first: str, others: list[str]) -> Statement:
    return {first: 1.0} | {other: -1 / len(others) for other in others}


def turned(statement: Statement) -> Statement:
    return {name: -weight for name, weight in statement.items()}


def possible(statements: list[Statement], names: list[str]) -> bool:
    """Whether true values could be such that all of this is so."""
    rows = [[-each.get(name, 0.0) for name in names] for each in statements]
    return not rows or linprog(np.zeros(len(names)), rows, -np.ones(len(rows)), bounds=(None, None)).status == 0


def of_table(line: list[str], heads: list[str], names: list[str]) -> Iterator[tuple[str, str, Statement]]:
    """Over what a gain of a line of the table is, its verdict, and what would make it better."""
    singles = [name for name in names if "-" not in name and name != LANGUAGE]
    mix = max((name for name in names if "-" in name), key=len, default="")
    references = {"English": ["en"], "the mix": [mix], "the average other language": singles}
    for head, text in zip(heads, line, strict=True):
        if text and head.startswith("gain over "):
            gain, low, high, verdict = re.fullmatch(r"(\S+?) ?(?:points|dB) \((\S+) to (\S+)\), (.*)", text).groups()  # type: ignore[union-attr]
            low, gain, high = (float(each.replace("−", "-")) for each in (low, gain, high))
            assert low <= gain <= high
            if verdict.startswith("within "):
                margin = float(verdict.split()[1])
                assert -margin <= low < high <= margin
            else:
                assert {"better": low >= 0, "worse": high <= 0, "open": low <= 0 <= high}[verdict]
            over = head.removeprefix("gain over ")
            yield over, verdict, minus(LANGUAGE, references[over])


def of_sentence(text: str, names: list[str]) -> tuple[list[Statement], set[str]]:
    """What it states to be better than what, and what it says may be best."""
    labels = {calibration_label(name, KNOWN): name for name in names}
    code = "|".join(map(re.escape, sorted(labels, key=len, reverse=True)))
    advice = text.split(". In place of")[0]
    choice = rf"(?:Calibrate in |by (?:SNR|ARC) |^)({code})(?:: by| did best| may be as good [^:]*: by \S+ it)"
    best = labels[re.search(choice, advice)[1]]  # type: ignore[index]
    found, able = [], {best}
    if "is better than the only other one" in advice or "is better than each of the" in advice:
        found += [minus(best, [name]) for name in names if name != best]
    for listed in re.findall(rf"(?:; | and so may |but )((?:{code}|, | or )+)(?: may be best|;|$)", advice):
        able |= {labels[each] for each in re.split(", | or ", listed)}
    if "any other" in advice:
        able |= set(names)
    singles = [name for name in names if "-" not in name]
    for label in re.findall(rf"; the average other language is behind ({code})", advice):
        found.append(minus(labels[label], [name for name in singles if name != labels[label]]))
    for label, than in re.findall(rf"; ({code}) itself is behind(.*)$", advice):
        for each in re.split(", | and ", than.strip()) if than else [calibration_label(best, KNOWN)]:
            average = each == "the average other language"
            found.append(
                turned(minus(labels[label], [n for n in singles if n != labels[label]] if average else [labels[each]]))
            )
    return found, able


@settings(max_examples=60, deadline=None, derandomize=True)
@example(FOUR, 60, 2, 1.0, ACCURACY, 195)
@example(FOUR, 20, 2, 1.0, ACCURACY, 141)
@given(
    st.sampled_from(SETS),
    st.sampled_from([20, 60, 200]),
    st.sampled_from([1, 2]),
    st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    st.sampled_from([ACCURACY, "snr"]),
    st.integers(0, 2**32 - 1),
)
def test_the_sentence_and_the_table_never_contradict(
    names: list[str], items: int, draws: int, spread: float, kind: str, seed: int
) -> None:
    never_contradict(column(names, items, draws, spread, kind, seed))


@settings(max_examples=60, deadline=None, derandomize=True)
@example(["de", "en", "es"], [0.0, 10.0, -30.0], 2.6)
@example(FOUR, [-10.0, 0.0, -31.0, -20.0], 2.6)
@given(
    st.sampled_from([["de", "en", "es"], FOUR, [*FOUR, "de-en"]]),
    st.permutations([-33.0, -20.0, -7.1, 0.0, 5.3, 10.0]),
    st.sampled_from([2.0, 2.6, 2.8, 3.0]),
)
def test_neither_do_they_where_calibrations_differ_along_one_direction(
    names: list[str], places: list[float], deviations: float
) -> None:
    """All comparisons are so many standard errors from nought: enough for what is asked beforehand, or for all."""
    noise = np.random.default_rng(1).standard_normal((400, 1))
    along = (noise - noise.mean()) / noise.std(ddof=1) + deviations / 20
    values = {name: place * along for name, place in zip(names, places, strict=False)}
    never_contradict(Column("snr", values, dict.fromkeys(names, (0,)), np.arange(400)))


def never_contradict(measured: Column) -> None:
    names = list(measured.values)
    rows = best_calibrations({BLOCK: {("arc", LANGUAGE): measured}}).query("eval_language == 'de'")
    text = sentence(rows, LANGUAGE, TITLES, KNOWN)
    heads, _, line = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table(rows, TITLES, KNOWN).splitlines()
    )
    verdicts = list(of_table(line, heads, names))
    stated, able = of_sentence(text, names)
    assert line[heads.index("may be best")] == f"{len(able)} of {len(names)}"
    (page,) = blocks(rows, TITLES)
    assert page["lines"][0]["able"] == ", ".join(calibration_label(name, KNOWN) for name in sorted(able))

    stated += [each if verdict == "better" else turned(each) for _, verdict, each in verdicts if verdict in DECIDED]
    for name in able:
        assert possible([*stated, *(minus(name, [other]) for other in names if other != name)], names), name
    for over, verdict, each in verdicts:
        either = possible([*stated, each], names), possible([*stated, turned(each)], names)
        assert either == {"better": (True, False), "worse": (False, True)}.get(verdict, (True, True)), over
        if over.startswith("the average") and verdict == "better" and len(able) > 1 and LANGUAGE in able:
            assert f"; {over} is behind {LANGUAGE.upper()}" in text
    event(f"{len(able)} of {len(names)}")
    for word in ("itself is behind", "language is behind"):
        if word in text:
            event(word)
    for verdict in {verdict for _, verdict, _ in verdicts}:
        event(verdict)
