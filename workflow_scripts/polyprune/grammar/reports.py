"""What a study can show: kinds of tables and of figures. Imported at parse time: no matplotlib.

A kind is drawn by a module of `report/tables` or `report/figures`, which is imported by name, so that editing one makes
only its own pictures again; and from one sort of measurements, which `workflow/inputs.py` finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """`module` arranges and draws it, from `measurements`; `of_dense`: of a grid it needs only the model.

    `settings`: what it reads of a figure's settings beside the title. `schemes`: how many of them a figure tells apart.
    `evidence`: the items behind the measurements of cells that tell how sure they are, answers or dumps.
    """

    module: str
    measurements: str
    of_dense: bool = False
    settings: tuple[str, ...] = ()
    schemes: int = 1
    evidence: Literal["answers", "dumps"] | None = None


TABLES = {
    "drift": Kind("drift", "drift", evidence="dumps"),
    "benchmarks": Kind("benchmarks", "evaluation", evidence="answers"),
    "mask_iou": Kind("mask_iou", "mask_iou"),
    "mask_iou_languages": Kind("mask_iou", "mask_iou"),
    "same_masks": Kind("same_masks", "mask_agreement"),
    "routing": Kind("routing", "routing"),
}
_LAYERS = ("layers",)
_SUBSPACE = ("layers", "projector", "rank")
DRAWINGS = {
    "mask_iou": Kind("masks", "mask_iou"),
    "token_shift": Kind("subspaces", "lsar", settings=_LAYERS),
    "prompt_shift": Kind("subspaces", "lsar", settings=_LAYERS),
    "agnostic_shift": Kind("subspaces", "lsar", settings=_SUBSPACE),
    "specific_shift": Kind("subspaces", "lsar", settings=_SUBSPACE),
    "shift_overview": Kind("subspaces", "lsar", settings=_SUBSPACE),
    "shift_controls": Kind("subspaces", "lsar", settings=_LAYERS),
    "neuron_overview": Kind("neurons", "lape", schemes=3),
    "neuron_entropy": Kind("neurons", "lape", settings=_LAYERS),
    "neuron_probability": Kind("neurons", "lape", of_dense=True, settings=_LAYERS),
    "neuron_output": Kind("neurons", "lape", of_dense=True, settings=_LAYERS),
    "routing_shares": Kind("routing", "routing", settings=_LAYERS),
    "routing_overlap": Kind("routing", "routing", settings=_LAYERS),
    "activation_ranges": Kind("ranges", "activation_ranges", of_dense=True, settings=_LAYERS),
    "mean_activations": Kind("channels", "mean_activations", settings=("layers", "matrix")),
    "over_budget": Kind("curves", "drift", settings=("sequences",)),
    "over_dose": Kind("curves", "drift"),
    "over_sparsity": Kind("curves", "drift", schemes=100),
}
