"""Whether torch sees a GPU, whether what we compute there comes out as on the CPU, and how fast it is: make check-gpu.

Ends with 1 where no GPU is seen, or where something fails or differs: a job's script may ask before it goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from polyprune.commands import run_command
from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.cholesky import hessian_factor
from polyprune.maths.gptq import gptq
from polyprune.maths.grids import GridSettings
from polyprune.maths.sparsegpt import sparsegpt
from polyprune.maths.statistics import InputGram
from polyprune.model.staging import change
from polyprune.running.gpus import VISIBLE, visible_gpus

LEAST_EQUAL = 0.99
"""Share of a mask, or of codes: the order of sums decides between nearly equal weights, and a walk carries it on."""
MOST_OFF = 1e-5
"""Of the largest entry of a Gram matrix: products of 16-bit factors are exact, sums are float32 on both sides."""
DTYPES = (torch.bfloat16, torch.float16, torch.float32)
D_IN, ROWS, TOKENS = 512, 384, 2048
PARTS = 16
WIDTH = 8192
COPIED = 1 << 30


def unseen() -> str | None:
    """Why torch sees no GPU here, and what to do, in a sentence; None where it sees one."""
    if torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        has = ", although this machine has one" if visible_gpus() else ""
        return (
            f"torch {torch.__version__} is built without CUDA and sees no GPU{has}: jobs compute on the CPU. "
            "docs/install.md says how to install the build with CUDA."
        )
    listed = os.environ.get(VISIBLE)
    hidden = "" if listed is None else f" {VISIBLE} is '{listed}'."
    return (
        f"torch {torch.__version__} is built with CUDA {torch.version.cuda} and sees no GPU here:{hidden} see whether "
        "nvidia-smi lists one and its driver is new enough; on a cluster ask for one: srun --gpus=1 make check-gpu."
    )


def gram_is_off(device: torch.device) -> float:
    """STAT-2 of bfloat16 inputs against the CPU's: the largest difference over the largest entry."""
    inputs = _draw(TOKENS, D_IN).bfloat16()
    totals = []
    for place in (torch.device("cpu"), device):
        gram = InputGram(D_IN, place)
        gram.update(inputs.to(place))
        totals.append(gram.total.cpu())
    return float((totals[1] - totals[0]).abs().max() / totals[0].abs().max())


def equal_mask(scheme: str, device: torch.device) -> float:
    """Share of SparseGPT's mask that is as on the CPU."""
    masks = [
        sparsegpt([weights], hessian_factor(gram, 0.01, "check-gpu"), parse_scheme(scheme))[0].keep.cpu()
        for weights, gram in (_problem(place) for place in (torch.device("cpu"), device))
    ]
    return float((masks[0] == masks[1]).double().mean())


def equal_codes(device: torch.device) -> float:
    """Share of GPTQ's codes, 4 bits in groups of 128, that are as on the CPU."""
    settings = GridSettings(bits=4, group_size=128, symmetric=False, act_order=False, static_groups=False)
    codes = [
        gptq([weights], gram, 0.01, settings, "check-gpu")[0].codes.cpu()
        for weights, gram in (_problem(place) for place in (torch.device("cpu"), device))
    ]
    return float((codes[0] == codes[1]).double().mean())


def differently_staged(device: torch.device) -> float:
    """Share of hidden states that come out otherwise from host memory than where they lie on the device."""
    weight = _draw(D_IN, D_IN).to(device)
    on_device = [_draw(TOKENS, D_IN).to(device) for _ in range(PARTS)]
    in_host = [torch.empty_like(part, device="cpu", pin_memory=device.type == "cuda").copy_(part) for part in on_device]
    for _ in range(2):
        for parts in (on_device, in_host):
            change(parts, device, lambda number, states: (states @ weight + number).tanh())
    differ = [(a.cpu() != b).double().mean() for a, b in zip(on_device, in_host, strict=True)]
    return float(torch.stack(differ).mean())


