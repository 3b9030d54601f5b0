"""How far features of prompts move: figures 1, 4 to 7, and the same with other language subspaces.

Layers are counted as transformers counts them, which is the paper's way: 1 to L − 1 are outputs of decoder layers, and
L is the output of the final norm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from polyprune.artifacts.measurements import LSAR
from polyprune.errors import UserError
from polyprune.report.figures.drawing import (
    GREY,
    INK,
    colour_of,
    label_languages,
    language_keys,
    marker_of,
    marker_size,
    number_of_columns,
    panel_grid,
    room_for_languages,
    small_ticks,
)
from polyprune.settings.studies import FigureSettings

LAYOUT = LSAR

METRICS = {
    "token_shift": ("token_shift",),
    "prompt_shift": ("prompt_shift",),
    "agnostic_shift": ("agnostic_shift",),
    "specific_shift": ("specific_shift",),
    "shift_overview": ("agnostic_shift", "specific_shift"),
    "shift_controls": ("agnostic_shift", "specific_shift"),
}
PROJECTORS = {
    "per_model": "one per model",
    "cross_fitted": "per model, cross-fitted",
    "dense": "the dense model's",
    "pooled": "pooled",
    "random": "random",
}
"""In the order of their columns."""
PARTS = {"agnostic_shift": "language-agnostic", "specific_shift": "language-specific"}
CHANGES = {
    "token_shift": "Mean over tokens of ‖h − h̃‖, the change of a layer's hidden states.",
    "prompt_shift": "Mean over prompts of ‖e − ẽ‖, e the mean of a prompt's hidden states.",
    "agnostic_shift": "Mean over prompts of ‖a − ã‖, the part outside the language-specific subspace.",
    "specific_shift": "Mean over prompts of ‖s − s̃‖, the part in the language-specific subspace.",
}
SPREAD = "agnostic_shift_spread"
LEAST = 0.5
"""Of the largest value on it, how wide a scale is at least: a wiggle of three per cent looks like one."""
SCALE = "which need not begin at 0 and spans at least half of its largest value"
_SWEEP_STYLES = {
    "per_model": ("#882255", "o", "-"),
    "cross_fitted": ("#8c564b", "s", "--"),
    "dense": ("#332288", "^", "-"),
    "pooled": ("#999933", "D", "-."),
    "random": ("#7f7f7f", "x", ":"),
}
"""Colours that no language has."""


def rows(measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    """What a figure shows: means over seeds, and the smallest and largest seed's value, by layer and language.

    Raises:
        UserError: the measurements lack a layer or rank that the figure asks for.
    """
    shown = measured[measured["metric"].isin(METRICS[figure.draws])].copy()
    depth = max(int(layer) for layer in shown["layer"] if layer.isdecimal())
    counted = {str(layer): layer for layer in range(1, depth)} | {"L_normed": depth}
    shown["layer"] = shown["layer"].map(counted)
    shown = shown[shown["layer"].notna()].astype({"layer": "int64"})
    if figure.draws not in ("token_shift", "prompt_shift"):
        shown = _of_subspace(shown, figure)
    if figure.layers:
        shown = shown[shown["layer"].isin(figure.layers)]
    keys = ["model", "method", "scheme", "layer", "metric", "projector", "rank", "calibration", "eval_language"]
    grouped = shown.groupby(keys, sort=True, dropna=False, as_index=False)
    means = grouped.agg(
        value=("value", "mean"),
        low=("value", "min"),
        high=("value", "max"),
        n_seeds=("value", "size"),
        n=("n", "first"),
    )
    return pd.concat([means, _spread(means)], ignore_index=True) if figure.draws == "shift_controls" else means


def _of_subspace(rows: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    highest = int(rows["rank"].max())
    rank = figure.rank or highest
    if rank > highest:
        raise UserError(f"rank {rank} was not measured; the highest is {highest}, one less than the languages")
    if figure.draws == "shift_controls":
        return rows
    return rows[(rows["projector"] == figure.projector) & (rows["rank"] == rank)]


def _spread(means: pd.DataFrame) -> pd.DataFrame:
    """How far from flat agnostic curves are: (largest − smallest) / mean over languages, mean over calibrations."""
    keys = ["model", "method", "scheme", "layer", "projector", "rank"]
    agnostic = means[means["metric"] == "agnostic_shift"].groupby([*keys, "calibration"], as_index=False)
    curves = agnostic["value"].agg(["min", "max", "mean"])
    curves["value"] = (curves["max"] - curves["min"]) / curves["mean"]
    spread = curves.groupby(keys, as_index=False)["value"].agg(value="mean", low="min", high="max")
    return spread.assign(metric=SPREAD)


def draw(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """The picture of a figure's rows."""
    if figure.draws == "shift_controls":
        return _draw_controls(rows, figure, names)
    if figure.draws == "shift_overview":
        return _draw_overview(rows, figure, names)
    return _draw_layers(rows, figure, names)


