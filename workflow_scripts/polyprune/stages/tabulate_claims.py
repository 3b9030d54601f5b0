"""The paper's claims and blocks, recomputed from its printed numbers and, where a study has them, from the study's."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.measurements import save_frame
from polyprune.grammar.titles import Titles
from polyprune.log import logger
from polyprune.report.names import PAPER_METHODS, PAPER_MODELS
from polyprune.report.paper.block_test import compare_blocks, render_blocks
from polyprune.report.paper.claim_list import CLAIMS
from polyprune.report.paper.claims import judge, render_claims
from polyprune.report.printed import load_printed, load_study, table_number

PAPER, STUDY = "paper", "study"


def tabulate_claims(
    paper: list[Path],
    tables: list[Path],
    title: str,
    titles: Titles,
    claims: Path,
    claims_markdown: Path,
    blocks: Path,
    blocks_markdown: Path,
    provenance: dict[str, Any],
) -> None:
    """Write verdicts (`report/paper/claims.py`) and tests of blocks (`block_test.py`), by the column `numbers`.

    `paper` are the paper's printed tables, `tables` a study's long ones (none: the paper alone); both are named
    `table{n}`, and a number means the same table in both. `titles` are the study's names in print, `title` is its own.
    """
    sources = {PAPER: {table_number(file): load_printed(file) for file in paper}}
    if tables:
        sources[STUDY] = load_study(tables)
    judged = {source: judge(CLAIMS, found) for source, found in sources.items()}
    tested = {source: compare_blocks(found) for source, found in sources.items()}
    for source, verdicts in judged.items():
        logger.info("%s: %s", source, dict(verdicts["verdict"].value_counts()))
    known = Titles(PAPER_MODELS | dict(titles.models), PAPER_METHODS | dict(titles.methods), titles.benchmarks)
    in_words = partial(render_blocks, titles=known)
    names = {PAPER: "the paper's printed numbers", STUDY: title}
    for output, markdown, found, render, heading in (
        (claims, claims_markdown, judged, render_claims, "The paper's claims, recomputed from"),
        (blocks, blocks_markdown, tested, in_words, "The target language against the others, from"),
    ):
        frame = pd.concat([each.assign(numbers=source) for source, each in found.items()], ignore_index=True)
        save_frame(output, frame, provenance)
        with atomic_write(markdown) as part:
            pages = [render(each, f"{heading} {names[source]}") for source, each in found.items() if len(each)]
            part.write_text("\n".join(pages), encoding="utf-8")
