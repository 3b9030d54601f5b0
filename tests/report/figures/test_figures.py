"""What a reader relies on in figures: no text on another, curves at their labels, shades that tell the truth."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex, to_rgba
from tests.helpers import measured
from tests.helpers.figures import picture, settings, titles_of
from tests.helpers.pictures import LANGUAGES, LONG_TITLE, assert_readable, drawn, lightness

from polyprune.errors import UserError
from polyprune.report.figures import channels, masks, neurons, subspaces
from polyprune.report.figures.drawing import COLOURS, colour_of, marker_of


def test_shifts_count_layers_as_transformers_does_and_average_seeds() -> None:
    """Layer 3 of 3 is the final norm's output; the raw one is not drawn."""
    rows = measured.lsar(["de", "en", "sw"], 3)
    shown = subspaces.rows(rows, settings("prompt_shift"))
    assert sorted(set(shown["layer"])) == [1, 2, 3] and set(shown["n_seeds"]) == {2}
    of = rows.query(
        "metric == 'prompt_shift' and layer == 'L_normed' and calibration == 'en' and eval_language == 'sw'"
    )
    last = shown.query("layer == 3 and calibration == 'en' and eval_language == 'sw'")
    expected = of["value"].mean(), of["value"].min(), of["value"].max()
    assert tuple(last[["value", "low", "high"]].iloc[0]) == pytest.approx(expected)
    agnostic = subspaces.rows(rows, settings("agnostic_shift", layers=[2], rank=1))
    assert [set(agnostic[name]) for name in ("rank", "projector", "layer")] == [{1}, {"per_model"}, {2}]
    controls = subspaces.rows(rows, settings("shift_controls", layers=[1, 2]))
    spread = controls[controls["metric"] == subspaces.SPREAD]
    assert set(spread["projector"]) == set(rows["projector"].dropna()) and set(spread["rank"]) == {1, 2}
    with pytest.raises(UserError, match="rank 4 was not measured; the highest is 2"):
        subspaces.rows(rows, settings("agnostic_shift", rank=4))


def test_neurons_are_of_the_layers_and_models_that_a_figure_asks_for() -> None:
    """Layers of the configuration count from one, those of the measurements from zero."""
    rows = measured.lape(3)
    assert set(neurons.rows(rows, settings("neuron_entropy", layers=[2]))["layer"]) == {"1"}
    for draws in ("neuron_probability", "neuron_output"):
        whole, some = (neurons.rows(rows, settings(draws, layers=layers)) for layers in ([], [1, 3]))
        assert set(whole["method"]) == set(some["method"]) == {"dense"}
        assert set(whole["layer"]) == {"all"} and set(some["layer"]) == {"0", "2"}
    overview = neurons.rows(rows, settings("neuron_overview"))
    assert set(overview["layer"]) == {"all"} and set(overview["eval_language"].dropna()) == {"de"}


def test_channels_are_sorted_by_the_dense_model() -> None:
    rows = pd.concat([measured.mean_activations(9, layer) for layer in (1, 2)])
    shown = channels.rows(rows, settings("mean_activations", layers=[2], matrix="down_proj"))
    assert shown["dense"].is_monotonic_increasing and list(shown["rank"]) == list(range(9))
    assert set(shown["layer"]) == {2} and sorted(shown["channel"]) == list(range(9))


@pytest.mark.parametrize("draws", ["token_shift", "shift_overview", "shift_controls"])
@pytest.mark.parametrize(("n_languages", "n_layers"), [(1, 1), (2, 3), (3, 4), (7, 5), (20, 2)])
def test_curves_are_readable(n_languages: int, n_layers: int, draws: str) -> None:
    title = LONG_TITLE if n_languages % 2 else "Title"
    rows = measured.lsar(LANGUAGES[:n_languages], n_layers, (0,), with_parts=draws != "token_shift")
    assert_readable(lambda: picture(subspaces, rows, settings(draws, title, layers=[1] if "controls" in draws else [])))


def test_many_layers_are_readable() -> None:
    assert_readable(
        lambda: picture(subspaces, measured.lsar(LANGUAGES[:7], 32, (0,), with_parts=False), settings("token_shift"))
    )
    layers = list(range(1, 33))
    assert_readable(lambda: picture(neurons, measured.lape(32, ("0.50",), 4), settings("neuron_output", layers=layers)))


