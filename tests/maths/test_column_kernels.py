"""OBS-1, SGPT-1, SGPT-2 and GPTQ-1 as GPU kernels: interpreted against the eager code; and that they compile.

No test here runs on a GPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

if sys.platform != "linux":
    pytest.skip("Triton exists for Linux only", allow_module_level=True)

from tests.helpers.column_kernels import compress
from tests.helpers.matrices import correlated_inputs

PROGRAM = Path(__file__).parents[1] / "helpers" / "column_kernels.py"
PACKAGES = str(Path(__file__).parents[2] / "workflow_scripts")
PRUNED = [
    (scheme, d_in, n_rows, block_size)
    for scheme in ("0.20", "0.50", "0.80", "2of4", "4of8", "1of4")
    for d_in, n_rows, block_size in ((200, (33,), 128), (64, (5, 40), 32))
] + [("1of3", 36, (7,), 16)]
QUANTISED = [
    {"bits": bits, "group_size": group_size, "symmetric": symmetric, "act_order": act_order, "static_groups": static}
    for (bits, group_size), symmetric, (act_order, static) in product(
        ((4, 128), (8, 16)), (True, False), ((False, False), (True, False), (True, True), (False, True))
    )
]


def gram_with_dead_inputs(d_in: int) -> torch.Tensor:
    x = correlated_inputs(2 * d_in, d_in, seed=d_in).float()
    x[:, [3, 17]] = 0
    return x.T @ x


def weights(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def pruning_case(scheme: str, d_in: int, n_rows: tuple[int, ...], block_size: int) -> dict[str, Any]:
    matrices = [weights(n, d_in) for n in n_rows]
    return {"scheme": scheme, "gram": gram_with_dead_inputs(d_in), "weights": matrices, "block_size": block_size}


def quantising_case(settings: dict[str, Any]) -> dict[str, Any]:
    matrices = [weights(12, 200), weights(23, 200)]
    return {"settings": settings, "gram": gram_with_dead_inputs(200), "weights": matrices}


CASES = {f"{case[0]}, {case[1]} columns": pruning_case(*case) for case in PRUNED}
CASES |= {str(settings): quantising_case(settings) for settings in QUANTISED}


def run(*arguments: Path, **environment: str) -> None:
    command = [sys.executable, "-W", "error", str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": PACKAGES} | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("kernels")
    torch.save(list(CASES.values()), folder / "cases.pt")
    run(folder / "cases.pt", folder / "results.pt", TRITON_INTERPRET="1")
    return dict(zip(CASES, torch.load(folder / "results.pt"), strict=True))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("compiled")
    run(folder / "compiled.json", TRITON_CACHE_DIR=str(folder / "cache"))
    return json.loads((folder / "compiled.json").read_text())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "scheme" in case])
def test_pruning_by_kernel_is_pruning_by_the_eager_code(name: str, interpreted: Any) -> None:
    """OBS-1, SGPT-1, SGPT-2: equal masks; values to rounding; rows and columns that fill no tile."""
    for ours, eager in zip(interpreted[name], compress(CASES[name]), strict=True):
        assert torch.equal(ours["keep"], eager["keep"])
        torch.testing.assert_close(ours["weight"], eager["weight"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "settings" in case])
def test_quantising_by_kernel_is_quantising_by_the_eager_code(name: str, interpreted: Any) -> None:
    """OBS-1, GPTQ-1: one flipped rounding goes on to later columns, so whole rows agree or differ; most agree."""
    for ours, eager in zip(interpreted[name], compress(CASES[name]), strict=True):
        equal_rows = (ours["codes"] == eager["codes"]).all(1)
        assert equal_rows.float().mean() >= 0.8
        assert (ours["codes"] == eager["codes"]).float().mean() >= 0.99
        torch.testing.assert_close(ours["scales"][equal_rows], eager["scales"][equal_rows], rtol=1e-4, atol=1e-6)
        assert torch.equal(ours["zeros"][equal_rows], eager["zeros"][equal_rows])
        assert torch.equal(ours["group_of_column"], eager["group_of_column"])


def test_kernels_compile_for_nvidia_gpus(compiled: dict[str, str]) -> None:
    assert len(compiled) == 2 * 5
    for name, ptx in compiled.items():
        assert f".target sm_{name[-2:]}" in ptx


def test_divisions_are_exact_and_rounding_is_not_optimised_away(compiled: dict[str, str]) -> None:
    """GPTQ-1: 1.5 · 2²³ is added and taken away."""
    for name, ptx in compiled.items():
        assert "div.rn.f32" in ptx and "div.full" not in ptx and "div.approx" not in ptx
        if name.startswith("quantise"):
            assert "0f4B400000" in ptx and "0fCB400000" in ptx
