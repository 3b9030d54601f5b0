"""A dry run ends with the ledger's total: cells done, begun, outstanding, and what they will cost."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Sequence
from typing import Any

from polyprune.errors import UserError
from polyprune.grammar.paths import Cell
from polyprune.settings.config import Settings
from polyprune.workflow.asked import targets_in

_PARTS = ("--batch", "--until", "-U", "--omit-from", "-O")
"""Options that leave jobs out of a plan, so that it does not tell what is done."""


class _Planned(logging.Handler):
    """Collects the jobs that Snakemake says it would run."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if str(getattr(record, "event", None) or "") == "job_info":
            about = record.__dict__
            output = [str(path) for path in about["output"] or ()]
            self.jobs.append(
                {"rule": about["rule_name"], "wildcards": dict(about["wildcards"] or {}), "output": output}
            )


def tell_total(logger: logging.Logger, settings: Settings, argv: Sequence[str]) -> None:
    """Say it when this process ends. The ledger's own dry run is left alone."""
    if os.environ.get("POLYPRUNE_LEDGER"):
        return
    planned = _Planned()
    logger.addHandler(planned)
    atexit.register(_tell, planned, settings, list(argv))


def _tell(planned: _Planned, settings: Settings, argv: Sequence[str]) -> None:
    if planned.jobs:
        from polyprune.workflow.ledger import cost_in_words, incomplete_outputs, ledger, total_in_words

        total = ledger(settings, _cells(settings, argv), planned.jobs, incomplete_outputs())[-1]
        if any(word.split("=")[0] in _PARTS for word in argv):
            print(
                f"In this part of the plan, {total.incomplete + total.outstanding} cells and uncompressed models are "
                f"worked on; {cost_in_words(total)}. All that is outstanding: make outstanding"
            )
        else:
            print(f"In all, {total_in_words(total)}. By model and method, and what failed: make outstanding")


def _cells(settings: Settings, argv: Sequence[str]) -> list[Cell]:
    """Of the targets among the words of a command line."""
    from polyprune.workflow.ledger import cells_of

    found: list[Cell] = []
    for target in targets_in(argv, settings):
        try:
            found += cells_of(settings, [target])
        except UserError:
            continue  # a target without cells: a text, a model, a shard
    return list(dict.fromkeys(found))
