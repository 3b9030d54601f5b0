"""Curves over amount, share and sparsity: the points of each line, its bars, what has no place in a figure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.helpers.figures import LONG_NAMES, titles_of

from polyprune.errors import UserError
from polyprune.report.figures import curves
from polyprune.report.figures.drawing import DENSE_COLOUR, colour_of
from polyprune.settings.studies import FigureSettings


def measured(values: dict[tuple[str, str], tuple[float, ...]], scheme: str = "0.50") -> pd.DataFrame:
    """Perplexity by calibration and language of evaluation, a value a seed, among other metrics; dense has one."""
    rows = []
    for (calibration, language), of_seeds in values.items():
        dense = calibration == "dense"
        for seed, value in enumerate(of_seeds):
            cell = {"model": "m", "method": "dense" if dense else "wanda", "scheme": "dense" if dense else scheme}
            row = cell | {"calibration": calibration, "seed": pd.NA if dense else seed, "eval_language": language}
            rows.append(row | {"metric": "perplexity", "layer": None, "value": value, "n": 100})
            rows.append(row | {"metric": "snr", "layer": "mean", "value": -1.0, "n": 100})
    return pd.DataFrame(rows).astype({"seed": "Int32", "n": "Int64"})


def drawn(rows: pd.DataFrame, draws: str, **settings: Any) -> dict[str, Any]:
    figure = FigureSettings.model_validate({"title": "Title", "draws": draws, **settings})
    return titles_of(curves.draw(curves.rows(rows, figure), figure, LONG_NAMES))


def lines(axes: Any) -> dict[str, list[tuple[float, float]]]:
    """Points of each colour."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in axes.lines:
        x, y = (np.asarray(values, dtype=float).tolist() for values in line.get_data())
        found.setdefault(str(line.get_color()), []).extend(zip(x, y, strict=True))
    return found


def test_a_line_over_amounts_has_means_of_seeds_and_bars_of_all() -> None:
    rows = measured(
        {("dense", "de"): (3.0,), ("de+n8", "de"): (9.0, 11.0), ("de+n32", "de"): (6.0, 6.5), ("de", "de"): (5.0, 7.0),
         ("en+n8", "de"): (20.0,)}
    )  # fmt: skip
    axes = drawn(rows, "over_budget", sequences=16)["DE"]
    found = lines(axes)
    assert found[colour_of("de")] == [(8, 10.0), (16, 6.0), (32, 6.25)] and found[colour_of("en")] == [(8, 20.0)]
    assert [y for _, y in found[DENSE_COLOUR]] == [3.0, 3.0]
    bars = next(each for each in axes.collections if each.get_color()[0][:3].tolist() and len(each.get_segments()) == 3)
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[9.0, 11.0], [5.0, 7.0], [6.0, 6.5]]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["8", "16", "32"]


def test_a_line_over_shares_goes_from_the_other_language_alone_to_the_language_itself() -> None:
    values = {"de": 5.0, "en": 9.0, "sw": 30.0, "de-en": 6.0, "de12.5-en87.5": 8.0, "de25-sw75": 7.0}
    values |= dict.fromkeys(("de+n8", "de@code", "de+chat", "de-en+self", "random"), 99.0)
    rows = measured({(name, "de"): (value,) for name, value in values.items()} | {("dense", "de"): (1.0,)})
    rows = pd.concat([rows, measured({(name, "ru"): (2.0,) for name in values})])
    found = drawn(rows, "over_dose")
    assert list(found) == ["DE"], "Russian is in no mix"
    assert lines(found["DE"])[colour_of("en")] == [(0, 9.0), (12.5, 8.0), (50, 6.0), (100, 5.0)]
    assert lines(found["DE"])[colour_of("sw")] == [(0, 30.0), (25, 7.0), (100, 5.0)]


def test_a_line_over_sparsity_is_divided_by_the_languages_own_seed_by_seed() -> None:
    parts = [
        measured({("de", "de"): (2.0, 4.0), ("en", "de"): (3.0, 8.0), ("random", "de"): (4.0,)}, "0.30"),
        measured({("de", "de"): (2.0,), ("en", "de"): (2.0,)}, "0.60"),
        measured({("de", "de"): (2.0,), ("en", "de"): (5.0,)}, "2of4"),
        measured({("de", "de"): (2.0,), ("en", "de"): (6.0,)}, "4of8"),
        measured({("en", "de"): (6.0,)}, "0.70"),
    ]
    axes = drawn(pd.concat(parts), "over_sparsity")["DE"]
    assert lines(axes)[colour_of("en")] == [(30, 1.75), (60, 1.0), (79, 2.5), (88, 3.0)]
    joined = [line for line in axes.lines if line.get_color() == colour_of("en") and line.get_linestyle() == "-"]
    assert [line.get_xdata().tolist() for line in joined] == [[30, 60]], "n:m has no place between sparsities"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["30", "60", "2:4", "4:8"]
    assert lines(axes)[colour_of("random", ["en", "random"])] == [(30, 2.0)]
    assert axes.get_yscale() == "log"


@pytest.mark.parametrize("draws", ["over_dose", "over_sparsity"])
def test_a_figure_of_nothing_is_refused(draws: str) -> None:
    with pytest.raises(UserError, match=f"Title: no cell of its grids has a place in a figure {draws}"):
        drawn(measured({("de+n8", "de"): (5.0,), ("dense", "de"): (math.e,)}), draws)
