"""Measured text is as wide as it is drawn; lines are filled."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from tests.helpers.pictures import LONG_TITLE

from polyprune.log import logger
from polyprune.report.figures import letters
from polyprune.report.figures.drawing import panel_grid, save_figure, styled
from polyprune.report.figures.letters import (
    LINE_SPACING,
    families,
    package_for,
    shown,
    text_height,
    text_width,
    undrawable,
    widest,
    wrapped,
)


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


def test_lines_end_between_chinese_characters() -> None:
    """Not before their punctuation; Latin words stay whole."""
    text = "在剪枝大型模型时，应当使用哪种语言：Llama 还是其他语言？"
    lines = wrapped(text, 0.5, 8.0).split("\n")
    assert "".join(lines) == text.replace(" ", "") and len(lines) > 3 and widest(lines, 8.0) < 0.8
    assert not [line for line in lines if line.startswith(("，", "：", "？"))] and any(
        "Llama" in line for line in lines
    )


@pytest.fixture
def fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[tuple[str, ...]], None]]:
    """As if a machine had these fonts beside DejaVu Sans."""

    def installed(names: tuple[str, ...]) -> None:
        monkeypatch.setattr(letters, "_installed", lambda: names)
        for function in (letters._family_of, letters.text_width):
            function.cache_clear()

    yield installed
    monkeypatch.undo()
    installed(letters._installed())


def test_letters_that_the_font_lacks_are_drawn_in_the_first_that_has_them(fonts: Callable[..., None]) -> None:
    """Ⓐ stands for Chinese: matplotlib brings a font that has it."""
    fonts(("STIXGeneral", "STIXNonUnicode"))
    assert families("Größe, ελ, العربية\n") == ("DejaVu Sans",) and undrawable("a\u200d\n") == ""
    assert families("a Ⓐ") == ("DejaVu Sans", "STIXGeneral") and undrawable("a Ⓐ") == ""
    assert undrawable("𝔄") == "𝔄", "its bold face lacks it, and titles are bold"
    assert text_width("ⒶⒶ", 8.0) > 1.5 * text_width("Ⓐ", 8.0) > 0
    fonts(())
    assert families("a Ⓐ") == ("DejaVu Sans",) and undrawable("Ⓐ德Ⓐ") == "Ⓐ德" and shown("a Ⓐ") == "a ?"
    assert package_for("德한カ") == "fonts-noto-cjk" and package_for("ไ語") == "fonts-noto-cjk fonts-noto-core"


def test_a_picture_has_no_boxes(
    fonts: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other bytes with a font than without one, the same each time; its title keeps its letters for pages."""
    monkeypatch.setattr(logger, "propagate", True)
    draw = lambda: panel_grid(1, 1, (2.0, 1.0), (0.5, 0.5), "Ein Ⓐ", "caption")[0]  # noqa: E731
    pictures = {}
    for names in (("STIXGeneral",), (), ("STIXGeneral",)):
        fonts(names)
        caplog.clear()
        about = {"code": "c", "config": "c"}
        with warnings.catch_warnings(action="error"):
            save_figure(draw, tmp_path / "figure1.pdf", tmp_path / "figure1.png", about)
        with Image.open(tmp_path / "figure1.png") as image:
            assert dict(image.text)["Title"] == "Ein Ⓐ"  # type: ignore[attr-defined]
        said = [record.getMessage() for record in caplog.records]
        assert said == ([] if names else [SAID.format(png=tmp_path / "figure1.png")])
        found = tuple((tmp_path / f"figure1.{ending}").read_bytes() for ending in ("png", "pdf"))
        assert pictures.setdefault(names, found) == found
    assert len(set(pictures.values())) == 2


SAID = (
    "{png} has ? for Ⓐ, which no font of this machine has: install one (Debian, Ubuntu: apt install fonts-noto-core), "
    "delete the picture and run again"
)
