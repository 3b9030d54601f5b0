"""Which device a stage computes on: from `engine.device` and what this job was given."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polyprune.errors import UserError


def choose_device(wanted: str, leased: Sequence[str]) -> torch.device:
    """`auto` is the first GPU if torch sees one, else the CPU, as on a laptop; `leased` names this job's GPUs.

    Raises:
        UserError: `cuda` where torch sees no GPU; `auto` where this job was given one that torch does not see: a large
            model would silently take weeks.
    """
    available = torch.cuda.is_available()
    if wanted == "auto" and not available and leased:
        raise UserError(
            f"this job was given GPU {', '.join(leased)}, but torch {torch.__version__} sees none: install a build of "
            "torch with CUDA, check the driver with nvidia-smi, or set engine.device to cpu in config.yaml"
        )
    if wanted == "cuda" and not available:
        raise UserError("engine.device is cuda, but torch sees no GPU here; set it to auto or cpu in config.yaml")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")
