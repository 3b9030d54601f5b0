"""A program of its own, because Triton decides on import whether to interpret its kernels, which needs no GPU.

TRITON_INTERPRET=1 python column_kernels.py cases.pt results.pt     SparseGPT and GPTQ through the kernels
python column_kernels.py compiled.json                              names and PTX of kernels for GPUs
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths import column_kernels, gptq, sparsegpt
from polyprune.maths.cholesky import hessian_factor
from polyprune.maths.grids import GridSettings

BOTH = {"columns": "*fp32", "upper": "*fp32", "width": "i32", "n_rows": "i32"}
PRUNE = BOTH | {"removed_bytes": "*u8"}
QUANTISE = BOTH | {
    "codes": "*u8", "scales": "*fp32", "zeros": "*fp32", "group_of_column": "*i64", "highest_code": "i32"
}  # fmt: skip
TILE = {"WIDTH": 128, "ROWS": column_kernels.ROWS}


def compress(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Results of one case, a method's arguments by name; the same function makes those of the eager code."""
    if "scheme" in case:
        factor = hessian_factor(case["gram"], 0.01, "a test")
        pruned = sparsegpt.sparsegpt(case["weights"], factor, parse_scheme(case["scheme"]), case["block_size"])
        return [weight._asdict() for weight in pruned]
    settings = GridSettings(**case["settings"])
    return [vars(matrix) for matrix in gptq.gptq(case["weights"], case["gram"], 0.01, settings, "a test")]


def interpret(cases: Path, results: Path) -> None:
    launched = 0

    def kernels(_: torch.Tensor) -> Any:
        nonlocal launched
        launched += 1
        return column_kernels

    sparsegpt.gpu_kernels = gptq.gpu_kernels = kernels
    torch.save([compress(case) for case in torch.load(cases)], results)
    assert launched


def compile_for_gpus(results: Path) -> None:
    found: dict[str, str] = {}
    for capability in (80, 90):
        target = GPUTarget("cuda", capability, 32)
        for n_removed, group in ((0, 0), (2, 4), (4, 8), (3, 4)):
            constants = TILE | {"N_REMOVED": n_removed, "GROUP": group}
            compiled = triton.compile(ASTSource(column_kernels._prune, PRUNE, constants), target=target)
            found[f"prune {n_removed} of {group}, sm_{capability}"] = compiled.asm["ptx"]
        compiled = triton.compile(ASTSource(column_kernels._quantise, QUANTISE, TILE), target=target)
        found[f"quantise, sm_{capability}"] = compiled.asm["ptx"]
        assert "cubin" in compiled.asm
    results.write_text(json.dumps(found))


if __name__ == "__main__":
    paths = [Path(word) for word in sys.argv[1:]]
    interpret(*paths) if len(paths) == 2 else compile_for_gpus(*paths)
