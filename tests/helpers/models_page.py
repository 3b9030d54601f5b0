"""Writes the list of families in docs/models.md: `PYTHONPATH=.:workflow_scripts python -m tests.helpers.models_page`.

It takes some minutes. With names of model types only these are tried, and the others stay as the page has them.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
import transformers
from tests.helpers.families import model_types
from tests.helpers.tried import Outcome, try_family

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
_BEGIN, _END = "<!-- families: written by tests/helpers/models_page.py -->\n", "<!-- end of families -->"
_COLUMNS = "| model type | architecture | walked | compressed | exported and loaded |\n|---|---|---|---|---|\n"


def listed(outcomes: Iterable[Outcome]) -> str:
    """The table, with what it adds up to."""
    found = sorted(outcomes, key=lambda outcome: outcome.model_type)
    exact = sum(outcome.exact for outcome in found)
    refused = sum(outcome.walked.startswith("refused") for outcome in found)
    untried = sum(outcome.walked.startswith("not tried") for outcome in found)
    counts = f"Of {len(found)} model types {exact} are exact, {refused} are refused, {untried} were not tried, "
    counts += f"and {len(found) - exact - refused - untried} differ, with transformers {transformers.__version__}.\n\n"
    rows = [(one.model_type, one.architecture, one.walked, one.compressed, one.exported) for one in found]
    return counts + _COLUMNS + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "/") or "–"


def outcomes_of(page: str) -> dict[str, Outcome]:
    """The families that a page lists, by model type."""
    table = page.split(_BEGIN)[1].split(_END)[0].split(_COLUMNS)[-1]
    rows = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    return {row[0]: Outcome(*("" if cell == "–" else cell for cell in row)) for row in rows}


def main(asked: list[str]) -> None:
    """Try the model types `asked`, or all, and write the page."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    found = outcomes_of(page) if asked else {}
    for model_type in asked or model_types():
        found[model_type] = try_family(model_type)
        print(found[model_type], flush=True)
        PAGE.write_text(f"{before}{_BEGIN}{listed(found.values())}{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
