"""Cells of a study beside the paper's, by hand; and the 700 standard deviations that the paper prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh
from scipy import stats
from tests.helpers.pictures import assert_readable, drawn, read_table, same_colour
from tests.helpers.titles import titles_of

from polyprune.report.paper.versus_paper import beside_paper, block_lines, render_versus
from polyprune.report.paper.versus_picture import BLUE_TO_ORANGE, draw_table
from polyprune.report.printed import load_all_printed

PAPER = Path(__file__).parents[3] / "data" / "paper"
NAMES = ("model", "method", "scheme", "calibration", "metric", "eval_language")
BLOCK = ("llama", "wanda", "0.50")


def rows(values: dict[tuple[str, str], list[float]], metric: str = "arc") -> pd.DataFrame:
    """Long rows by (calibration, language): a value a seed."""
    return pd.DataFrame(
        [
            dict(zip(NAMES, (*BLOCK, calibration, metric, language), strict=True))
            | {"seed": seed, "value": value, "n": 900, "unit": "1", "score": "acc"}
            for (calibration, language), of_seeds in values.items()
            for seed, value in enumerate(of_seeds)
        ]
    )


def printed(values: dict[tuple[str, str], tuple[float, float]], metric: str = "arc") -> pd.DataFrame:
    return pd.DataFrame(
        [
            dict(zip(NAMES, (*BLOCK, calibration, metric, language), strict=True)) | {"mean": mean, "std": std}
            for (calibration, language), (mean, std) in values.items()
        ]
    )


def as_ours(table: pd.DataFrame, score: str | None = None) -> pd.DataFrame:
    """A printed table as if it were a study's long rows of one seed."""
    return table.assign(value=table["mean"], seed=0, n=900, unit="1", score=score).drop(columns=["mean", "std"])


NAN = float("nan")
TITLES = titles_of(
    {
        "llama": "Llama",
        "llama-3-8b": "Llama-3 8B",
        "aya-23-8b": "Aya-23 8B",
        "llama-3-70b": "70B",
        "aya-23-35b": "35B",
    }
)
OURS = {("de", "de"): [30.0, 34.0], ("en", "de"): [30.0], ("es", "de"): [29.0, 29.0], ("en", "en"): [50.0]}
THEIRS = {("de", "de"): (30.0, 1.0), ("en", "de"): (31.0, 0.5), ("es", "de"): (28.0, NAN), ("ru", "ru"): (1.0, NAN)}


def test_differences_are_in_units_of_what_is_known_of_both_spreads():
    cells = beside_paper({7: rows(OURS)}, {7: printed(THEIRS), 2: printed(THEIRS)}).set_index("calibration")
    assert list(cells.index) == ["de", "en", "es"]
    assert (cells["table"] == 7).all()
    assert list(cells["difference"]) == [2.0, -1.0, 1.0]
    assert list(cells["spread_of"]) == ["both", "paper", "ours"]
    assert cells.loc["de", "in_spreads"] == pytest.approx(2 / np.sqrt(8 + 1))
    assert cells.loc["en", "in_spreads"] == -2
    assert np.isnan(float(cells.loc["es", "in_spreads"]))  # type: ignore[arg-type]
    assert list(cells["n_seeds"]) == [2, 1, 2]


def test_ranks_of_a_column_by_scipy():
    cells = beside_paper({7: rows(OURS)}, {7: printed(THEIRS)})
    expected = stats.spearmanr([32.0, 30.0, 29.0], [30.0, 31.0, 28.0]).statistic  # type: ignore[attr-defined]
    assert cells["rank_correlation"].to_list() == pytest.approx([expected] * 3)


@pytest.mark.parametrize(("metric", "ours", "paper"), [("arc", 1, 0), ("perplexity", 0, 0)])
def test_a_line_a_block_counts_diagonals_the_right_way_round(metric: str, ours: int, paper: int):
    (line,) = block_lines(beside_paper({7: rows(OURS, metric)}, {7: printed(THEIRS, metric)}))
    assert (line["ours_diagonal"], line["paper_diagonal"], line["columns"]) == (ours, paper, 1)
    assert (line["cells"], line["median_difference"], line["median_distance"]) == (3, 1.0, 1.0)
    assert (line["far"], line["measured"]) == (0, 2)


def test_the_paper_beside_itself_differs_nowhere():
    """Table 7 as if it were ours: 700 cells with a spread, none far; ρ is 1 where a column is not all equal."""
    paper = load_all_printed(PAPER)
    cells = beside_paper({7: as_ours(paper[7])}, paper)
    assert len(cells) == 1500
    assert int(cells["paper_std"].notna().sum()) == 700
    assert (cells["difference"] == 0).all()
    assert cells["rank_correlation"].dropna().to_numpy() == pytest.approx(1)
    page = render_versus(cells, "Itself", TITLES)
    one = paper[7].query("model == 'llama-3-8b' and method == 'wanda'")
    known = int((one["std"] > 0).sum())
    assert 150 < known <= 175
    assert f"| 7 | Llama-3 8B, Wanda 50 % | 175 | +0 | 0 | 0 of {known} | 1.00 | 11 of 25 | 11 of 25 |" in page


