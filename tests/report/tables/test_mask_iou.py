"""What a reader relies on in tables of the overlap of masks: their pages and their pictures."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.helpers import measured
from tests.helpers.pictures import LANGUAGES, LONG_TITLE, assert_readable, lightness, read_table, same_colour
from tests.helpers.titles import titles_of

from polyprune.report.figures import masks
from polyprune.report.figures.drawing import SHADES
from polyprune.report.tables.mask_iou import TABLE_ORDER, load_paper, picture, render, table_rows
from polyprune.report.tables.picture import draw_picture

NAMES = titles_of({"m": "Model"})


def rows_of(n_languages: int, compares: str, **how: object) -> pd.DataFrame:
    return table_rows(measured.mask_iou(LANGUAGES[:n_languages], **how), compares, load_paper([]))  # type: ignore[arg-type]


def test_rows_are_means_over_layers_with_the_papers_values_beside(tmp_path: Path) -> None:
    paper = tmp_path / "table17.csv"
    header = "model,method,scheme,calibration,metric,eval_language,mean,std\n"
    paper.write_text(f"{header}m,sparsegpt,0.50,en-de,iou:q,,0.886,\n")
    of = measured.mask_iou(["de", "en"])
    rows = table_rows(of, "languages", load_paper([paper]))
    found = rows[rows["metric"] == "iou:q"]
    assert found["value"].item() == of.query("comparison == 'stable' and matrix == 'q'")["value"].mean()
    pairs = of.query("comparison == 'pairs' and matrix == 'q' and calibration == 'de-en'")
    assert rows.loc[rows["metric"] == "pair_iou:q", "value"].item() == pairs["value"].mean()
    assert found["paper_value"].item() == 0.886 and found["n_layers"].item() == 2 and found["n"].item() == 200
    assert list(rows["metric"]) == [f"{part}:{name}" for part in ("iou", "pair_iou") for name in TABLE_ORDER]


@pytest.mark.parametrize(("n_languages", "compares"), [(1, "seeds"), (3, "seeds"), (2, "languages"), (3, "languages")])
def test_the_lighter_the_more_similar(n_languages: int, compares: str) -> None:
    """In order of the numbers, over each of both panels; the key's ends are the most and the least similar."""
    rows = rows_of(n_languages, compares)
    panels, key, _ = read_table(lambda: draw_picture(picture(rows, "Title", NAMES)))
    assert (key.first, key.last) == ("most similar", "least similar")
    assert [panel.title for panel in panels] == ["IoU of all seeds", "IoU, two masks at a time"]
    for panel in panels:
        cells = sorted((c for c in panel.cells if c.colour), key=lambda cell: float(cell.text), reverse=True)
        assert len(cells) == len(panel.cells) - len(panel.columns)
        assert {cell.row for cell in panel.cells if cell.colour is None} == {"chance"}
        light = [lightness(cell.colour) for cell in cells if cell.colour]
        distinct = [a > b for (a, b), (x, y) in zip(itertools.pairwise(light), itertools.pairwise(cells), strict=True)
                    if float(x.text) - float(y.text) > 0.0015]  # fmt: skip
        assert len(distinct) > 3 and all(distinct)
        assert same_colour(cells[0].colour, key.colours[0]) and same_colour(cells[-1].colour, key.colours[-1])
        assert not any(cell.framed for cell in panel.cells)


def test_numbers_stand_under_and_beside_their_labels() -> None:
    rows = rows_of(3, "languages")
    panels, _, _ = read_table(lambda: draw_picture(picture(rows, "Title", NAMES)))
    for metric, panel in zip(("iou", "pair_iou"), panels, strict=True):
        assert panel.columns == ["AR & DE", "AR & EN", "DE & EN"]
        for cell in (cell for cell in panel.cells if cell.colour):
            pair = cell.column.lower().replace(" & ", "-")
            row = rows[(rows["calibration"] == pair) & (rows["metric"] == f"{metric}:{cell.row}")]
            assert cell.text == f"{row['value'].item():.3f}"
        assert list(dict.fromkeys(cell.row for cell in panel.cells)) == [*TABLE_ORDER, "chance"]
    (axes,) = draw_picture(picture(rows, "Title", NAMES)).axes
    top_of_chance = {np.asarray(mesh.get_coordinates())[-2, 0, 1] for mesh in axes.collections[:2]}  # type: ignore[attr-defined]
    assert {height for line in axes.lines for height in np.asarray(line.get_ydata())} == top_of_chance


