"""Figures of routing: the numbers in each panel, removed experts, the lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from tests.helpers.figures import lines_by_colour, picture, settings, titles_of
from tests.helpers.measured import routing

from polyprune.report.figures import routing as module
from polyprune.report.figures.drawing import DENSE_COLOUR, colour_of

LANGUAGES = ["de", "en"]


def by_hand(rows: Any, calibration: str, layer: int) -> np.ndarray:
    chosen = rows[(rows["calibration"] == calibration) & (rows["layer"] == layer)]
    return np.array(
        [chosen[chosen["eval_language"] == name].sort_values("expert")["value"] for name in LANGUAGES], float
    )


def test_a_panel_shows_languages_down_and_experts_across_without_those_that_are_removed() -> None:
    measured = routing(LANGUAGES, removed=[2])
    figure = picture(module, measured, settings("routing_shares"))
    for title, calibration, layer in (("dense, layer 1", "dense", 0), ("dense, layer 2", "dense", 1)):
        mesh: Any = titles_of(figure)[title].collections[0]
        assert np.allclose(np.ma.getdata(mesh.get_array()).reshape(2, 4), by_hand(measured, calibration, layer))
        assert not np.ma.getmaskarray(mesh.get_array()).any()
    cells = [axes for axes in figure.axes if axes.get_title() == "EN"]
    for layer, axes in enumerate(cells):
        mesh = axes.collections[0]
        assert np.ma.getmaskarray(mesh.get_array()).reshape(2, 4).all(axis=0).tolist() == [False, False, True, False]
        kept = np.ma.getdata(mesh.get_array()).reshape(2, 4)
        assert np.allclose(kept, by_hand(measured, "en", layer))
        assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [[2, 3]]
    assert len(cells) == 2 and "struck through" in figure.texts[1].get_text()
    assert "struck through" not in picture(module, routing(LANGUAGES), settings("routing_shares")).texts[1].get_text()


def test_lines_are_means_of_overlaps_by_layer() -> None:
    measured = routing(LANGUAGES, n_layers=3)
    figure = picture(module, measured, settings("routing_overlap", layers=[1, 3]))
    left, right = figure.axes

    def alike(one: np.ndarray, other: np.ndarray) -> float:
        return 1 - float(jensenshannon(one, other, base=2)) ** 2

    dense, cell = ([by_hand(measured, name, layer) for layer in (0, 2)] for name in ("dense", "en"))
    for colour, shares in ((DENSE_COLOUR, dense), (colour_of("en"), cell)):
        x, y = lines_by_colour(left)[colour]
        assert x == [1, 3] and y == pytest.approx([alike(*each) for each in shares])
    kept = np.array([[alike(*pair) for pair in zip(*layers, strict=True)] for layers in zip(dense, cell, strict=True)])
    of_english = [line for line in right.lines if line.get_color() == colour_of("en")]
    assert np.asarray(of_english[0].get_ydata()) == pytest.approx(kept.mean(axis=1))
    assert np.asarray(of_english[1].get_ydata()) == pytest.approx(kept[:, 1]) and of_english[1].get_linestyle() == "--"