def test_a_study_of_other_models_has_nothing_to_compare():
    cells = beside_paper({7: rows({("sw", "sw"): [1.0]})}, {7: printed(THEIRS)})
    assert cells.empty
    assert "prints no cell" in render_versus(cells, "Demo", TITLES)


def test_tables_that_repeat_a_cell_have_its_printed_spread():
    """Tables 2 and 13 print cells of table 7 again, without their standard deviations; table 12 prints others."""
    paper = load_all_printed(PAPER)
    numbers = (2, 12, 13)
    ours = {n: as_ours(paper[n]) for n in numbers}
    known = beside_paper(ours, paper)["paper_std"].notna().groupby(beside_paper(ours, paper)["table"]).sum()
    assert known.to_dict() == {2: 700, 12: 0, 13: 49}


def test_the_picture_shows_both_numbers_their_distance_and_what_agrees():
    """German is 2 higher, of a spread of 3; English two spreads of .5 lower; Spanish has none that is not nothing."""
    cells = beside_paper({7: rows(OURS)}, {7: printed(THEIRS)})
    cells.loc[cells["calibration"] == "en", "in_spreads"] = -2.5
    (panel,), key, texts = read_table(lambda: draw_table(cells, "Table 7", TITLES))
    assert panel.title == "ARC [acc, %]" and panel.columns == ["DE"]
    found = {cell.row: cell for cell in panel.cells}
    assert {name: cell.text for name, cell in found.items()} == {
        "DE": "32.0 (30.0)", "EN": "30.0 (31.0)", "ES": "29.0 (28.0)",
    }  # fmt: skip
    assert [found[name].framed for name in ("DE", "EN", "ES")] == [False, True, False]
    assert found["ES"].colour is None
    place = {name: (clipped / 4 + 1) / 2 for name, clipped in (("DE", 2 / 3), ("EN", -2.5))}
    for name, shade in place.items():
        assert same_colour(found[name].colour, BLUE_TO_ORANGE(shade))
    assert key.first == "ours lower by 4 spreads or more" and same_colour(key.colours[0], BLUE_TO_ORANGE(0.0))
    assert "ρ 0.50, target best 1 (the paper: 0) of 1" in {text.text for text in texts}


@pytest.mark.parametrize(
    ("number", "score", "title", "down"),
    [
        (3, "f1", "MKQA [f1, %]", "calibration language"),
        (3, "f1_ws", "MKQA [f1_ws, %]", "calibration language"),
        (16, None, "Overlap of masks [IoU]", "calibration language"),
        (17, None, "Overlap of masks [IoU]", "two languages"),
    ],
)
def test_pictures_name_what_is_counted_and_explain_only_what_they_show(
    number: int, score: str | None, title: str, down: str
):
    paper = load_all_printed(PAPER)
    cells = beside_paper({number: as_ours(paper[number], score)}, paper).assign(in_spreads=1.0)
    panels, _, texts = read_table(lambda: draw_table(cells, "Title", TITLES))
    said = " ".join(text.text.replace("\n", " ") for text in texts)
    assert {panel.title for panel in panels} == {title} and down in said
    assert ("Target best" in said, "ρ: Spearman's" in said) == (number == 3, number != 17)
    assert "have no colour" not in said
    cells.loc[cells.index[0], "in_spreads"] = NAN
    _, _, texts = read_table(lambda: draw_table(cells, "Title", TITLES))
    said = " ".join(text.text.replace("\n", " ") for text in texts)
    assert f"known for {len(cells) - 1} of {len(cells)} cells" in said


def test_a_picture_without_any_spread_has_no_colours_to_explain():
    """Table 14 has one draw, in print and as ours."""
    paper = load_all_printed(PAPER)
    cells = beside_paper({14: as_ours(paper[14], "acc")}, paper)
    figure, texts = drawn(lambda: draw_table(cells, "Title", TITLES))
    said = " ".join(text.text.replace("\n", " ") for text in texts)
    assert "No colour: one draw" in said and "Frame" not in said and "spreads" not in said
    meshes = [artist for artist in figure.axes[0].collections if isinstance(artist, QuadMesh)]
    assert len(meshes) == 4 and not figure.axes[0].patches
    assert all(np.ma.getmaskarray(np.ma.asarray(mesh.get_array())).all() for mesh in meshes)


@pytest.mark.parametrize("number", [1, 4, 14, 17])
def test_pictures_of_the_papers_own_numbers_are_readable(number: int):
    paper = load_all_printed(PAPER)
    cells = beside_paper({number: as_ours(paper[number])}, paper)
    assert len(cells) == len(paper[number])
    assert_readable(lambda: draw_table(cells, f"Table {number}", TITLES))
