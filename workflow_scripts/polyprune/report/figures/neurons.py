"""How language-specific neurons are: figures 3 and 8 to 10, from groups of neurons by their LAPE in the dense model."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polyprune.artifacts.measurements import LAPE
from polyprune.grammar.paths import DENSE
from polyprune.grammar.titles import scheme_title
from polyprune.maths.lape import BOX
from polyprune.report.figures.drawing import (
    DENSE_COLOUR,
    INK,
    PALE,
    Sheet,
    colour_of,
    number_of_columns,
    panel_grid,
    small_ticks,
)
from polyprune.report.figures.letters import text_width
from polyprune.report.names import calibration_label
from polyprune.settings.studies import FigureSettings

LAYOUT = LAPE

SHOWN_SHARE = 0.3
"""Of the neurons in figure 3's boxes: those with the lowest LAPE."""
ALL_LAYERS = "all"
_STATISTICS = {
    "neuron_overview": {*(f"lape_{name}" for name in BOX), "p", "|output|", "n_never_active"},
    "neuron_entropy": {*(f"lape_{name}" for name in BOX), "n_never_active"},
    "neuron_probability": {"p_max", "n_never_active"},
    "neuron_output": {"output_mean", "n_never_active"},
}
_LINES = ("--", "-", ":")
"""Of pruned models, by ascending sparsity."""
_SHOWS = {
    "neuron_entropy": (
        "Boxes: LAPE in the pruned model, whiskers of 1.5 interquartile ranges. Grey: the noise floor, whiskers in the "
        "dense model on one half of the text of groups made on the other.",
        "LAPE [nat]",
    ),
    "neuron_probability": (
        "Bars: activation probability in the language where it is largest, mean over the group; dense model.",
        "largest p",
    ),
    "neuron_output": ("Bars: |act(gate) · up|, mean over tokens, languages and the group; dense model.", "|output|"),
}
"""What figures 8 to 10 show, and their vertical axis."""
_BARS = {"neuron_probability": "p_max", "neuron_output": "output_mean"}
"""The statistic of figures of bars: one panel, or one a layer where a figure names layers."""
_SCALES = {
    "neuron_entropy": "All panels have one scale.",
    "neuron_probability": "All panels have one scale.",
    "neuron_output": "Each panel has a scale of its own, from 0.",
}


