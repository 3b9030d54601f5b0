"""The answer in plain words, from the rows of `answer.py`: of a study, and of one question (`ask.py`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from polyprune.grammar.columns import place_in_tables
from polyprune.grammar.titles import Titles
from polyprune.report.answers.answer import ALL, POOLED, TESTABLE
from polyprune.report.answers.comparison import OTHERS
from polyprune.report.names import calibration_label, language_of
from polyprune.report.pipe_tables import pipe_table

Row = Mapping[Any, Any]
REFERENCES = {"english": "English", "mix": "the mix", OTHERS: "the average other language"}
HEADINGS = {POOLED: "all benchmarks", "perplexity": "perplexity", "mkqa": "MKQA"}
"""What a whole block is spoken of by."""
METRICS = HEADINGS | {"snr": "SNR", "pruning_error": "pruning error"}
"""Names of what is not in the mean of all benchmarks."""
_PLACES = {POOLED: 0, "perplexity": 2, "mkqa": 3, "snr": 4, "pruning_error": 5}
"""In tables, and of what a sentence is about: what there is first of. A benchmark alone is in place 1."""
_SMALLEST_P = 1e-4
_DID_BEST, _ANY = "did best; {} may be best, too", "any other"
_NOTHING_TOLD = _DID_BEST.format(_ANY)
_DRIFT = ("perplexity", "snr", "pruning_error")
NOTES = (
    "Gain: of calibrating in the language of evaluation, with its interval; points of accuracy on benchmarks (all: "
    "mean of a language's columns), per cent by which perplexity is lower. Intervals are so wide that all comparisons "
    "among the calibrations of a line are right together with 95 %; half of the 5 % is for these gains, asked "
    "beforehand. *better*, *worse*: the interval is above, below nought; *within* 1 point, 1 %: the whole of it is, "
    "either way; *open*: none of these, which is no evidence of equality. May be best: what nothing that is shown "
    "rules out. Nothing is corrected for the number of lines."
)


def number(value: float, unit: str) -> str:
    text = f"{value:+.2f}" if unit == "dB" else f"{value:+.1f}"
    return text.replace("-", "−")


def gain_text(row: Row) -> str:
    """`+1.3 points (−0.4 to +3.0), open`."""
    unit = row["unit"]
    gain, low, high = (number(row[name], unit) for name in ("gain", "low", "high"))
    verdict = f"within {_margin(row)}" if row["verdict"] == "equal" else row["verdict"]
    return f"{gain}{'' if unit == '%' else ' '}{unit} ({low} to {high}), {verdict}"


def _margin(row: Row) -> str:
    return f"{row['margin']:g} {row['unit']}".removesuffix("s")


def what_more(row: Row) -> str:
    """What an open question would take, as a sentence."""
    ways = []
    if pd.notna(row["items_needed"]):
        ways.append(f"{int(row['items_needed']):,} {_things(row)}")
    if pd.notna(row["draws_needed"]):
        ways.append(f"{int(row['draws_needed']):,} seeds")
    seen = f"A gain of {row['detectable']:.1f} {row['unit']} would be seen in 4 of 5 studies like this"
    if not ways:
        return f"{seen}; for {_margin(row)} neither more {_things(row)} nor more seeds alone would do"
    return f"{seen}; {_margin(row)} would take {' or '.join(ways)}"


def caveat(row: Row) -> str:
    """What a number does not cover."""
    sample = f"{row['items']:,} {_things(row)}"
    if row["one_draw"]:
        return f"{sample}, one draw of calibration text: another draw may say otherwise"
    return f"{sample}, {row['draws']} draws of calibration text"


def _things(row: Row) -> str:
    return "sequences" if row["metric"] in _DRIFT else "questions"


def _place(metric: str) -> int:
    return _PLACES.get(metric, 1)


def sentence(rows: pd.DataFrame, language: str, titles: Titles, known: Sequence[str]) -> str:
    """What to do, how sure that is, and what it rests on; `rows` are of one block and evaluation language.

    It is about the metric that has the first place of those that were measured, and then about perplexity. `known` are
    the languages that a mix of all has.
    """
    first = min(rows["metric"], key=_place)
    shown = rows[rows["metric"] == first]
    own = shown[shown["calibration"] == (language if shown["is_target"].any() else shown["best"].iloc[0])]
    gains = {row["reference"]: row for row in own.to_dict("records")}
    row = next(gains[reference] for reference in ("english", OTHERS, "mix") if reference in gains)
    said = f"In place of {REFERENCES[row['reference']]}, {calibration_label(row['calibration'], known)} gives "
    parts = [f"{_choice(shown, language, metric_name(first, titles, rows), known)}."]
    parts += [f"{said}{gain_text(row)}.", f"That rests on {caveat(row)}."]
    parts += [f"{what_more(row)}."] if row["verdict"] == "open" else []
    beside = rows[rows["metric"] == "perplexity"]
    if len(beside) and first != "perplexity":
        best = calibration_label(str(beside["best"].iloc[0]), known)
        parts.append(f"By perplexity {best} {_ahead(beside, language, known)}.")
    return " ".join(parts)


def _choice(rows: pd.DataFrame, language: str, by: str, known: Sequence[str]) -> str:
    """Advice that goes as far as what was measured: of calibrations that may be best, none is called better."""
    first = rows.iloc[0]
    best, target = (calibration_label(name, known) for name in (first["best"], language))
    if language not in first["not_worse"] or language == first["best"]:
        unknown = "" if rows["is_target"].any() else f"; {target} itself was not calibrated in"
        ahead = _ahead(rows, language, known)
        choice = f"{best} may be as good a choice as any" if ahead == _NOTHING_TOLD else f"Calibrate in {best}"
        return f"{choice}: by {by} it {ahead}{unknown}"
    said = f"{target} may be as good a choice as any: by {by} {best} did best, but {target} may be best, too"
    more = f", and so may {_others(rows, [first['best'], language], known)}" if len(first["not_worse"]) > 2 else ""
    return f"{said}{more}{_average_behind(rows, language, known)}"


def _ahead(rows: pd.DataFrame, language: str, known: Sequence[str]) -> str:
    """Of the best of a metric: what it is better than, and whether the language itself is among that."""
    best, able, compared = rows["best"].iloc[0], rows["not_worse"].iloc[0], rows["calibrations"].iloc[0] - 1
    if len(able) > 1:
        text = _DID_BEST.format(_others(rows, [best], known))
    else:
        text = f"is better than {'the only other one' if compared == 1 else f'each of the {compared} others'} measured"
    measured = rows["is_target"].any()
    if measured and language not in able:
        return f"{text}; {_behind(rows, language, known)}"
    return text + _average_behind(rows, language if measured else best, known)


def _behind(rows: pd.DataFrame, language: str, known: Sequence[str]) -> str:
    """That the language itself is behind; what, where that is not the best seen."""
    ahead = rows.loc[rows["calibration"] == language, "behind"].iloc[0]
    names = [REFERENCES.get(name) or calibration_label(name, known) for name in ahead]
    than = "" if rows["best"].iloc[0] in ahead or len(rows["not_worse"].iloc[0]) == 1 else f" {_listed(names, 'and')}"
    return f"{calibration_label(language, known)} itself is behind{than}"


def _average_behind(rows: pd.DataFrame, calibration: str, known: Sequence[str]) -> str:
    """What is shown of one of several that may be best: each of them may be, but they are not all as good."""
    found = rows[(rows["calibration"] == calibration) & (rows["reference"] == OTHERS)]
    if len(rows["not_worse"].iloc[0]) == 1 or not (found["verdict"] == "better").any():
        return ""
    return f"; {REFERENCES[OTHERS]} is behind {calibration_label(calibration, known)}"


def _others(rows: pd.DataFrame, spoken_of: Sequence[str], known: Sequence[str]) -> str:
    """What may be the best, too."""
    able = rows["not_worse"].iloc[0]
    if len(able) == rows["calibrations"].iloc[0]:
        return _ANY
    return _listed([calibration_label(name, known) for name in able if name not in spoken_of], "or")


def _listed(names: Sequence[str], word: str) -> str:
    return f" {word} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def metric_name(metric: str, titles: Titles, rows: pd.DataFrame) -> str:
    """In print; the mean of `rows` of one benchmark alone (English ARC's two parts) has its name."""
    parts = benchmarks_in(rows)
    if metric == POOLED and len(parts) == 1:
        return titles.benchmarks[parts[0]]
    return METRICS.get(metric) or titles.benchmarks[metric]


def benchmarks_in(rows: pd.DataFrame) -> list[str]:
    """Those that are in the mean of all."""
    return [name for name in dict.fromkeys(rows["metric"]) if _place(name) == 1]


def table(rows: pd.DataFrame, titles: Titles, known: Sequence[str], parts: bool = True) -> str:
    """A line a language and metric: what is best, how many may be, gains of the language itself.

    SNR and pruning error have none; benchmarks that are in the mean of all have theirs if `parts` are wanted.
    """
    own = rows[rows["is_target"].astype(bool)]
    references = [name for name in REFERENCES if (own["reference"] == name).any()]
    lines = [["language", "by", "best", "may be best", *(f"gain over {REFERENCES[name]}" for name in references)]]
    for language in languages_in(rows):
        of_language = rows[rows["eval_language"].map(language_of) == language]
        pooled = (of_language["metric"] == POOLED).any() and not parts
        for column, metric in _keys(of_language):
            if metric in _DRIFT[1:] or (pooled and _place(metric) == 1):
                continue
            found = of_language[(of_language["metric"] == metric) & (of_language["eval_language"] == column)]
            by = metric_name(metric, titles, of_language)
            lines.append([column.upper(), by, *_line(found, references, known)])
    return pipe_table(lines)


def _keys(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Columns and metrics in their order."""
    keys = set(rows[["eval_language", "metric"]].itertuples(index=False, name=None))
    return sorted(keys, key=lambda key: (_place(key[1]), key[1], place_in_tables(key[0])))


def _line(found: pd.DataFrame, references: Sequence[str], known: Sequence[str]) -> list[str]:
    first = found.iloc[0]
    gains = found[found["is_target"].astype(bool)].set_index("reference").to_dict("index")
    return [
        calibration_label(str(first["best"]), known),
        f"{len(first['not_worse'])} of {first['calibrations']}",
        *(gain_text(gains[name]) if name in gains else "" for name in references),
    ]


def block_sentence(rows: pd.DataFrame, titles: Titles) -> str:
    """The test of the whole block in words; `rows` are of one block."""
    whole = rows[rows["eval_language"] == ALL]
    shown = whole[whole["metric"].isin(HEADINGS)].sort_values("metric", key=lambda metrics: metrics.map(_place))
    parts = [
        f"{metric_name(row['metric'], titles, whole)} {number(row['gain'], row['unit'])} {row['unit']} "
        f"({p_text(row['p'])}{_least(row['calibrations'])})"
        for row in shown.to_dict("records")
    ]
    if not parts:
        return "The test over all languages needs two or more that are calibrated and evaluated in."
    return (
        "Over all languages that are calibrated and evaluated in, calibrating in that of evaluation gains over the "
        f"average other: {', '.join(parts)}."
    )


def p_text(p: float) -> str:
    """Of many languages p is so small that four digits would say 0."""
    return f"p = {p:.4f}" if p >= _SMALLEST_P else f"p < {_SMALLEST_P:.4f}"


def _least(languages: int) -> str:
    """What p could be at all, where that is never small."""
    return (
        ""
        if languages >= TESTABLE
        else f"; of {languages} languages it is {1 / math.factorial(languages):.2f} at least"
    )


def languages_in(rows: pd.DataFrame) -> list[str]:
    """Evaluation languages."""
    return sorted({language_of(code) for code in rows["eval_language"]} - {ALL})


def render_answer(rows: pd.DataFrame, title: str, titles: Titles) -> str:
    """The page of a study: a section a model, method and scheme, in it a table and a line a language."""
    parts = [f"# {title}", NOTES]
    for (model, method, scheme), block in rows.groupby(["model", "method", "scheme"], sort=False):
        known = languages_in(block)
        heading = titles.heading(str(model), str(method), str(scheme))
        of_language = {code: block[block["eval_language"].map(language_of) == code] for code in known}
        lines = [f"- {code.upper()}: {sentence(rows, code, titles, known)}" for code, rows in of_language.items()]
        of_all = table(block, titles, known, parts=False)
        parts += [f"## {heading}", block_sentence(block, titles), of_all, "\n".join(lines)]
    return "\n\n".join(parts) + "\n"
