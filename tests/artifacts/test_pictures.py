"""Pictures of figures say what they are, and are not believed when they are damaged or another's."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from polyprune.artifacts.identity import DamagedError, ForeignError, expecting
from polyprune.artifacts.pictures import load_picture
from polyprune.errors import UserError
from polyprune.report.figures.drawing import panel_grid, save_figure


def drawn() -> Figure:
    sheet, (axes,) = panel_grid(1, 1, (3.0, 2.0), (0.6, 0.5), "A title", "A caption – in full.")
    axes.plot([0, 1], [0, 1])
    return sheet


@pytest.fixture
def figure(tmp_path: Path) -> Path:
    path = tmp_path / "results/demo/figure1.png"
    path.parent.mkdir(parents=True)
    save_figure(drawn, path.with_suffix(".pdf"), path, {"names": "tiny Llama", "made_with_digest": "a"})
    return path


def test_it_has_its_texts_and_size(figure: Path) -> None:
    found = load_picture(figure)
    assert (found.title, found.caption) == ("A title", "A caption – in full.")
    assert found.width > 500 and found.height > 200


def test_flipped_bits_are_damage(figure: Path) -> None:
    whole, seeded = figure.read_bytes(), random.Random(0)
    for _ in range(40):
        place = seeded.randrange(len(whole) - 12)  # its last chunk is empty
        figure.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << seeded.randrange(8)]) + whole[place + 1 :])
        with pytest.raises(UserError):
            load_picture(figure)
    figure.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedError):
        load_picture(figure)


def test_another_figures_picture_and_other_settings_are_refused(figure: Path) -> None:
    other = Path(shutil.copy(figure, figure.with_name("figure2.png")))
    with pytest.raises(ForeignError, match=r"was made as demo/figure1\.png and lies in another's place"):
        load_picture(other)
    with (
        expecting({figure: [{"made_with_digest": "b"}]}),
        pytest.raises(ForeignError, match="made with other settings"),
    ):
        load_picture(figure)
