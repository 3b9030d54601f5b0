"""In which dtype a CPU computes a model: its own or, where the CPU multiplies float32 faster, float32.

A 16-bit model is as fast as the CPU's instructions for it: with AMX or AVX512-BF16 bfloat16 is faster than float32,
without them slower, and float16 is slower nearly everywhere. float32 holds every 16-bit weight, so only roundings in
between differ; the other way round weights would be rounded, so a float32 model is never computed in less unasked.

Measured once, when the model is registered: the manifest keeps the choice and the model's digest has it, so all results
of a model in a results folder are of one dtype wherever their jobs run.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch.nn.functional import linear

from polyprune.log import logger
from polyprune.model.checkpoint import Checkpoint

_SHAPES = ((256, 1024, 1024), (32, 8192, 1024))
"""Tokens, outputs and inputs of a layer's product and of a head's."""
_WORTHWHILE = 1.25
"""Times as fast float32 has to be: noise must not decide, and it takes twice the memory."""
_FLOAT32 = "float32"


def dtype_by_speed(folder: Path, device: str) -> str | None:
    """`float32` where the CPU computes and that is faster than the folder's own dtype; None: the own one is used.

    `device` is `engine.device`: the CPU computes if it says so, or if torch is built for nothing else; where there may
    be GPUs, here or on a cluster, nothing is chosen.
    """
    own = Checkpoint(folder).dtype
    name = str(own).removeprefix("torch.")
    if own == torch.float32 or device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return None
    times = product_seconds(own) / product_seconds(torch.float32)
    said = f"{name} products take {times:.2f} of float32's time on this CPU ({instructions()})"
    if device == "auto" and (torch.version.cuda or torch.version.hip):
        logger.info("%s; %s is used, as torch is built for GPUs (engine.device: cpu would choose by this)", said, name)
        return None
    chosen = _FLOAT32 if times > _WORTHWHILE else None
    logger.info("%s: computed in %s (source.dtype would say otherwise)", said, chosen or name)
    return chosen


def product_seconds(dtype: torch.dtype) -> float:
    """Processor time of a layer's and a head's product, the best of three of each."""
    return sum(_best_of_three(*shape, dtype) for shape in _SHAPES)


def instructions() -> str:
    """What this CPU has for 16-bit products."""
    found = torch.cpu.get_capabilities()
    named = {"AMX": "amx_bf16", "AMX-FP16": "amx_fp16", "AVX512-BF16": "avx512_bf16", "AVX512-FP16": "avx512_fp16"}
    return ", ".join(name for name, key in named.items() if found.get(key)) or "no instructions for 16 bits"


@torch.inference_mode()
def _best_of_three(tokens: int, d_out: int, d_in: int, dtype: torch.dtype) -> float:
    states, weights = torch.ones(tokens, d_in, dtype=dtype), torch.ones(d_out, d_in, dtype=dtype)
    linear(states, weights)
    found = []
    for _ in range(3):
        started = time.process_time()
        linear(states, weights)
        found.append(time.process_time() - started)
    return min(found)
