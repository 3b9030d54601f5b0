"""How the text that losses are taken on is framed, and which of its tokens are no targets: sentences for captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from polyprune.artifacts.identity import Header
from polyprune.grammar.titles import Titles

_SPECIAL = "special_targets"


def framing_sentences(headers: Iterable[Header], rows: pd.DataFrame, titles: Titles) -> list[str]:
    """A sentence a framing, with its models, from the headers and all rows of score files; rows name each language."""
    models: dict[str, dict[str, None]] = {}
    for header in headers:
        models.setdefault(_words(header["text"]), {})[header["variant"]["model"]] = None
    counted = rows[rows["metric"] == _SPECIAL].drop_duplicates(["model", "eval_language"])
    sentences = []
    for words, names in models.items():
        of = counted[counted["model"].isin(list(names))]
        left_out, total = int(of["value"].sum()), int(of["n"].sum())
        whose = "" if len(models) == 1 else f" of {', '.join(titles.models[name] for name in names)}"
        sentences.append(
            f"Evaluation text{whose}: {words}; no special token is a target ({left_out:,} of {total:,} left out)."
        )
    return sentences


def _words(text: Mapping[str, Any]) -> str:
    if text["around"] is None:
        return "documents joined by a blank, as in the published code of Wanda and SparseGPT"
    before, after = text["around"]
    match before, after:
        case None, None:
            return "documents joined, with nothing between them"
        case None, _:
            return f"{after} after each document"
        case _, None:
            return f"{before} before each document"
    return f"each document between {before} and {after}"
