"""What a module of this folder that draws figures has; `grammar/reports.py` gives its name."""

from __future__ import annotations

from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

from polyprune.artifacts.measurements import Layout
from polyprune.settings.studies import FigureSettings


class FigureModule(Protocol):
    """A kind of figure, or several that are drawn alike."""

    @property
    def LAYOUT(self) -> Layout:  # noqa: N802
        """What it is drawn from."""
        ...

    def rows(self, measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
        """The tidy numbers that the figure shows, of `artifacts/measurements.py`'s."""
        ...

    def draw(self, rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
        """The picture of these rows; `names` says of which model, method and schemes it is."""
        ...
