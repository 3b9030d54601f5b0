"""What a kind of table hands to the stage that writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from matplotlib.figure import Figure

from polyprune.grammar.titles import Titles
from polyprune.settings.studies import TableSettings


@dataclass(frozen=True)
class Report:
    """A table in its three forms."""

    schema: str
    """Kind and version of its long form."""
    rows: pa.Table
    """Long: a row a value."""
    page: str
    """Markdown."""
    draw: Callable[[], Figure]
    """Makes the picture."""
    log: Sequence[str]
    """What it says, in a line a block."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Of its rows, beyond what the stage knows."""


class TableModule(Protocol):
    """A module of this folder, by the name that `grammar/reports.py` gives it."""

    def report(
        self,
        measurements: Sequence[Path],
        paper: Sequence[Path],
        table: TableSettings,
        titles: Titles,
        evidence: Sequence[Path],
    ) -> Report:
        """Arrange what was measured.

        `paper` is a file of the paper's numbers or nothing; `titles` are names in print, models in the table's order;
        `evidence` is what the measurements were taken from, item by item (`report/measured.py`), where a kind asks for
        it.
        """
        ...