@pytest.mark.parametrize("draws", ["neuron_overview", "neuron_entropy", "neuron_probability", "neuron_output"])
@pytest.mark.parametrize(("n_layers", "title"), [(1, LONG_TITLE), (4, "Title")], ids=["1", "4"])
def test_neurons_are_readable(n_layers: int, draws: str, title: str) -> None:
    schemes = ("0.20", "0.50-dense-ends") if draws == "neuron_overview" else ("0.50",)
    assert_readable(lambda: picture(neurons, measured.lape(n_layers, schemes), settings(draws, title)))


@pytest.mark.parametrize(("draws", "statistic"), [("neuron_probability", "p_max"), ("neuron_output", "output_mean")])
def test_bars_of_all_layers_are_one_panel(draws: str, statistic: str) -> None:
    rows = measured.lape(3)
    figure, _ = drawn(lambda: picture(neurons, rows, settings(draws)))
    of = rows[(rows["layer"] == "all") & (rows["method"] == "dense") & (rows["series"] == "full")]
    dense = of[of["statistic"] == statistic].sort_values("group")["value"]
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.containers[0]] == list(dense)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("draws", "projector", "rank", "warned"),
    [
        ("agnostic_shift", "per_model", None, True),
        ("agnostic_shift", "cross_fitted", None, True),
        ("agnostic_shift", "dense", None, False),
        ("agnostic_shift", "per_model", 1, False),
        ("specific_shift", "per_model", None, False),
        ("shift_overview", "per_model", None, True),
        ("shift_overview", "pooled", None, False),
    ],
)
def test_curves_that_are_flat_by_construction_come_with_a_warning(
    draws: str, projector: str, rank: int | None, warned: bool
) -> None:
    rows = measured.lsar(["de", "en", "sw"], 3, (0,))
    figure = settings(draws, projector=projector, rank=rank, layers=[2])
    _, texts = drawn(lambda: picture(subspaces, rows, figure))
    said = " ".join(text.text.replace("\n", " ") for text in texts)
    assert ("nearly flat by construction" in said) == warned


@pytest.mark.parametrize("title", ["Title", LONG_TITLE], ids=["short", "long"])
@pytest.mark.parametrize("n_channels", [8, 600])
def test_channels_are_readable(n_channels: int, title: str) -> None:
    figure = settings("mean_activations", title, layers=[2], matrix="down_proj")
    assert_readable(lambda: picture(channels, measured.mean_activations(n_channels), figure))


@pytest.mark.parametrize(("n_languages", "n_layers"), [(1, 2), (2, 4), (3, 32), (7, 80), (20, 3)])
def test_masks_are_readable(n_languages: int, n_layers: int) -> None:
    title = LONG_TITLE if n_languages % 2 else "Title"
    matrices = ("q", "ffn.down") if n_languages == 20 else measured.MATRICES
    rows = measured.mask_iou(LANGUAGES[:n_languages], n_layers, matrices)
    assert_readable(lambda: picture(masks, rows, settings("mask_iou", title)))


def test_masks_that_are_all_alike_are_drawn() -> None:
    """As by a method that does not look at its calibration text: all as light as can be, on a scale from .9."""
    rows = measured.mask_iou(["de", "en"]).assign(value=1.0)
    assert_readable(lambda: picture(masks, rows, settings("mask_iou")))
    figure, texts = drawn(lambda: picture(masks, rows, settings("mask_iou")))
    assert any("pruned weights of 3 seeds" in text.text.replace("\n", " ") for text in texts)
    bars = [axes for axes in figure.axes if axes.get_title() == "IoU"]
    assert [bar.get_ylim() for bar in bars] == [(0.9, 1.0)] * 2
    for name in ("DE", "EN", "DE & EN"):
        (mesh,) = (artist for artist in titles_of(figure)[name].collections if isinstance(artist, QuadMesh))
        mesh.update_scalarmappable()
        assert all(lightness(tuple(colour)) > 0.9 for colour in np.asarray(mesh.get_facecolor()))


