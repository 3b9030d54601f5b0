"""Products with weights on a CPU, while a model is calibrated: by oneDNN, not by the BLAS that torch was built with.

Torch asks oneDNN for 16-bit products and MKL for float32 ones. Here oneDNN computes those of linear layers as well: the
same sums of float32 products, in another order. On an AMD EPYC it is 6 to 19 % faster (docs/performance.md). Only
calibration does so; hidden states of evaluations are transformers' bit by bit.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


def quick_products(device: torch.device) -> AbstractContextManager[object]:
    """Within: float32 products with weights are oneDNN's, if `device` is a CPU and torch has it."""
    return _ByOneDnn() if device.type == "cpu" and torch.backends.mkldnn.is_available() else nullcontext()


class _ByOneDnn(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.linear and not kwargs and _plain(*args[:2]):
            x, weight, bias = (*args, None)[:3]
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return func(*args, **(kwargs or {}))


def _plain(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether both are float32 matrices with something in them."""
    return x.dtype == weight.dtype == torch.float32 and x.dim() > 1 and x.numel() > 0 and weight.dim() == 2
