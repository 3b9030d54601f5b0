"""What a panel shows is what its title, its axes and the key say: each number is looked up by them."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from tests.helpers import measured
from tests.helpers.figures import lines_by_colour, picture, settings, tick_of, titles_of
from tests.helpers.pictures import drawn

from polyprune.maths.lape import BOX
from polyprune.report.figures import channels, masks, neurons, subspaces
from polyprune.report.figures.drawing import colour_of

LANGUAGES = ["de", "en", "sw"]


def curve_of(rows: pd.DataFrame, calibration: str) -> list[float]:
    """Over evaluation languages in alphabetical order."""
    return list(rows[rows["calibration"] == calibration].sort_values("eval_language")["value"])


def assert_curves(axes: Axes, rows: pd.DataFrame) -> None:
    """A panel's curves, by the colours of their calibration languages, are the values of these rows."""
    found = lines_by_colour(axes)
    for calibration in LANGUAGES:
        x, y = found[colour_of(calibration)]
        assert x == [tick_of(axes, language.upper()) for language in LANGUAGES]
        assert y == pytest.approx(curve_of(rows, calibration))


def test_bands_are_from_the_smallest_to_the_largest_seed() -> None:
    rows = measured.lsar(LANGUAGES, 2, (0, 1, 2), with_parts=False)
    figure, _ = drawn(lambda: picture(subspaces, rows, settings("prompt_shift", layers=[1])))
    (axes,) = figure.axes
    bands = [artist for artist in axes.collections if isinstance(artist, PolyCollection)]
    of = rows[(rows["metric"] == "prompt_shift") & (rows["layer"] == "1")]
    for calibration, band in zip(LANGUAGES, bands, strict=True):
        corners = np.concatenate([path.vertices for path in band.get_paths()])  # type: ignore[misc]
        for language in LANGUAGES:
            heights = corners[corners[:, 0] == tick_of(axes, language.upper())][:, 1]
            seeds = of[(of["calibration"] == calibration) & (of["eval_language"] == language)]["value"]
            assert (heights.min(), heights.max()) == pytest.approx((seeds.min(), seeds.max()))


def test_panels_of_the_overview_show_the_part_that_their_title_names() -> None:
    rows = measured.lsar(LANGUAGES, 3, (0,))
    figure, _ = drawn(lambda: picture(subspaces, rows, settings("shift_overview", layers=[1, 2])))
    panels = titles_of(figure)
    for layer, part in itertools.product((1, 2), ("agnostic", "specific")):
        of = rows[(rows["metric"] == f"{part}_shift") & (rows["layer"] == str(layer)) & (rows["rank"] == 2)]
        assert_curves(panels[f"Layer {layer}, language-{part}"], of[of["projector"] == "per_model"])


def test_panels_of_the_controls_show_the_subspace_of_their_column_and_the_part_of_their_row() -> None:
    rows = measured.lsar(LANGUAGES, 3, (0,))
    figure, _ = drawn(lambda: picture(subspaces, rows, settings("shift_controls", layers=[1])))
    names = {title: projector for projector, title in subspaces.PROJECTORS.items()}
    panels = [axes for axes in figure.axes if axes.get_title() in names]
    assert len(panels) == 2 * len(names)
    of_row = {axes.get_position().y0: axes.get_ylabel() for axes in panels if axes.get_ylabel()}
    for axes in panels:
        metric = "agnostic_shift" if "agnostic" in of_row[axes.get_position().y0] else "specific_shift"
        of = rows[(rows["metric"] == metric) & (rows["layer"] == "1") & (rows["rank"] == 2)]
        assert_curves(axes, of[of["projector"] == names[axes.get_title()]])


def test_the_spread_by_rank_has_the_colours_of_its_key() -> None:
    """(largest − smallest) / mean over evaluation languages, mean over calibrations, in plain Python."""
    rows = measured.lsar(LANGUAGES, 3, (0,))
    figure, _ = drawn(lambda: picture(subspaces, rows, settings("shift_controls", layers=[1])))
    found = lines_by_colour(titles_of(figure)["agnostic: spread by rank"])
    (key,) = [legend for axes in figure.axes if (legend := axes.get_legend())]
    names = {title: projector for projector, title in subspaces.PROJECTORS.items()}
    assert {text.get_text() for text in key.get_texts()} == set(names)
    for text, line in zip(key.get_texts(), key.get_lines(), strict=True):
        of = rows[(rows["metric"] == "agnostic_shift") & (rows["layer"] == "1")]
        of = of[of["projector"] == names[text.get_text()]]
        expected = []
        for rank in (1, 2):
            curves = [curve_of(of[of["rank"] == rank], calibration) for calibration in LANGUAGES]
            spreads = [(max(curve) - min(curve)) / (sum(curve) / len(curve)) for curve in curves]
            expected.append(sum(spreads) / len(spreads))
        assert found[str(line.get_color())] == ([1, 2], pytest.approx(expected))