def _languages(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    calibrations = sorted(set(rows["calibration"].dropna()))
    return calibrations, sorted(set(rows["eval_language"].dropna()))


def _draw_curves(axes: Axes, rows: pd.DataFrame, width: float) -> None:
    """A line a calibration language over evaluation languages; a star where the two are the same."""
    calibrations, languages = _languages(rows)
    places = np.arange(len(languages))
    for calibration in calibrations:
        curve = rows[rows["calibration"] == calibration].set_index("eval_language").reindex(languages)
        value, low, high = (curve[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
        colour = colour_of(calibration, calibrations)
        marker = marker_of(calibration, calibrations)
        axes.plot(places, value, color=colour, linewidth=0.9, marker=marker, markersize=marker_size(marker))
        if (high > low).any():
            axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        if calibration in languages:
            own = languages.index(calibration)
            star = {"marker": "*", "markersize": 9, "markeredgecolor": "#ffffff", "markeredgewidth": 0.5}
            axes.plot([own], [value[own]], color=colour, zorder=5, **star)  # type: ignore[arg-type]
    label_languages(axes, languages, width)
    axes.grid(axis="y", color="#ffffff" if to_rgb(axes.get_facecolor())[0] < 0.97 else "#e6eaec", linewidth=0.6)
    axes.set_axisbelow(True)
    small_ticks(axes)


def _caption(rows: pd.DataFrame, names: str, what: str) -> str:
    seeds = int(rows["n_seeds"].max())
    band = f" Lines: mean of {seeds} seeds, bands: smallest to largest." if seeds > 1 else ""
    n = int(rows["n"].max())
    of = f"Up to {n:,} tokens" if "token_shift" in set(rows["metric"]) else f"{n:,} prompts"
    return (
        f"{names}. {what} Colour and marker: calibration language, ★: evaluated in it.{band} {of} a language. "
        "The last layer is after the final norm."
    )


def _subspace(rows: pd.DataFrame, figure: FigureSettings) -> str:
    return f"Subspace: {PROJECTORS[figure.projector]}, rank {int(rows['rank'].max())}"


def _flat_by_construction(rows: pd.DataFrame, figure: FigureSettings, curves: str) -> str:
    """A warning, where it holds: the subspace of each model holds all differences between its languages' means."""
    fitted_to_each = figure.projector in ("per_model", "cross_fitted")
    if not fitted_to_each or rows["rank"].max() < rows["eval_language"].nunique() - 1:
        return ""
    return (
        f" With this rank and a subspace for each model {curves} are nearly flat by construction, whatever pruning did "
        "(docs/methods.md)."
    )


def _draw_layers(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """A panel a layer, each on a scale of its own."""
    what = CHANGES[figure.draws]
    if figure.draws in PARTS:
        what += f" {_subspace(rows, figure)}."
    if figure.draws == "agnostic_shift":
        what += _flat_by_construction(rows, figure, "these curves")
    what += f" Each panel has a scale of its own, {SCALE}: the greyer a panel, the larger its maximum."
    layers, (calibrations, languages) = sorted(set(rows["layer"])), _languages(rows)
    size, labels = room_for_languages(languages, (1.18, 0.95) if len(layers) > 16 else (1.75, 1.35))
    columns = number_of_columns(len(layers), size[0] + 0.46)
    gap = (0.46, 0.52 + labels)
    caption = _caption(rows, names, what)
    sheet, panels = panel_grid(len(layers), columns, size, gap, figure.title, caption, language_keys(calibrations))
    maxima = rows.groupby("layer")["value"].max()
    for index, (layer, axes) in enumerate(zip(layers, panels, strict=True)):
        grey = 1 - 0.22 * (maxima[layer] - maxima.min()) / max(maxima.max() - maxima.min(), 1e-30)
        axes.set_facecolor((grey, grey, grey))
        of_layer = rows[rows["layer"] == layer]
        _draw_curves(axes, of_layer, size[0])
        _set_scale(axes, of_layer)
        axes.set_title(f"Layer {layer}", pad=3)
        if index % columns == 0:
            axes.set_ylabel("Δ magnitude", labelpad=2)
        if index >= len(layers) - columns:
            axes.set_xlabel("evaluation language", labelpad=1.5)
    return sheet


def _draw_overview(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """Agnostic above specific, some layers; one scale in both rows of a column."""
    layers, (calibrations, languages) = sorted(set(rows["layer"])), _languages(rows)
    what = (
        f"Mean over prompts of the change of each part. {_subspace(rows, figure)}."
        f"{_flat_by_construction(rows, figure, 'the upper curves')} The panels of a layer share a scale, "
        f"{SCALE}; layers have their own."
    )
    caption = _caption(rows, names, what)
    size, labels = room_for_languages(languages, (1.75, 1.35))
    gap = (0.5, 0.55 + labels)
    key = language_keys(calibrations)
    sheet, panels = panel_grid(2 * len(layers), len(layers), size, gap, figure.title, caption, key)
    for row, (metric, part) in enumerate(PARTS.items()):
        for column, layer in enumerate(layers):
            axes = panels[row * len(layers) + column]
            in_column = rows[rows["layer"] == layer]
            _draw_curves(axes, in_column[in_column["metric"] == metric], size[0])
            _set_scale(axes, in_column)
            axes.set_title(f"Layer {layer}, {part}", pad=3)
            if column == 0:
                axes.set_ylabel("Δ magnitude", labelpad=2)
            if row == 1:
                axes.set_xlabel("evaluation language", labelpad=1.5)
    return sheet


def _set_scale(axes: Axes, rows: pd.DataFrame) -> None:
    """The range of some rows in the middle, `LEAST` of their largest value at least, and room for stars."""
    low, high = float(rows["low"].min()), float(rows["high"].max())
    span = max(high - low, LEAST * high, 1e-30)
    middle = (low + high) / 2
    axes.set_ylim(middle - 0.58 * span, middle + 0.6 * span)


def _draw_controls(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """For each layer: both parts with each subspace at the highest rank, and how flat the agnostic one is at each."""
    layers, projectors = sorted(set(rows["layer"])), list(PROJECTORS)
    rank = int(rows["rank"].max())
    curves = rows[(rows["metric"] != SPREAD) & (rows["rank"] == rank)]
    what = (
        f"The change that pruning makes to both parts of prompt embeddings. Columns: where the language-specific "
        f"subspace (rank {rank}) is from. One for each model is the paper's: the agnostic part of every language's "
        "mean is then the same, so its change is as flat as the spread within languages allows, whatever pruning did. "
        "With one subspace for both models (dense, pooled) it need not be. Random: what any subspace of this rank "
        f"leaves (its specific part on a scale of its own). The panels of a row share a scale, {SCALE}. Right: "
        "(largest − smallest) / mean of the agnostic curve over evaluation languages, mean over calibrations, by rank."
    )
    caption = _caption(curves, names, what)
    columns = len(projectors) + 1
    calibrations, languages = _languages(curves)
    size, labels = room_for_languages(languages, (1.6, 1.2))
    gap = (0.6, 0.55 + labels)
    key = language_keys(calibrations)
    sheet, panels = panel_grid(2 * len(layers) * columns, columns, size, gap, figure.title, caption, key)
    for row, (layer, metric) in enumerate((layer, metric) for layer in layers for metric in PARTS):
        of_row = curves[(curves["layer"] == layer) & (curves["metric"] == metric)]
        of_row_shared = of_row[of_row["projector"] != "random"] if metric == "specific_shift" else of_row
        for column, projector in enumerate(projectors):
            axes = panels[row * columns + column]
            of_panel = of_row[of_row["projector"] == projector]
            _draw_curves(axes, of_panel, size[0])
            _set_scale(axes, of_panel if projector == "random" and metric == "specific_shift" else of_row_shared)
            axes.set_title(PROJECTORS[projector], pad=3)
            if column == 0:
                axes.set_ylabel(f"layer {layer}: Δ\n{PARTS[metric]}", labelpad=2)
            if row == 2 * len(layers) - 1:
                axes.set_xlabel("evaluation language", labelpad=1.5)
        last = panels[row * columns + columns - 1]
        if metric == "agnostic_shift":
            _draw_sweep(last, rows[(rows["metric"] == SPREAD) & (rows["layer"] == layer)], projectors)
        else:
            last.set_axis_off()
            _key_of_sweep(last, projectors)
    return sheet


def _draw_sweep(axes: Axes, spread: pd.DataFrame, projectors: Sequence[str]) -> None:
    for projector in reversed(projectors):
        curve = spread[spread["projector"] == projector].sort_values("rank")
        colour, marker, line = _SWEEP_STYLES[projector]
        axes.plot(
            *(curve["rank"].to_numpy(dtype=float), curve["value"].to_numpy(dtype=float)),
            color=colour,
            marker=marker,
            linestyle=line,
            markersize=6 if projector == "cross_fitted" else 3,
            markerfacecolor="none" if projector == "cross_fitted" else colour,
        )
    axes.set(title="agnostic: spread by rank", ylim=(0, None), xticks=sorted(set(spread["rank"].astype(int))))
    axes.set_xlabel("rank of the subspace", labelpad=1.5)
    axes.set_ylabel("spread / mean", labelpad=2)
    axes.tick_params(length=2, pad=1.5, colors=INK)


def _key_of_sweep(axes: Axes, projectors: Sequence[str]) -> None:
    for projector in projectors:
        colour, marker, line = _SWEEP_STYLES[projector]
        axes.plot([], [], color=colour, marker=marker, linestyle=line, markersize=3, label=PROJECTORS[projector])
    axes.legend(loc="upper left", bbox_to_anchor=(-0.1, 1.0), labelcolor=GREY)
