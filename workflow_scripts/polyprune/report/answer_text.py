"""The answer in plain words, from the rows of `report/answer.py`: the page of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from polyprune.grammar.titles import Titles
from polyprune.report.answer import ALL, OTHERS, POOLED
from polyprune.report.names import calibration_label, language_of
from polyprune.report.tables.markdown import pipe_table

Row = Mapping[Any, Any]
REFERENCES = {"english": "English", "mix": "the mix", OTHERS: "the average other language"}
HEADINGS = {POOLED: "benchmarks", "perplexity": "perplexity", "mkqa": "MKQA"}
"""What an answer is given for, if it was measured."""
NOTES = (
    "Gain: of calibrating in the language of evaluation, with the 95 % interval of that comparison alone; points of "
    "accuracy on benchmarks (mean of a language's columns), per cent by which perplexity is lower. *better*, *worse*: "
    "p < .05 after Holm over all calibrations against the same reference; *equal*: shown to be within the margin (1 "
    "point, 1 %); *open*: neither, which is no evidence of equality. May be best: what cannot be told from the best "
    "seen. Nothing is corrected for the number of rows of this page."
)


def number(value: float, unit: str) -> str:
    text = f"{value:+.2f}" if unit == "dB" else f"{value:+.1f}"
    return text.replace("-", "−")


def gain_text(row: Row) -> str:
    """`+1.3 points (−0.4 to +3.0), open`."""
    unit = row["unit"]
    gain, low, high = (number(row[name], unit) for name in ("gain", "low", "high"))
    return f"{gain}{'' if unit == '%' else ' '}{unit} ({low} to {high}), {row['verdict']}"


def what_more(row: Row) -> str:
    """What an open question would take."""
    margin = f"{row['margin']:g} {row['unit']}".removesuffix("s")
    ways = []
    if pd.notna(row["items_needed"]):
        ways.append(f"{int(row['items_needed']):,} {'sequences' if row['metric'] == 'perplexity' else 'questions'}")
    if pd.notna(row["draws_needed"]):
        ways.append(f"{int(row['draws_needed']):,} seeds")
    seen = f"a difference of {row['detectable']:.1f} {row['unit']} would be seen in 4 of 5 studies like this"
    if not ways:
        return f"{seen}; for {margin} neither more questions nor more seeds alone would do"
    return f"{seen}; {margin} would take {' or '.join(ways)}"


def caveat(row: Row) -> str:
    """What a number does not cover."""
    sample = f"{row['items']:,} {'sequences' if row['metric'] == 'perplexity' else 'questions'}"
    if row["one_draw"]:
        return f"{sample}, one draw of calibration text: another draw may say otherwise"
    return f"{sample}, {row['draws']} draws of calibration text"


def sentences(rows: pd.DataFrame, language: str, known: Sequence[str]) -> Iterator[str]:
    """One sentence for each of `HEADINGS` that was measured for the language; `rows` are of one block."""
    for metric, heading in HEADINGS.items():
        found = rows[(rows["eval_language"] == language) & (rows["metric"] == metric)]
        if found.empty:
            continue
        first = found.iloc[0]
        able = [calibration_label(name, known) for name in first["not_worse"]]
        best = calibration_label(str(first["best"]), known)
        choice = f"{best} is best" if len(able) == 1 else f"{best} is best, but {len(able)} may be: {', '.join(able)}"
        own = found[found["is_target"].astype(bool)].to_dict("records")
        gains = [f"over {REFERENCES[row['reference']]} {gain_text(row)}" for row in own]
        text = f"By {heading}: {choice}."
        if gains:
            text += f" Calibrating in {language.upper()} gains {'; '.join(gains)}."
            unsure = [f" Open as yet: {what_more(row)}." for row in own if row["verdict"] == "open"]
            text += "".join(unsure[:1]) + f" ({caveat(own[0])}.)"
        yield text


def block_sentence(rows: pd.DataFrame) -> str:
    """The test of the whole block in words; `rows` are of one block. It needs two languages that are calibrated in."""
    whole = rows[(rows["eval_language"] == ALL) & rows["metric"].isin(HEADINGS)]
    parts = [
        f"{HEADINGS[row['metric']]} {number(row['gain'], row['unit'])} {row['unit']} (p = {row['p']:.4f})"
        for row in sorted(whole.to_dict("records"), key=lambda row: list(HEADINGS).index(row["metric"]))
    ]
    if not parts:
        return "The test over all languages needs more calibration languages than this study has."
    return f"Over all languages, calibrating in that of evaluation gains over the average other: {', '.join(parts)}."


def render_answer(rows: pd.DataFrame, title: str, titles: Titles) -> str:
    """The page of a study: a section a model, method and scheme, a line and a sentence a language."""
    parts = [f"# {title}", NOTES]
    for (model, method, scheme), block in rows.groupby(["model", "method", "scheme"], sort=False):
        languages = _languages(block)
        parts += [f"## {titles.heading(str(model), str(method), str(scheme))}", block_sentence(block)]
        parts.append(_table(block, languages))
        parts.append(
            "\n".join(f"- {code.upper()}: {' '.join(sentences(block, code, languages))}" for code in languages)
        )
    return "\n\n".join(parts) + "\n"


def _languages(rows: pd.DataFrame) -> list[str]:
    return sorted({language_of(code) for code in rows["eval_language"]} - {ALL})


def _table(block: pd.DataFrame, languages: Sequence[str]) -> str:
    metrics = [metric for metric in HEADINGS if (block["metric"] == metric).any()]
    own = block[block["is_target"].astype(bool) & (block["eval_language"] != ALL)]
    names = [name for name in REFERENCES if (own["reference"] == name).any()]
    lines = [["language", "by", "best", "may be best", *(f"gain over {REFERENCES[name]}" for name in names)]]
    for language in languages:
        for metric in metrics:
            found = block[(block["eval_language"] == language) & (block["metric"] == metric)]
            if found.empty:
                continue
            best, able = str(found["best"].iloc[0]), found["not_worse"].iloc[0]
            gains = own[(own["eval_language"] == language) & (own["metric"] == metric)].set_index("reference")
            texts = [gain_text(dict(gains.loc[name])) if name in gains.index else "" for name in names]
            lines.append(
                [language.upper(), HEADINGS[metric], calibration_label(best, languages), str(len(able)), *texts]
            )
    return pipe_table(lines)