def boxes_of(axes: Axes) -> list[list[float]]:
    """Of each box from the left: whisker, quartile, median, quartile, whisker. All of it lies within the axes."""
    quartiles = [[bar.get_y(), bar.get_y() + bar.get_height()] for bar in axes.containers[0]]  # type: ignore[attr-defined]
    lines = [np.asarray(of.get_segments()) for of in axes.collections if isinstance(of, LineCollection)]
    (whiskers,) = [ends[:, :, 1] for ends in lines if np.ptp(ends[0, :, 0]) == 0]
    (medians,) = [ends[:, 0, 1] for ends in lines if np.ptp(ends[0, :, 0]) > 0]
    low, high = axes.get_ylim()
    assert low < whiskers.min() and whiskers.max() < high
    return [
        [first, low, median, high, last]
        for (low, high), median, (first, last) in zip(quartiles, medians, whiskers, strict=True)
    ]


def measured_boxes(rows: pd.DataFrame, scheme: str, series: str, layer: str) -> list[list[float]]:
    of = rows[(rows["scheme"] == scheme) & (rows["series"] == series) & (rows["layer"] == layer)]
    values = of.pivot_table(index="group", columns="statistic", values="value")
    return values[[f"lape_{name}" for name in BOX]].to_numpy().tolist()


def test_boxes_are_of_the_model_that_their_title_names() -> None:
    rows = measured.lape(1)
    figure, _ = drawn(lambda: picture(neurons, rows, settings("neuron_overview")))
    panels = titles_of(figure)
    for title, scheme, series in (
        ("Dense model", "dense", "full"),
        ("Pruned, 20 %", "0.20", "full"),
        ("Pruned, 50 %", "0.50", "full"),
        ("Noise floor: dense, half against half", "dense", "half"),
    ):
        expected = measured_boxes(rows, scheme, series, "all")[:3]
        assert [pytest.approx(box) for box in boxes_of(panels[title])] == expected


def test_boxes_and_floors_are_of_the_layer_that_their_title_names() -> None:
    """Grey: the whiskers of the dense model, half against half."""
    rows = measured.lape(3, ("0.50",))
    figure, _ = drawn(lambda: picture(neurons, rows, settings("neuron_entropy")))
    for layer in ("0", "1", "2"):
        axes = titles_of(figure)[f"Layer {layer}"]
        assert [pytest.approx(box) for box in boxes_of(axes)] == measured_boxes(rows, "0.50", "full", layer)
        (floor,) = [patch for patch in axes.patches if hasattr(patch, "get_data")]
        half = rows[(rows["series"] == "half") & (rows["layer"] == layer)]
        for name, values in (("high", floor.get_data().values), ("low", floor.get_data().baseline)):  # type: ignore[attr-defined]
            whiskers = half[half["statistic"] == f"lape_whisker_{name}"].sort_values("group")["value"]
            assert list(values) == list(whiskers)


def test_channels_are_named_as_they_are_drawn() -> None:
    rows = measured.mean_activations(9)
    figure, _ = drawn(lambda: picture(channels, rows, settings("mean_activations", layers=[2], matrix="down_proj")))
    (axes,), (key,) = figure.axes, figure.legends
    by_dense = rows.sort_values("dense")
    for name in ("dense", "pruned"):
        (line,) = [line for line in axes.lines if line.get_label() == name]
        assert list(np.asarray(line.get_ydata())) == list(by_dense[name])
        (handle,) = [h for h, text in zip(key.get_lines(), key.get_texts(), strict=True) if text.get_text() == name]
        assert handle.get_color() == line.get_color()


@pytest.mark.parametrize("n_layers", [4, 80])
def test_layers_of_masks_stand_under_their_cells(n_layers: int) -> None:
    """The middle of column n, counted from 0, is n + 1/2."""
    rows = measured.mask_iou(["de", "en"], n_layers, ("q", "ffn.down"))
    figure, _ = drawn(lambda: picture(masks, rows, settings("mask_iou")))
    labelled = [axes for axes in figure.axes if axes.get_xlabel() == "decoder layer (from 0)"]
    assert len(labelled) == 2
    for axes in labelled:
        shown = [text.get_text() for text in axes.get_xticklabels()]
        assert shown[0] == "0" and [int(label) + 0.5 for label in shown] == list(axes.get_xticks())
