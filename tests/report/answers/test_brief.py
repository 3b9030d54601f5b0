"""A table for a terminal: 80 columns, the marks of the picture, and a sentence that counts."""

from __future__ import annotations

from typing import Any

from tests.helpers.page import TITLES, blocks, columns

from polyprune.report.answers.brief import WIDTH, brief, sentence
from polyprune.report.tables import heatmap
from polyprune.report.tables.sheet import sheet_of


def sheet(gain: float) -> dict[str, Any]:
    return sheet_of(heatmap.picture(blocks(columns(gain)), "A title", TITLES))


def test_it_fits_and_has_every_number_with_its_mark():
    shown = sheet(0.3)
    text = brief(shown, "results/mine/table1.md")
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    grid = shown["sections"][0]["grids"][0]
    row = next(line for line in lines if line.split()[:1] == ["DE"]).split()[1:]
    wanted = zip(grid["texts"][2], grid["frames"][2], strict=True)
    assert row == [f"{number}{'*' * framed}" for number, framed in wanted]
    assert text.endswith("results/mine/table1.md")


def test_columns_that_do_not_fit_stand_below():
    shown = sheet(0.3)
    grid = shown["sections"][0]["grids"][0]
    grid |= {name: [row * 4 for row in grid[name]] for name in ("texts", "frames")} | {"columns": grid["columns"] * 4}
    lines = brief(shown | {"sections": shown["sections"][:1]}, "p").splitlines()
    assert sum(line.split()[:1] == ["DE"] for line in lines) == 3
    assert max(len(line) for line in lines if line.split()[:1] in (["DE"], ["AR"])) <= WIDTH


def test_the_sentence_counts_the_target_language():
    pairs = [(section, section["grids"][0]) for section in sheet(0.3)["sections"]]
    assert sentence(pairs) == (
        "Calibrating in the language of evaluation is best in 28 of 28 columns; by chance it would be in 4.0."
    )
    turned = [(section, section["grids"][0]) for section in sheet(-0.3)["sections"]]
    assert "best in 0 of 28 columns" in sentence(turned)
    assert "No column" in sentence([({"keys": ["q"]}, {"larger_is_better": None, "numbers": {}})])