def rows(measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    """What a figure shows: figure 8 each layer, 3 all together; 9 and 10, of dense, too unless they name layers."""
    shown = measured[measured["statistic"].isin(_STATISTICS[figure.draws])]
    pooled = figure.draws == "neuron_overview" or (figure.draws in _BARS and not figure.layers)
    shown = shown[(shown["layer"] == ALL_LAYERS) == pooled]
    if figure.draws in _BARS:
        shown = shown[(shown["method"] == DENSE) & (shown["series"] == "full")]
    if figure.draws == "neuron_overview":
        language = next(name for name in shown["calibration"] if name != DENSE)
        shown = shown[shown["eval_language"].isna() | (shown["eval_language"] == language)]
    if figure.layers:
        shown = shown[shown["layer"].isin([str(layer - 1) for layer in figure.layers])]
    return shown.reset_index(drop=True)


def draw(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """The picture of a figure's rows."""
    if figure.draws == "neuron_overview":
        return _draw_overview(rows, figure, names)
    if set(rows["layer"]) == {ALL_LAYERS}:
        return _draw_one_panel(rows, figure, names)
    return _draw_layers(rows, figure, names)


def _values(rows: pd.DataFrame, statistic: str) -> np.ndarray:
    """Values by group."""
    shown = rows[rows["statistic"] == statistic].sort_values("group")
    return shown["value"].to_numpy(dtype=float)


def _series(rows: pd.DataFrame, scheme: str, series: str) -> pd.DataFrame:
    return rows[(rows["scheme"] == scheme) & (rows["series"] == series)]


def _schemes(rows: pd.DataFrame) -> list[str]:
    return sorted({scheme for scheme in rows["scheme"] if scheme != DENSE})


def _dead(rows: pd.DataFrame) -> str:
    """How many neurons have no LAPE, for a caption."""
    counts = rows[(rows["statistic"] == "n_never_active") & (rows["series"] == "full")]
    said = []
    for scheme in (DENSE, *_schemes(rows)):
        of_scheme = counts[counts["scheme"] == scheme]
        if len(of_scheme):
            name = DENSE if scheme == DENSE else scheme_title(scheme)
            said.append(f"{name} {of_scheme['value'].sum():,.0f}")
    total = counts[counts["scheme"] == counts["scheme"].iloc[0]]["n"].sum()
    return f"Neurons that no language ever activates have no LAPE and are left out (of {total:,}: {', '.join(said)})."


def _draw_boxes(axes: Axes, rows: pd.DataFrame, n_shown: int, colour: str, linewidth: float = 0.6) -> None:
    """Boxes over percent of neurons: quartiles filled, median, whiskers."""
    low, q1, median, q3, high = (_values(rows, f"lape_{name}")[:n_shown] for name in BOX)
    n_groups = int(rows["group"].max()) + 1
    width = 100 / n_groups
    centre = (np.arange(len(median)) + 0.5) * width
    axes.vlines(centre, low, high, color=INK, linewidth=linewidth)
    axes.bar(centre, q3 - q1, 0.72 * width, q1, color=colour, edgecolor=INK, linewidth=linewidth)
    axes.hlines(median, centre - 0.36 * width, centre + 0.36 * width, color=INK, linewidth=linewidth * 1.6)
    small_ticks(axes)


def _entropy_range(rows: pd.DataFrame) -> tuple[float, float]:
    low = rows.loc[rows["statistic"] == "lape_whisker_low", "value"].min()
    high = rows.loc[rows["statistic"] == "lape_whisker_high", "value"].max()
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _draw_overview(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """Boxes of the lowest groups for each model above bars of all groups for two of their traits."""
    schemes = _schemes(rows)
    calibration = next(name for name in rows["calibration"] if name != DENSE)
    language, colour = calibration_label(calibration), colour_of(calibration)
    n_groups = int(rows["group"].max()) + 1
    n_shown = round(SHOWN_SHARE * n_groups)
    panels = [
        ("Dense model", _series(rows, DENSE, "full"), DENSE_COLOUR),
        *((f"Pruned, {scheme_title(scheme)}", _series(rows, scheme, "full"), colour) for scheme in schemes),
        ("Noise floor: dense, half against half", _series(rows, DENSE, "half"), PALE),
    ]
    step = 0.45 + max(2.0, *(text_width(title, 8.0, bold=True) for title, _, _ in panels))
    key = [
        Line2D([], [], color=DENSE_COLOUR, linewidth=6, solid_capstyle="butt", label=f"{DENSE} (bars)"),
        *(
            Line2D([], [], color=INK, linestyle=style, label=f"pruned, {scheme_title(scheme)}")
            for scheme, style in zip(schemes, _LINES, strict=False)
        ),
    ]
    left = 0.62
    width = left + step * len(panels)
    sheet = Sheet(width, 2.5 + 2 * 1.35, figure.title, _overview_caption(rows, names, language, n_groups), key)
    boxes = pd.concat([panel for _, panel, _ in panels])
    boxes = boxes[boxes["group"].isna() | (boxes["group"] < n_shown)]
    for column, (title, of_panel, of_boxes) in enumerate(panels):
        axes = sheet.axes(left + column * step, 0.25, step - 0.45, 1.65)
        _draw_boxes(axes, of_panel, n_shown, of_boxes)
        axes.set(title=title, xlabel="% of neurons", ylim=_entropy_range(boxes))
        axes.set_xlim(0, 100 * SHOWN_SHARE)
        if column == 0:
            axes.set_ylabel("LAPE [nat]")
    for row, (statistic, title, label) in enumerate(
        (
            ("p", f"Activation probability for {language}, mean of each group", "p"),
            ("|output|", f"Neuron output magnitude for {language}, mean of each group", "|output|"),
        )
    ):
        axes = sheet.axes(left, 2.65 + row * 1.25, width - left - 0.15, 0.75)
        _draw_bars(axes, _series(rows, DENSE, "full"), statistic)
        edges = np.linspace(0, 100, n_groups + 1)
        for scheme, style in zip(schemes, _LINES, strict=False):
            values = _values(_series(rows, scheme, "full"), statistic)
            axes.stairs(values, edges, baseline=None, color=INK, linestyle=style, linewidth=0.9)
        axes.set(title=title, ylabel=label, xlabel="% of neurons, by LAPE in the dense model" if row else None)
    return sheet.figure


def _overview_caption(rows: pd.DataFrame, names: str, language: str, n_groups: int) -> str:
    return (
        f"{names}, calibrated on {language}. All MLP neurons in {n_groups} equal groups by their LAPE in the dense "
        "model; boxes are quartiles, whiskers reach 1.5 interquartile ranges, the "
        f"{100 * SHOWN_SHARE:.0f} % lowest are shown, all on one scale. Noise floor: grouped by the dense model's LAPE "
        "on one half of the text, measured in the dense model on the other; what pruning adds is what goes beyond. "
        f"Bars: the dense model, lines: pruned. Output: |act(gate) · up|, mean over tokens. {_dead(rows)}"
    )


def _draw_bars(axes: Axes, rows: pd.DataFrame, statistic: str) -> None:
    values = _values(rows, statistic)
    width = 100 / len(values)
    axes.bar((np.arange(len(values)) + 0.5) * width, values, 0.8 * width, color=DENSE_COLOUR, linewidth=0)
    axes.set_xlim(0, 100)
    small_ticks(axes)


def _draw_one_panel(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """Bars of groups over all layers."""
    n_groups = int(rows["group"].max()) + 1
    what, label = _SHOWS[figure.draws]
    grouped = f"{names}. MLP neurons of all layers in {n_groups} equal groups by their LAPE in the dense model."
    sheet = Sheet(6.0, 1.75, figure.title, f"{grouped} {what} {_dead(rows)}")
    axes = sheet.axes(0.55, 0.2, 5.3, 1.15)
    _draw_bars(axes, rows, _BARS[figure.draws])
    axes.set(ylabel=label, xlabel="% of neurons, by LAPE in the dense model")
    return sheet.figure


def _draw_layers(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """One panel a layer."""
    layers = sorted(set(rows["layer"]), key=int)
    n_groups = int(rows["group"].max()) + 1
    what, label = _SHOWS[figure.draws]
    grouped = f"{names}. MLP neurons of each layer in {n_groups} equal groups by their LAPE in the dense model."
    caption = f"{grouped} {what} {_SCALES[figure.draws]} Layers are counted from 0. {_dead(rows)}"
    small = len(layers) > 16
    size = (1.35, 0.95) if small else (2.1, 1.35)
    columns = number_of_columns(len(layers), size[0] + 0.46)
    sheet, panels = panel_grid(len(layers), columns, size, (0.46, 0.52), figure.title, caption)
    for index, (layer, axes) in enumerate(zip(layers, panels, strict=True)):
        of_layer = rows[rows["layer"] == layer]
        if figure.draws == "neuron_entropy":
            _draw_layer_boxes(axes, of_layer, small)
            axes.set_ylim(_entropy_range(rows))
        else:
            statistic = _BARS[figure.draws]
            _draw_bars(axes, of_layer, statistic)
            if figure.draws == "neuron_probability":
                axes.set_ylim(0, 1.04 * rows.loc[rows["statistic"] == statistic, "value"].max())
        axes.set_title(f"Layer {layer}", pad=3)
        if index % columns == 0:
            axes.set_ylabel(label, labelpad=2)
        if index >= len(layers) - columns:
            axes.set_xlabel("% of neurons", labelpad=1.5)
    return sheet


def _draw_layer_boxes(axes: Axes, rows: pd.DataFrame, small: bool) -> None:
    floor = _series(rows, DENSE, "half")
    low, high = (_values(floor, f"lape_{name}") for name in ("whisker_low", "whisker_high"))
    edges = np.linspace(0, 100, len(low) + 1)
    axes.stairs(high, edges, baseline=low, fill=True, color=PALE, linewidth=0)
    pruned = rows[(rows["scheme"] != DENSE) & (rows["series"] == "full")]
    colour = colour_of(str(pruned["calibration"].iloc[0]))
    _draw_boxes(axes, pruned, int(pruned["group"].max()) + 1, colour, 0.3 if small else 0.5)
    axes.set_xlim(0, 100)
