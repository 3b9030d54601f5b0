"""Jobs on a pretended GPU: nothing is on the wrong device on the way, and what comes out is what the CPU makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.helpers.engine import METHODS, run_engine
from tests.helpers.pretended_gpu import pretended_gpu
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint

from polyprune.artifacts.weights import QuantisedWeight
from polyprune.maths import gptq, sparsegpt

SCHEMES = {"gptq": "w4g16", "awq": "w4g16"}
QUANTISED = {
    "gptq": {"gptq": {"damping": 0.01, "symmetric": False, "act_order": True, "static_groups": True}},
}


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which tests/maths/test_column_kernels.py runs."""
    for module in (gptq, sparsegpt):
        monkeypatch.setattr(module, "gpu_kernels", lambda _: None)


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_cells_are_the_cpus(method: str, offload: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    tokens = random_tokens(6, 16)
    asked = (folder, tokens, method, SCHEMES.get(method, "0.50"))
    here = run_engine(*asked, tmp_path / "here.safetensors", offload=offload, **QUANTISED.get(method, {}))
    with pretended_gpu(monkeypatch) as gpu:
        run_engine(*asked, tmp_path / "there.safetensors", offload=offload, device=gpu, **QUANTISED.get(method, {}))
