"""Measured text is as wide as it is drawn; lines are filled."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tests.helpers.pictures import LONG_TITLE

from polyprune.report.figures.drawing import styled
from polyprune.report.figures.letters import LINE_SPACING, text_height, text_width, widest, wrapped


@pytest.mark.parametrize(("size", "bold"), [(6.5, False), (8.0, True), (10.5, True)])
@pytest.mark.parametrize("text", ["AR", "‖e − ẽ‖ ↓", "10⁻³", LONG_TITLE])
def test_text_is_as_wide_as_it_is_drawn(text: str, size: float, bold: bool) -> None:
    with styled():
        figure = Figure(figsize=(30, 2))
        drawn = figure.text(0.01, 0.5, text, size=size, weight="bold" if bold else "normal")
        box = drawn.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert text_width(text, size, bold) == pytest.approx(box.width / figure.dpi, abs=0.02, rel=0.01)


def test_several_lines_are_as_tall_as_they_are_drawn() -> None:
    text = "one\ntwo\nthree\nfour"
    with styled():
        figure = Figure(figsize=(4, 4))
        drawn = figure.text(0.01, 0.5, text, size=8, linespacing=LINE_SPACING)
        box = drawn.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert 0 < text_height(text, 8) - box.height / figure.dpi < 0.1


def test_lines_are_filled_and_no_wider_than_asked() -> None:
    lines = wrapped(LONG_TITLE, 3.0, 8.0).split("\n")
    assert " ".join(lines) == LONG_TITLE and widest(lines, 8.0) <= 3.0
    for line, after in itertools.pairwise(lines):
        assert text_width(f"{line} {after.split()[0]}", 8.0) > 3.0
    assert wrapped("Donaudampfschiff a", 0.1, 8.0) == "Donaudampfschiff\na"


def test_numbers_stay_with_their_units_and_differences_are_whole() -> None:
    found = wrapped("at 50 % of ‖h − h̃‖, p < .05, a\n − b", 0.1, 8.0)
    assert found.split("\n") == ["at", "50 %", "of", "‖h − h̃‖,", "p < .05,", "a − b"]