def test_the_lighter_the_more_similar() -> None:
    """Each side on a scale of its own, which the bar beside it shows."""
    rows = measured.mask_iou(["de", "en", "zh"], 4)
    figure, texts = drawn(lambda: picture(masks, rows, settings("mask_iou")))
    assert any("the lighter, the more similar" in text.text.replace("\n", " ") for text in texts)
    found: list[list[tuple[float, float]]] = []
    for comparison, names in (("seeds", ["DE", "EN", "ZH"]), ("stable", ["DE & EN", "DE & ZH", "EN & ZH"])):
        shown = rows[rows["comparison"] == comparison]
        points = [point for name in names for point in _shades(titles_of(figure)[name], shown, name)]
        found.append(sorted(points))
        assert len(points) == len(shown)
    for side in found:
        assert side[0][1] < 0.1 and side[-1][1] > 0.9
        assert all(light <= lighter for (_, light), (_, lighter) in itertools.pairwise(side))
    bars = [axes for axes in figure.axes if axes.get_title() == "IoU"]
    for bar, side in zip(bars, found, strict=True):
        (mesh,) = (artist for artist in bar.collections if isinstance(artist, QuadMesh))
        steps = np.asarray(mesh.get_facecolor())
        assert bar.get_ylim() == pytest.approx((side[0][0], side[-1][0]))
        assert lightness(tuple(steps[0])) < 0.1 and lightness(tuple(steps[-1])) > 0.9


def _shades(axes: Axes, shown: pd.DataFrame, name: str) -> list[tuple[float, float]]:
    """Value and lightness of each cell of a panel, found by the labels of its rows and columns."""
    (mesh,) = (artist for artist in axes.collections if isinstance(artist, QuadMesh))
    mesh.update_scalarmappable()
    n_layers = shown["layer"].nunique()
    colours = np.asarray(mesh.get_facecolor()).reshape(-1, n_layers, 4)
    of_panel = shown[shown["calibration"] == name.lower().replace(" & ", "-")]
    matrices = [label for label in masks.FIGURE_ORDER if label in set(of_panel["matrix"])]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == matrices and list(axes.get_yticks()) == [place + 0.5 for place in range(len(labels))]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is at the top
    return [
        (float(row.value), lightness(tuple(colours[matrices.index(str(row.matrix)), int(row.layer)])))  # type: ignore[arg-type]
        for row in of_panel.itertuples()
    ]


def test_curves_stand_at_their_labels_in_the_colours_of_the_key() -> None:
    """Also where languages have no colour of their own; a star where a calibration is evaluated in itself."""
    languages = ["de", "fr", "sw", "zh"]
    rows = measured.lsar(languages, 2, (0,))
    figure, _ = drawn(lambda: picture(subspaces, rows, settings("prompt_shift", layers=[1])))
    (axes,) = figure.axes
    (key,) = figure.legends
    handles = {text.get_text(): line for text, line in zip(key.get_texts(), key.get_lines(), strict=True)}
    places = {label.get_text(): place for label, place in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)}
    assert list(handles) == ["DE", "FR", "SW", "ZH"] == list(places)
    shown = rows[(rows["metric"] == "prompt_shift") & (rows["layer"] == "1")]
    for calibration in languages:
        of_curve = shown[shown["calibration"] == calibration].set_index("eval_language")["value"]
        handle = handles[calibration.upper()]
        assert to_hex(handle.get_color()) == colour_of(calibration, languages)  # type: ignore[arg-type]
        drawn_in = [line for line in axes.lines if to_hex(line.get_color()) == to_hex(handle.get_color())]  # type: ignore[arg-type]
        curve, star = sorted(drawn_in, key=lambda line: len(np.asarray(line.get_xdata())), reverse=True)
        assert curve.get_marker() == handle.get_marker() == marker_of(calibration, languages)
        for language in languages:
            at = list(np.asarray(curve.get_xdata())).index(places[language.upper()])
            assert np.asarray(curve.get_ydata())[at] == of_curve[language]
        assert star.get_marker() == "*" and list(np.asarray(star.get_xdata())) == [places[calibration.upper()]]


def test_the_greyer_a_panel_the_larger_its_maximum() -> None:
    rows = measured.lsar(["de", "en"], 3, (0,))
    figure, _ = drawn(lambda: picture(subspaces, rows, settings("prompt_shift")))
    layers = {"Layer 1": "1", "Layer 2": "2", "Layer 3": "L_normed"}
    maxima = rows[rows["metric"] == "prompt_shift"].groupby("layer")["value"].max()
    by_size = sorted(layers, key=lambda title: maxima[layers[title]])
    light = [lightness(to_rgba(titles_of(figure)[title].get_facecolor())) for title in by_size]
    assert light == sorted(light, reverse=True) and len(set(light)) == 3


