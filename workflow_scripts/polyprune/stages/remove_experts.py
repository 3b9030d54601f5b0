"""Remove whole experts of a mixture by what they add on the calibration text: the cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.cells import EXPERTS, join_layers
from polyprune.grammar.calibrations import parse_calibration
from polyprune.grammar.schemes import parse_scheme
from polyprune.log import logger
from polyprune.model.calibration import open_calibration
from polyprune.model.removal import remove_experts_of
from polyprune.settings.engine import Engine


def remove_experts(
    model: Path,
    tokens: Path,
    method: str,
    scheme: str,
    calibration: str,
    seed: int,
    output: Path,
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/cells.py`); its finished layers stay in `{output}.layers/` until it is whole."""
    languages = list(parse_calibration(calibration).languages)
    text = open_calibration(model, tokens, device, engine, languages=languages, seed=seed)
    metadata = provenance | text.digests | {"dtype": text.decoder.dtype_name, "unit": EXPERTS}
    logger.info("%s %s on %d x %d tokens, %s", method, scheme, *text.tokens.shape, text.decoder.device)
    parts = output.with_name(output.name + ".layers")
    remove_experts_of(text, parse_scheme(scheme), parts, metadata)
    join_layers(parts, text.decoder.n_layers, output, metadata)
