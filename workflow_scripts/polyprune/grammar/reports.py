"""What a study can show: kinds of tables and of figures. Imported at parse time: no matplotlib.

A kind is drawn by a module of `report/tables` or `report/figures`, which is imported by name, so that editing one makes
only its own pictures again; and from one sort of measurements, which `workflow/inputs.py` finds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """`module` arranges and draws it, from `measurements`; `of_dense`: of a grid it needs only the model."""

    module: str
    measurements: str
    of_dense: bool = False


TABLES = {
    "drift": Kind("drift", "drift"),
    "benchmarks": Kind("benchmarks", "evaluation"),
    "mask_iou": Kind("mask_iou", "mask_iou"),
    "mask_iou_languages": Kind("mask_iou", "mask_iou"),
}
DRAWINGS = {
    "mask_iou": Kind("masks", "mask_iou"),
    "token_shift": Kind("subspaces", "lsar"),
    "prompt_shift": Kind("subspaces", "lsar"),
    "agnostic_shift": Kind("subspaces", "lsar"),
    "specific_shift": Kind("subspaces", "lsar"),
    "shift_overview": Kind("subspaces", "lsar"),
    "shift_controls": Kind("subspaces", "lsar"),
    "neuron_overview": Kind("neurons", "lape"),
    "neuron_entropy": Kind("neurons", "lape"),
    "neuron_probability": Kind("neurons", "lape", of_dense=True),
    "neuron_output": Kind("neurons", "lape", of_dense=True),
    "mean_activations": Kind("channels", "mean_activations"),
}
