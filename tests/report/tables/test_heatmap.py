"""What a reader relies on in the picture of a table: numbers under their labels, true shades and frames."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Colormap, to_rgba
from matplotlib.figure import Figure
from tests.helpers.pictures import (
    LANGUAGES,
    LONG_TITLE,
    Cell,
    Key,
    Panel,
    assert_readable,
    lightness,
    read_table,
    same_colour,
)
from tests.helpers.titles import titles_of

from polyprune.grammar.titles import Titles
from polyprune.report.figures.drawing import INK, SHADES
from polyprune.report.names import calibration_label
from polyprune.report.paper.versus_picture import BLUE_TO_ORANGE
from polyprune.report.tables import heatmap
from polyprune.report.tables.blocks import Block, Metric, make_blocks
from polyprune.report.tables.heatmap import column_shades
from polyprune.report.tables.picture import DARK_INK, PALE_INK, Grid, Picture, Section, draw_picture, ink_on
from polyprune.report.tables.standing import Standing

METRICS = (
    Metric("perplexity", "Perplexity", larger_is_better=False),
    Metric("snr", "SNR", larger_is_better=True, unit="dB"),
    Metric("error", "Pruning error", larger_is_better=False, scaled=True),
)


def calibrations_of(languages: list[str]) -> list[str]:
    """The dense model, single languages, mixes of two, of seven, and of all."""
    known = sorted(languages)
    mixes = ["-".join(known[:n]) for n in (2, 7, len(known)) if 1 < n <= len(known)]
    return ["dense", *known, *dict.fromkeys(mixes)]


def blocks_of(
    n_languages: int,
    n_blocks: int = 1,
    metrics: tuple[Metric, ...] = METRICS,
    seed: int = 0,
    known: dict[tuple[str, str], Standing] | None = None,
) -> list[Block]:
    """Blocks of different numbers, no two alike in a column; what is `known` of columns of the first."""
    languages = LANGUAGES[:n_languages]
    draws = np.random.default_rng(seed)
    rows = []
    schemes = ["0.50", "0.50-dense-ends", "2of4", "0.70-owl"][:n_blocks]
    for scheme, metric, language in itertools.product(schemes, metrics, sorted(languages)):
        calibrations = calibrations_of(languages)
        values = 10 + 1.5 * draws.permutation(len(calibrations))
        for calibration, value in zip(calibrations, values, strict=True):
            is_dense = calibration == "dense"
            if is_dense and scheme != "0.50":
                continue
            rows.append(
                {
                    "model": "m",
                    "method": "dense" if is_dense else "sparsegpt",
                    "scheme": "dense" if is_dense else scheme,
                    "calibration": calibration,
                    "metric": metric.key,
                    "eval_language": language,
                    "mean": value * (1e-3 if metric.scaled else 1),
                    "std": 0.1,
                    "n_seeds": 1 if is_dense else 2,
                    "n": 60,
                    "paper_value": math.nan,
                }
            )
    standings = {(("m", "sparsegpt", "0.50"), key): each for key, each in (known or {}).items()}
    return make_blocks(pd.DataFrame(rows), metrics, standings)


def draw(blocks: list[Block], title: str, titles: Titles) -> Figure:
    return draw_picture(heatmap.picture(blocks, title, titles))


def picture(blocks: list[Block], title: str = "Title") -> tuple[list[Panel], Key]:
    panels, key, _ = read_table(lambda: draw(blocks, title, titles_of({"m": "Model"})))
    return panels, key


def shaded(cells: list[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.colour is not None]


@pytest.mark.parametrize("n_languages", [1, 2, 3, 7])
def test_numbers_stand_under_and_beside_their_labels(n_languages: int) -> None:
    (block,) = blocks_of(n_languages)
    panels, _ = picture([block])
    assert [panel.title for panel in panels][: len(METRICS)] == ["Perplexity ↓", "SNR [dB] ↑", "Pruning error [10⁻³] ↓"]
    for panel, read in zip(block.panels, panels, strict=True):
        for cell in read.cells:
            names = {calibration_label(str(name), block.languages): str(name) for name in panel.mean.index}
            expected = panel.mean.at[names[cell.row], cell.column.lower()]
            assert float(cell.text) == pytest.approx(expected)
            assert len(cell.text.partition(".")[2]) == panel.decimals
        assert len(read.cells) == panel.mean.size


@pytest.mark.parametrize("n_languages", [2, 3, 7])
def test_shades_order_a_column_as_its_arrow_says(n_languages: int) -> None:
    """The caption: the lighter, the better; the key: its two ends are the best and the worst of a column."""
    panels, key = picture(blocks_of(n_languages))
    assert (key.first, key.last) == ("best of its column", "worst of its column")
    for panel in panels:
        larger_is_better = panel.title.endswith("↑")
        for label in panel.columns:
            cells = sorted(shaded(panel.column(label)), key=lambda cell: float(cell.text), reverse=larger_is_better)
            light = [lightness(cell.colour) for cell in cells if cell.colour]
            assert all(better > worse for better, worse in itertools.pairwise(light))
            assert same_colour(cells[0].colour, key.colours[0]) and same_colour(cells[-1].colour, key.colours[-1])


@pytest.mark.parametrize("n_languages", [2, 3, 7])
def test_the_frame_is_on_the_best_single_language(n_languages: int) -> None:
    for panel in picture(blocks_of(n_languages))[0]:
        for label in panel.columns:
            cells = [cell for cell in panel.column(label) if cell.row in {language.upper() for language in LANGUAGES}]
            cells.sort(key=lambda cell: float(cell.text), reverse=panel.title.endswith("↑"))
            assert [cell.framed for cell in cells] == [True] + [False] * (n_languages - 1)
            others = [cell for cell in panel.column(label) if cell not in cells]
            assert not any(cell.framed for cell in others)


def test_the_key_runs_from_light_to_dark() -> None:
    _, key = picture(blocks_of(2))
    light = [lightness(colour) for colour in key.colours]
    assert all(a > b for a, b in itertools.pairwise(light)) and light[0] > 0.9 and light[-1] < 0.1


@pytest.mark.parametrize("colours", [SHADES, BLUE_TO_ORANGE])
def test_letters_are_told_from_their_cells(colours: Colormap) -> None:
    """Contrast (WCAG AA) of a number with its shade; where letters turn white both inks are as good."""
    inks = set()
    for shade in np.linspace(0, 1, 101):
        ink = ink_on(colours, float(shade))
        dark, light = sorted([lightness(colours(shade)), lightness(to_rgba(ink))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5
        inks.add(ink)
    assert inks == {DARK_INK, PALE_INK} and ink_on(colours, math.nan) == INK


def test_the_dense_model_is_not_on_the_scale_and_mixes_are_below_a_line() -> None:
    (panel, *_), _ = picture(blocks_of(3))
    assert {cell.row for cell in panel.cells if cell.colour is None} == {"dense"}
    assert list(dict.fromkeys(cell.row for cell in panel.cells)) == ["dense", "AR", "DE", "EN", "AR+DE", "all 3"]
    (axes,) = draw(blocks_of(3), "T", titles_of({"m": "Model"})).axes
    heights = {tuple(np.asarray(line.get_ydata())) for line in axes.lines}
    mesh = np.asarray(axes.collections[0].get_coordinates())  # type: ignore[attr-defined]
    assert heights == {(mesh[4, 0, 1], mesh[4, 0, 1])}


def test_infinite_equal_and_unshaded_values() -> None:
    values = np.array([[1.0, 2.0, 0.0], [math.inf, 2.0, 1.0], [3.0, 2.0, math.nan]])
    told, width = np.ones((3, 3), dtype=bool), np.zeros(3)
    smaller = column_shades(values, np.array([True, True, True]), False, told, width)
    np.testing.assert_array_equal(smaller, [[0, 0, 0], [1, 0, 1], [1, 0, math.nan]])
    larger = column_shades(values, np.array([False, True, True]), True, told, width)
    np.testing.assert_array_equal(larger[:, 0], [math.nan, 0, 0])
    assert np.isnan(larger[0]).all()


def test_what_cannot_be_told_from_the_best_has_its_shade_and_scales_have_a_least_width() -> None:
    """One point of three that can be told apart is a third of the scale, of a scale of eight at least an eighth."""
    values, shaded = np.array([[9.0, 9.0], [8.0, 8.0], [6.0, 8.5]]), np.ones(3, dtype=bool)
    told = np.array([[False, False], [True, True], [True, False]])
    found = column_shades(values, shaded, True, told, np.array([0.0, 8.0]))
    np.testing.assert_allclose(found, [[0, 0], [1 / 3, 1 / 8], [1, 0]])


def standing(may_be_best: str, told: str, resolution: float = 0.5) -> Standing:
    return Standing(frozenset(may_be_best.split()), frozenset(told.split()), resolution, 60, "acc", 25.0, {})


def test_frames_and_shades_are_of_what_can_be_told() -> None:
    """Of three languages: one may be the best, two, all; as the questions say and not as the means do."""
    known = {
        ("perplexity", "ar"): standing("ar", "de en ar-de ar-de-en"),
        ("perplexity", "de"): standing("ar de", "en"),
        ("perplexity", "en"): standing("ar de en", ""),
    }
    blocks = blocks_of(3, 1, METRICS[:1], known=known)
    (panel,), _ = picture(blocks)
    framed = {label: {cell.row for cell in panel.column(label) if cell.framed} for label in panel.columns}
    assert framed == {"AR": {"AR"}, "DE": {"AR", "DE"}, "EN": set()}
    best = to_rgba(SHADES(0.0))
    lightest = {
        label: {cell.row for cell in shaded(panel.column(label)) if same_colour(cell.colour, best)}
        for label in panel.columns
    }
    assert lightest["EN"] == {"AR", "DE", "EN", "AR+DE", "all 3"}
    assert lightest["DE"] >= {"AR", "DE", "AR+DE", "all 3"} and lightest["AR"] >= {"AR"}
    _, key, texts = read_table(lambda: draw(blocks, "Title", titles_of({"m": "Model"})))
    assert key.first == "best, or not told from it"
    assert "60 questions, told apart from 0.5 on, chance 25" in {text.text for text in texts}
    assert any("cannot be told from the best of the single-language" in text.text.replace("\n", " ") for text in texts)


def test_scales_are_ten_steps_wide_where_nothing_is_known() -> None:
    """Of one decimal: the worst of values .3 apart lies three tenths down the scale; and no more is said than is so."""
    rows = [
        {"model": "m", "method": "gptq", "scheme": "w8g128", "calibration": name, "metric": "a", "eval_language": "de"}
        | {"mean": mean, "std": math.nan, "n_seeds": 1, "n": 60, "paper_value": math.nan}
        for name, mean in (("de", 50.0), ("en", 49.7))
    ]
    blocks = make_blocks(pd.DataFrame(rows), [Metric("a", "A", larger_is_better=True, unit="%", decimals=1)])
    (panel,), key, texts = read_table(lambda: draw(blocks, "Title", titles_of({"m": "Model"})))
    best, worst = panel.cells
    assert same_colour(best.colour, SHADES(0.0)) and same_colour(worst.colour, SHADES(0.3))
    assert key.first == "best of its column"
    said = " ".join(text.text.replace("\n", " ") for text in texts)
    assert "at least 10 steps of the last digit" in said and "told" not in said and "dense" not in said


@pytest.mark.parametrize("title", ["Title", LONG_TITLE], ids=["short", "long"])
@pytest.mark.parametrize(
    ("n_languages", "n_blocks", "n_metrics"),
    [(1, 1, 3), (2, 4, 3), (7, 1, 3), (20, 1, 2)],
)
def test_no_text_lies_on_another_or_leaves_the_sheet(
    n_languages: int, n_blocks: int, n_metrics: int, title: str
) -> None:
    known = {("perplexity", language): standing("de", "en") for language in LANGUAGES[:n_languages]}
    blocks = blocks_of(n_languages, n_blocks, METRICS[:n_metrics], known=known)
    assert_readable(lambda: draw(blocks, title, titles_of({"m": "Model with a name, 70B Instruct"})))


def test_five_panels_are_readable() -> None:
    metrics = tuple(Metric(str(n), f"HellaSwag{n}", larger_is_better=True, unit="%") for n in range(5))
    assert_readable(lambda: draw(blocks_of(2, 2, metrics), LONG_TITLE, titles_of({"m": "Model"})))


def test_columns_that_go_on_below_keep_number_shade_and_frame() -> None:
    """Forty columns, more than a line holds: a number tells its column, its shade and whether it is framed."""
    places = np.arange(80).reshape(2, 40)
    grid = Grid(
        title="Wide",
        across="evaluation language",
        columns=tuple(f"C{column}" for column in range(40)),
        texts=np.vectorize(str, otypes=[object])(places),
        shades=places / 79,
        frames=places % 7 == 0,
        keys=tuple(f"c{column}" for column in range(40)),
        numbers={"value": places.astype(float)},
    )
    section = Section("Heading", "calibration language", ("DE", "EN"), (grid,))
    shown = Picture((section,), "Title", ("first", "last"), "Caption.")
    panels, _, _ = read_table(lambda: draw_picture(shown))
    assert [panel.title for panel in panels] == ["Wide", "Wide, continued"]
    cells = [cell for panel in panels for cell in panel.cells]
    assert sorted(int(cell.text) for cell in cells) == list(range(80))
    for cell in cells:
        place = int(cell.text)
        assert (cell.row, cell.column) == (("DE", "EN")[place // 40], f"C{place % 40}")
        assert same_colour(cell.colour, SHADES(place / 79)) and cell.framed == (place % 7 == 0)
    assert_readable(lambda: draw_picture(shown))
    assert grid.part(30, 40).keys == grid.keys[30:] and (grid.part(30, 40).numbers["value"] == places[:, 30:]).all()


@pytest.mark.parametrize("n_blocks", [40, 41])
def test_of_very_many_blocks_the_first_are_drawn_and_the_caption_says_so(n_blocks: int) -> None:
    blocks = (blocks_of(2, 1, METRICS[:1]) * n_blocks)[:n_blocks]
    panels, _, texts = read_table(lambda: draw(blocks, "Title", titles_of({"m": "Model"})))
    assert len(panels) == 40
    said = any("Drawn are the first 40 of 41 blocks." in " ".join(text.text.split()) for text in texts)
    assert said == (n_blocks == 41)
