"""Figures as files: rows and two pictures of the kind that was asked for, the same bytes from the same measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.helpers import measured

from polyprune.artifacts.measurements import ACTIVATION_RANGES, LAPE, LSAR, MASK_IOU, MEAN_ACTIVATIONS, ROUTING
from polyprune.grammar.reports import DRAWINGS
from polyprune.report.figures import curves
from polyprune.settings.studies import FigureSettings
from polyprune.stages.plot_figure import plot_figure

LANGUAGES = ["de", "en", "zh"]
OPTIONS: dict[str, dict[str, Any]] = {
    "mean_activations": {"layers": [2], "matrix": "down_proj"},
    "shift_controls": {"layers": [1]},
}


LAYOUTS = {"lsar": LSAR, "lape": LAPE, "mask_iou": MASK_IOU, "mean_activations": MEAN_ACTIVATIONS, "routing": ROUTING}
LAYOUTS |= {"activation_ranges": ACTIVATION_RANGES, "drift": curves.LAYOUT}


def measurements(draws: str) -> pd.DataFrame:
    kind = DRAWINGS[draws].measurements
    if kind == "lsar":
        return measured.lsar(LANGUAGES, 2)
    if kind == "lape":
        return measured.lape(2, ("0.20", "0.50") if draws == "neuron_overview" else ("0.50",))
    if kind == "routing":
        return measured.routing(LANGUAGES, removed=[1])
    if kind == "activation_ranges":
        return measured.activation_ranges(LANGUAGES)
    if kind == "drift":
        return measured.perplexities(["de", "de+n8", "de25-en75", "en"], ["0.30", "0.50"])
    return measured.mask_iou(LANGUAGES) if kind == "mask_iou" else measured.mean_activations(20)


@pytest.mark.parametrize("draws", DRAWINGS)
def test_a_figure_is_drawn_twice_alike(draws: str, tmp_path: Path) -> None:
    frame = measurements(draws)
    source = tmp_path / "measured.parquet"
    measured.save(source, frame, LAYOUTS[DRAWINGS[draws].measurements])
    figure = FigureSettings.model_validate({"title": "T", "draws": draws, **OPTIONS.get(draws, {})})
    outputs = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        paths = [folder / f"figure1.{ending}" for ending in ("parquet", "pdf", "png")]
        plot_figure([source], DRAWINGS[draws].module, figure, "Model", paths[0], paths[1], paths[2], {})
        outputs.append([path.read_bytes() for path in paths])
    assert outputs[0] == outputs[1]
    assert outputs[0][1].startswith(b"%PDF") and outputs[0][2].startswith(b"\x89PNG")
    rows = pd.read_parquet(tmp_path / "a" / "figure1.parquet")
    assert 0 < len(rows) <= len(frame) and set(rows["model"]) == {"m"}