@pytest.mark.parametrize(
    ("draws", "half"), [("agnostic_shift", True), ("shift_overview", True), ("shift_controls", True),
                        ("prompt_shift", False)],
)  # fmt: skip
def test_scales_of_curves_span_at_least_half_of_their_largest_value(draws: str, half: bool) -> None:
    """Changes from 1 to 1.03 fill a twentieth of their panel, those from 1 to 9 all of it."""
    rows = measured.lsar(["de", "en", "sw"], 2, (0,), with_parts=half)
    rows = rows.assign(value=1 + 0.03 * (rows["value"] - 1) / 8) if half else rows
    figure, texts = drawn(lambda: picture(subspaces, rows, settings(draws, layers=[1])))
    with_curves = [axes for axes in figure.axes if axes.get_xlabel() != "rank of the subspace" and axes.axison]
    assert with_curves
    for axes in with_curves:
        values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
        low, high = axes.get_ylim()
        assert low < values.min() and values.max() < high
        assert (np.ptp(values) / (high - low) < 0.06) if half else (np.ptp(values) / (high - low) > 0.8)
    said = " ".join(text.text.replace("\n", " ") for text in texts)
    assert "spans at least half of its largest value" in said


@pytest.mark.parametrize(
    ("draws", "says", "same"),
    [("neuron_entropy", "All panels have one scale", True), ("neuron_probability", "All panels have one scale", True),
     ("neuron_output", "Each panel has a scale of its own, from 0", False)],
)  # fmt: skip
def test_captions_say_whether_panels_share_a_scale(draws: str, says: str, same: bool) -> None:
    figure, texts = drawn(lambda: picture(neurons, measured.lape(4, ("0.50",)), settings(draws, layers=[1, 2, 3, 4])))
    assert any(says in text.text.replace("\n", " ") for text in texts)
    limits = {axes.get_ylim() for axes in figure.axes}
    assert (len(limits) == 1) == same


def test_bars_are_dense_and_lines_pruned() -> None:
    """Heights of figure 3's bars are the dense model's; its key names the line of each scheme; its axes have room."""
    rows = measured.lape(1)
    figure, texts = drawn(lambda: picture(neurons, rows, settings("neuron_overview")))
    assert min(text.left for text in texts) > 0.1
    (axes,) = [axes for title, axes in titles_of(figure).items() if title.startswith("Activation probability")]
    of = rows[(rows["layer"] == "all") & (rows["statistic"] == "p") & (rows["eval_language"] == "de")]
    dense = of[(of["scheme"] == "dense") & (of["series"] == "full")].sort_values("group")["value"]
    assert [bar.get_height() for bar in axes.containers[0]] == list(dense)  # type: ignore[attr-defined]
    (key,) = figure.legends
    styles = {
        text.get_text(): line.get_linestyle() for text, line in zip(key.get_texts(), key.get_lines(), strict=True)
    }
    steps = [patch for patch in axes.patches if hasattr(patch, "get_data")]
    for scheme, title in (("0.20", "pruned, 20 %"), ("0.50", "pruned, 50 %")):
        values = of[of["scheme"] == scheme].sort_values("group")["value"]
        (line,) = [step for step in steps if np.array_equal(step.get_data().values, values)]  # type: ignore[attr-defined]
        assert line.get_linestyle() == styles[title]


def test_markers_of_languages_are_of_different_kinds() -> None:
    """Nothing but lines for two of them: filled, both crosses look like blots at three points."""
    markers = {language: marker_of(language) for language in COLOURS}
    assert len(set(markers.values())) == len(markers)
    assert {markers["sw"], markers["zh"]} == {"+", "x"}


def test_crosses_are_as_easily_seen_as_filled_markers() -> None:
    """They have no area: on curves and in the key they are half as large again."""
    figure, _ = drawn(lambda: picture(subspaces, measured.lsar(["de", "sw", "zh"], 1, (0,)), settings("token_shift")))
    sizes: dict[str, set[float]] = {}
    for line in (*figure.axes[0].lines, *figure.legends[0].get_lines()):
        if (marker := str(line.get_marker())) in "s+x":
            sizes.setdefault(marker, set()).add(float(line.get_markersize()))
    assert all(len(each) == 1 for each in sizes.values())
    assert min(sizes["+"] | sizes["x"]) >= 1.5 * max(sizes["s"])