def teraflops(dtype: torch.dtype, device: torch.device, width: int = WIDTH) -> float:
    """10¹² operations a second of a product of two square matrices, 2 width³ operations; the best of five."""
    left, right = (_draw(width, width).to(device, dtype) for _ in range(2))
    return 2 * width**3 / _seconds(lambda: left @ right, device) / 1e12


def gigabytes(source: Tensor, target: Tensor) -> float:
    """10⁹ bytes a second that are copied from one to the other; the best of five."""
    return source.nbytes / _seconds(lambda: target.copy_(source, non_blocking=True), target.device) / 1e9


def examine(device: torch.device) -> bool:
    """Print what runs on a device and how fast; whether all of it runs and comes out as on the CPU."""
    shares: dict[str, Callable[[], float]] = {
        "SparseGPT 0.50, mask": partial(equal_mask, "0.50", device),
        "SparseGPT 2of4, mask": partial(equal_mask, "2of4", device),
        "GPTQ w4g128, codes": partial(equal_codes, device),
    }
    fine = [_tell_share(name, share) for name, share in shares.items()]
    fine.append(_tell("Gram matrix, bfloat16", partial(gram_is_off, device), "{:.1e} off the CPU's", MOST_OFF))
    fine.append(_tell("offloaded states", partial(differently_staged, device), "{:.3%} other than on the GPU", 0))
    for dtype in DTYPES:
        name = str(dtype).removeprefix("torch.")
        fine.append(_tell(f"product, {name}", partial(teraflops, dtype, device), "{:,.1f} TFLOP/s"))
    fine.append(_tell("copy on the GPU", partial(_copied, device, device), "{:,.0f} GB/s"))
    fine.append(_tell("copy to the GPU", partial(_copied, torch.device("cpu"), device), "{:,.0f} GB/s"))
    return all(fine)


def main() -> int:
    """Examine every GPU that torch sees; 0 if there is one and all is well."""
    if sentence := unseen():
        print(sentence)
        return 1
    print(f"torch {torch.__version__}, CUDA {torch.version.cuda}")
    fine = []
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        print(f"GPU {index}: {about.name}, {about.total_memory / 2**30:.0f} GiB, compute {about.major}.{about.minor}")
        fine.append(examine(torch.device("cuda", index)))
    return 0 if all(fine) else 1


def _tell_share(name: str, share: Callable[[], float]) -> bool:
    return _tell(name, lambda: 1 - share(), "{:.3%} other than on the CPU", 1 - LEAST_EQUAL)


def _tell(name: str, measure: Callable[[], float], form: str, most: float = float("inf")) -> bool:
    """Print a line of what was measured, or of why it does not run; whether it does, and is at most so much."""
    try:
        value = measure()
    except Exception as error:
        print(f"  {name:24}does not run: {type(error).__name__}: {str(error).strip().splitlines()[0]}")
        return False
    print(f"  {name:24}{form.format(value)}" + ("" if value <= most else f", more than {most:g}: do not trust it"))
    return value <= most


def _copied(source: torch.device, target: torch.device, n_bytes: int = COPIED) -> float:
    data = torch.zeros(n_bytes, dtype=torch.uint8, device=source)
    if source.type == "cpu" and target.type == "cuda":
        data = data.pin_memory()
    return gigabytes(data, torch.empty_like(data, device=target, pin_memory=False))


def _problem(device: torch.device) -> tuple[Tensor, Tensor]:
    """Weights, and the Gram matrix of inputs that have something in common."""
    inputs = _draw(TOKENS, D_IN) + _draw(TOKENS, 1)
    return _draw(ROWS, D_IN).to(device), (inputs.T @ inputs).to(device)


def _draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    """The best of five, after one that does not count."""

    def once() -> float:
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    once()
    return min(once() for _ in range(5))


if __name__ == "__main__":
    raise SystemExit(run_command(main))