def test_all_blocks_have_one_scale() -> None:
    light, heavy = (measured.mask_iou(["de", "en"], scheme=scheme) for scheme in ("0.20", "0.50"))
    rows = table_rows(pd.concat([light.assign(value=light["value"] / 4), heavy]), "seeds", load_paper([]))
    panels, key, _ = read_table(lambda: draw_picture(picture(rows, "Title", NAMES)))
    first, second = ([cell for cell in panel.cells if cell.colour] for panel in (panels[0], panels[2]))
    darkest, lightest = (sorted(cells, key=lambda cell: float(cell.text)) for cells in (first, second))
    assert same_colour(darkest[0].colour, key.colours[-1]) and same_colour(lightest[-1].colour, key.colours[0])
    assert min(lightness(c.colour) for c in second if c.colour) > max(lightness(c.colour) for c in first if c.colour)


def test_overlaps_that_are_nearly_alike_look_alike() -> None:
    """The least similar of two, .02 apart, lies a fifth down the scale."""
    rows = rows_of(2, "languages", matrices=("q", "k"), n_layers=1)
    rows["value"] = [0.98, 0.96, 0.98, 0.96]
    panels, _, texts = read_table(lambda: draw_picture(picture(rows, "Title", NAMES)))
    for panel in panels:
        first, second = (cell.colour for cell in panel.cells if cell.row != "chance")
        assert same_colour(first, SHADES(0.0)) and same_colour(second, SHADES(0.2))
    said = " ".join(text.text.replace("\n", " ") for text in texts)
    assert "at least 0.1 wide" in said and "pruned weights of 3 seeds" in said


@pytest.mark.parametrize("title", ["Title", LONG_TITLE], ids=["short", "long"])
@pytest.mark.parametrize("compares", ["seeds", "languages"])
@pytest.mark.parametrize(("n_languages", "n_blocks"), [(1, 1), (2, 4), (3, 1), (7, 4), (20, 1)])
def test_no_text_lies_on_another_or_leaves_the_sheet(
    n_languages: int, n_blocks: int, compares: str, title: str
) -> None:
    if n_languages == 1 and compares == "languages":
        n_languages = 4  # one language cannot be compared with another
    matrices = measured.MATRICES if n_languages <= 3 else ("q", "ffn.down")
    schemes = ("0.20", "0.50", "0.50-dense-ends", "2of4")[:n_blocks]
    frames = [measured.mask_iou(LANGUAGES[:n_languages], 1, matrices, scheme) for scheme in schemes]
    rows = table_rows(pd.concat(frames), compares, load_paper([]))
    assert_readable(lambda: draw_picture(picture(rows, title, NAMES)))


def test_columns_that_go_on_below_keep_their_numbers() -> None:
    """Eight languages make 28 pairs, which are more than a line holds."""
    rows = rows_of(8, "languages", matrices=("q", "k"), n_layers=1)
    panels, _, texts = read_table(lambda: draw_picture(picture(rows, "Title", NAMES)))
    wide = [panel for panel in panels if panel.title.startswith("IoU of all seeds")]
    assert len(wide) == 2 and wide[1].title == "IoU of all seeds, continued"
    read = {(c.row, c.column): c.text for panel in wide for c in panel.cells if c.colour}
    shown = rows[rows["metric"].str.startswith("iou:")]
    assert len(read) == len(shown) == 2 * 28
    for row in shown.itertuples():
        key = str(row.metric).split(":")[1], str(row.calibration).upper().replace("-", " & ")
        assert read[key] == f"{row.value:.3f}"
    assert any("A & B: what all seeds of A remove" in text.text.replace("\n", " ") for text in texts)


def test_pages_say_what_is_in_parentheses_only_where_something_is() -> None:
    rows = rows_of(2, "languages")
    page = render(rows, "Title", NAMES)
    assert "parentheses" not in page and "(0." not in page
    assert "pruned weights of 3 seeds" in page
    assert "## Model, SparseGPT 50 %" in page and "| AR & DE |" in page
    page = render(rows.assign(paper_value=0.886), "Title", NAMES)
    assert "In parentheses: the value that the paper prints." in page and "(0.886)" in page


def test_captions_say_experts_where_whole_ones_are_removed() -> None:
    for matrices, said in ((TABLE_ORDER, "sets of pruned weights of 3"), (["experts"], "sets of removed experts of 3")):
        rows = rows_of(2, "seeds", matrices=matrices)
        assert said in picture(rows, "Title", NAMES).caption and said in render(rows, "Title", NAMES)
        assert said in masks._caption(measured.mask_iou(["de", "en"], matrices=matrices), "Names")
