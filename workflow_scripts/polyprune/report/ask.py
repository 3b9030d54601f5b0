"""One question answered from what is finished: in which language to calibrate a model for a language.

    python -m polyprune.workflow.finished --model … --language … | python -m polyprune.report.ask

Of each method and scheme a sentence, a small table, what the numbers do not cover, and what is outstanding.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from polyprune.errors import UserError
from polyprune.grammar.benchmarks import BENCHMARKS
from polyprune.grammar.methods import METHODS
from polyprune.grammar.titles import compression_title
from polyprune.report.answer import OTHERS, POOLED, best_calibrations
from polyprune.report.answer_text import REFERENCES, caveat, gain_text, what_more
from polyprune.report.measured import load_columns
from polyprune.report.names import calibration_label, language_of
from polyprune.report.tables.markdown import pipe_table

Question = Mapping[str, Any]
"""What `workflow/finished.py` prints."""
_FIRST = (POOLED, "perplexity", "mkqa")
"""What a sentence is about, in this order: what there is first of."""
_NAMES = {POOLED: "all benchmarks", "perplexity": "perplexity", "snr": "SNR", "pruning_error": "pruning error"}


def respond(question: Question, root: Path) -> str:
    """The answer.

    Raises:
        UserError: nothing that is finished can be compared; says what to type.
    """
    measured = load_columns((root / path for path in question["items"]), (root / path for path in question["dumps"]))
    rows = best_calibrations(measured)
    language = question["language"]
    found = rows[rows["eval_language"].map(language_of) == language] if len(rows) else rows
    if found.empty:
        done = sum(line["finished"] for line in question["cells"])
        cells = sum(line["cells"] for line in question["cells"])
        raise UserError(
            f"nothing can be said of {question['title']} in {language.upper()} yet: {done} of {cells} cells are "
            f"finished, and it takes two calibrations of one method and scheme. {_type_this(question)}"
        )
    parts = []
    for line in question["cells"]:
        of_block = found[(found["method"] == line["method"]) & (found["scheme"] == line["scheme"])]
        compression = compression_title(METHODS[line["method"]].title, [line["scheme"]])
        name = f"{question['title']}, {compression}, for {language.upper()}"
        said = [sentence(of_block, language), table(of_block)] if len(of_block) else ["Nothing to compare yet."]
        parts.append("\n\n".join([f"## {name}", *said, outstanding(line)]))
    if any(line["finished"] < line["cells"] for line in question["cells"]):
        parts.append(_type_this(question))
    return "\n\n".join(parts)


def _type_this(question: Question) -> str:
    wanted = " ".join(question["targets"])
    return f"To finish it: snakemake --profile local -- {wanted} (what is outstanding, and its cost: make outstanding)"


def sentence(rows: pd.DataFrame, language: str) -> str:
    """What to do, how sure it is, and what that rests on; `rows` are of one block and language."""
    metric = next(name for name in (*_FIRST, *rows["metric"]) if (rows["metric"] == name).any())
    of_metric = rows[rows["metric"] == metric]
    first = of_metric.iloc[0]
    able = [str(name) for name in first["not_worse"]]
    chosen = language if language in able else str(first["best"])
    best, label = str(first["best"]), calibration_label(chosen)
    others = [calibration_label(name) for name in able if name not in (chosen, best)]
    text = f"Calibrate in {label}: by {_name(metric)} "
    if len(able) == 1:
        text += "it is better than every other calibration that was measured"
    elif chosen == best:
        text += f"it is best, but cannot be told from {_listed(others)}"
    else:
        text += f"{calibration_label(best)} is best, but {_listed([label, *others])} cannot be told from it"
    if language not in able and language in of_metric["calibration"].to_list():
        text += f"; {language.upper()} itself is behind"
    own = of_metric[of_metric["calibration"] == chosen].set_index("reference").to_dict("index")
    row = own.get("english") or own.get(OTHERS)
    if row is None:
        return f"{text}."
    reference = "english" if "english" in own else OTHERS
    text += f"; over {REFERENCES[reference]} it gains {gain_text(row)}"
    more = f" {what_more(row).capitalize()}." if row["verdict"] == "open" else ""
    return f"{text}. That rests on {caveat(row)}.{more}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _name(metric: str) -> str:
    return _NAMES.get(metric) or BENCHMARKS[metric].title


def table(rows: pd.DataFrame) -> str:
    """A line a benchmark and one of perplexity: what is best, how many may be, gains of the language itself."""
    own = rows[rows["is_target"].astype(bool)]
    names = [name for name in REFERENCES if (own["reference"] == name).any()]
    lines = [["by", "best", "may be", *(f"gain over {REFERENCES[name]}" for name in names)]]
    return pipe_table([*lines, *_lines(rows, names)])


def _lines(rows: pd.DataFrame, names: Sequence[str]) -> Iterator[list[str]]:
    shown = rows[~rows["metric"].isin(("snr", "pruning_error"))]
    keys = shown[["metric", "eval_language"]].drop_duplicates().itertuples(index=False, name=None)
    for metric, column in sorted(keys, key=lambda key: _FIRST.index(key[0]) if key[0] in _FIRST else len(_FIRST)):
        found = rows[(rows["metric"] == metric) & (rows["eval_language"] == column)]
        first = found.iloc[0]
        part = f" {column.upper()}" if "-" in column else ""
        gains = found[found["is_target"].astype(bool)].set_index("reference").to_dict("index")
        yield [
            f"{_name(metric)}{part}",
            calibration_label(str(first["best"])),
            f"{len(first['not_worse'])} of {first['calibrations']}",
            *(gain_text(gains[name]) if name in gains else "" for name in names),
        ]


def outstanding(line: Mapping[str, Any]) -> str:
    """`4 of 14 cells are finished; nothing yet of ES, RU.`"""
    if line["finished"] == line["cells"]:
        return f"All {line['cells']} cells of the studies are finished."
    text = f"{line['finished']} of {line['cells']} cells are finished: this may change"
    lacking = [calibration_label(name) for name in line["lacking"]]
    return f"{text}; not finished yet in any draw: {', '.join(lacking)}." if lacking else f"{text}."


def main() -> int:
    """Answer the question on standard input."""
    try:
        print(respond(json.load(sys.stdin), Path()))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
