"""What of languages, and what of drift, goes with the damage that a calibration language does to the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.identity import place_of
from polyprune.artifacts.measurements import save_frame
from polyprune.artifacts.prompts import load_prompt_set
from polyprune.errors import UserError
from polyprune.grammar.titles import Titles
from polyprune.log import logger
from polyprune.report.figures.drawing import save_png
from polyprune.report.tables.rows import load_benchmark_scores, load_scores
from polyprune.report.why.why import ALL_BENCHMARKS, GIVEN, explain, traits
from polyprune.report.why.why_picture import draw_why
from polyprune.report.why.why_text import render_why


def explain_damage(
    scores: list[Path],
    evaluations: list[Path],
    prompts: list[Path],
    languages: Path,
    shares: dict[str, dict[str, float]],
    title: str,
    titles: Titles,
    output: Path,
    markdown: Path,
    picture: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the rows of `report/why/why.py`, the page and the scatter.

    `scores` are perplexity and drift of cells and perplexity of their dense models, `evaluations` the cells'
    benchmarks, `prompts` the models' tokens of parallel prompts, `languages` the table of languages, `shares` of models
    trained here those of their training documents.
    """
    rows = pd.concat([load_scores(scores), load_benchmark_scores(evaluations)[0]], ignore_index=True)
    tokens = dict(map(_tokens_per_prompt, prompts))
    known = pd.read_csv(languages, dtype={"language": "str"}, keep_default_na=False)
    found = explain(rows, traits(known, rows, tokens, shares))
    of_all = found[(found["kind"] == "prediction") & (found["metric"] == ALL_BENCHMARKS)]
    for row in of_all[of_all["given"].isin(GIVEN[2:])].to_dict("records"):
        about = "/".join(str(row[name]) for name in ("model", "method", "scheme"))
        logger.info("%s: loss by %s given %s: r %+.2f", about, row["explained_by"], row["given"], row["r"])
    save_frame(output, found, provenance)
    with atomic_write(markdown) as part:
        part.write_text(render_why(found, title, titles), encoding="utf-8")
    save_png(lambda: draw_why(rows, title, titles), picture)


def _tokens_per_prompt(path: Path) -> tuple[tuple[str, str], float]:
    """Model and language of a file of prompts, and how many tokens of the user's text one has on average."""
    prompts, place = load_prompt_set(path), place_of(path)
    if place is None:
        raise UserError(f"{path} lies in no folder results, which would say the model whose tokens it holds")
    return (place.split("/")[0], prompts.metadata["language"]), float(prompts.content.sum()) / len(prompts.items)
