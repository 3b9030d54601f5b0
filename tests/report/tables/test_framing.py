"""What captions say of framing: a sentence a framing, with what was left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from tests.helpers.headers import scored
from tests.helpers.titles import titles_of

from polyprune.artifacts.scores import SCHEMA, save_scores
from polyprune.report.tables.framing import framing_sentences
from polyprune.report.tables.rows import load_scores, read_headers

FRAMES: dict[str, Any] = {"a": ["<s>", "</s>"], "b": [None, "<|endoftext|>"], "c": None}


def score_file(folder: Path, model: str, calibration: str) -> Path:
    dense = calibration == "dense"
    method, scheme = ("dense", "dense") if dense else ("wanda", "0.50")
    variant = {"model": model, "method": method, "scheme": scheme, "calibration": calibration}
    variant |= {"seed": None if dense else 0}
    rows = [
        {**variant, "corpus": "c", "metric": metric, "eval_language": language, "value": value, "unit": "token", "n": n}
        for language, left_out in (("de", 3.0), ("en", 4.0))
        for metric, value, n in (("special_targets", left_out, 1000), ("perplexity", 9.0, 990))
    ]
    text = {"framing": "documents" if FRAMES[model] else "published", "around": FRAMES[model]}
    path = folder / f"{model}-{calibration}.parquet"
    save_scores(path, rows, scored({**variant, "corpus": "c"}, text=text))
    return path


def sentences(folder: Path, *models: str) -> list[str]:
    files = [score_file(folder, model, calibration) for model in models for calibration in ("dense", "de", "en")]
    rows: pd.DataFrame = load_scores(files)
    return framing_sentences(
        read_headers(files, SCHEMA).values(), rows, titles_of({name: name.upper() for name in models})
    )


def test_one_framing_is_said_once_and_each_text_counted_once(tmp_path: Path):
    assert sentences(tmp_path, "a") == [
        "Evaluation text: each document between <s> and </s>; no special token is a target (7 of 2,000 left out)."
    ]


def test_several_framings_name_their_models(tmp_path: Path):
    assert sentences(tmp_path, "b", "c") == [
        "Evaluation text of B: <|endoftext|> after each document; no special token is a target (7 of 2,000 left out).",
        "Evaluation text of C: documents joined by a blank, as in the published code of Wanda and SparseGPT; "
        "no special token is a target (7 of 2,000 left out).",
    ]
