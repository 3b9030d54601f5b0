"""What a study says, in sentences: counts over all its blocks, then a line a block.

From rows of `report/answers/answer.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from polyprune.grammar.titles import Titles
from polyprune.report.answers.answer import ALL, POOLED, TESTABLE
from polyprune.report.answers.answer_text import REFERENCES, block_sentence, number
from polyprune.report.answers.comparison import ALPHA
from polyprune.report.names import calibration_label, language_of

BLOCK = ["model", "method", "scheme"]
HEADINGS = {POOLED: "benchmarks", "perplexity": "perplexity", "mkqa": "MKQA"}
"""What is said of the whole study, if it was measured."""
_WORDS = {"better": "better", "worse": "worse", "equal": "shown to be within the margin", "open": "open"}


def sentences(rows: pd.DataFrame) -> Iterator[str]:
    """The verdict: of each sort of number, the test over all languages; then calibrating in English beside it."""
    for metric, heading in HEADINGS.items():
        whole = rows[(rows["eval_language"] == ALL) & (rows["metric"] == metric)]
        whole = whole[whole["calibrations"] >= TESTABLE] if len(whole) else whole
        if len(whole):
            yield f"By {heading}, {_whole(whole)}"
    for metric, heading in HEADINGS.items():
        own = rows[rows["is_target"].astype(bool) & (rows["eval_language"] != ALL) & (rows["metric"] == metric)]
        if len(english := own[own["reference"] == "english"]):
            counts = english["verdict"].value_counts()
            said = ", ".join(f"{word} in {counts[name]}" for name, word in _WORDS.items() if name in counts)
            yield (
                f"Against calibrating in English, by {heading}, the target language is {said} of {len(english)} "
                "comparisons, one a language and combination."
            )


def _whole(rows: pd.DataFrame) -> str:
    better = int((rows["p"] < ALPHA).sum())
    unit = rows["unit"].iloc[0]
    low, high = (number(float(value), unit) for value in (rows["gain"].min(), rows["gain"].max()))
    ends = f"{low} {unit}" if len(rows) == 1 else f"{low} to {high} {unit}"
    things = "combination" if len(rows) == 1 else "combinations"
    return (
        f"calibrating in the language of evaluation is better than in the average other language in {better} of "
        f"{len(rows)} {things} of model, method and scheme (p < .05, one-sided exact permutation test); "
        f"the gain is {ends}."
    )


def headline(rows: pd.DataFrame) -> str:
    """The one sentence at the top."""
    said = next(sentences(rows), None)
    if said is None:
        return (
            "Nothing can be said over all languages yet: that takes four or more single languages, calibrated and "
            "evaluated in, of one model, method and scheme."
        )
    return said


def blocks(rows: pd.DataFrame, titles: Titles) -> Iterator[dict[str, Any]]:
    """Of each model, method and scheme: heading, its test in words, and its comparisons as lines."""
    for names, block in rows.groupby(BLOCK, sort=False):
        model, method, scheme = map(str, names)
        yield {
            "heading": titles.heading(model, method, scheme),
            "model": model,
            "method": method,
            "sentence": block_sentence(block, titles),
            "lines": list(_lines(block, titles)),
        }


def _lines(block: pd.DataFrame, titles: Titles) -> Iterator[dict[str, Any]]:
    """One of each language and sort of number; of a language with one benchmark that stands for all."""
    of_language = block[block["eval_language"] != ALL]
    many = set(of_language.loc[of_language["metric"] == POOLED, "eval_language"].map(language_of))
    alone = ~of_language["eval_language"].map(language_of).isin(many) & of_language["metric"].isin(titles.benchmarks)
    shown = of_language[of_language["metric"].isin(HEADINGS) | alone]
    known = sorted({language_of(code) for code in shown["eval_language"]})
    for (language, metric), found in shown.groupby(["eval_language", "metric"], sort=False):
        first = found.iloc[0]
        own = found[found["is_target"].astype(bool)].to_dict("records")
        yield {
            "language": str(language),
            "by": HEADINGS.get(str(metric), HEADINGS[POOLED]),
            "best": calibration_label(str(first["best"]), known),
            "able": ", ".join(calibration_label(str(name), known) for name in first["not_worse"]),
            "gains": {REFERENCES[row["reference"]]: _gain(row) for row in own},
        }


def _gain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Numbers of one comparison, for a chart and a line."""
    values = {name: float(row[name]) for name in ("gain", "low", "high", "margin", "p_corrected")}
    return {**values, "unit": str(row["unit"]), "verdict": str(row["verdict"]), "items": int(row["items"])}
