"""Products with weights on a CPU by oneDNN's kernels, which torch takes for 16-bit products only.

The same sums of float32 products as by the BLAS that torch was built with, in another order; on an AMD EPYC with
AVX-512 6 to 19 % faster, on one without it slower but where few tokens meet many outputs (docs/performance.md). While a
model is calibrated its weights change from layer to layer, and `quick_products` has them multiplied as they are. Where
it is run many times, its weights are put once in the order that the kernels read, which is otherwise done anew for each
product: `make_ready`. Hidden states that are compared with transformers' bit by bit are computed by neither.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def quick_products(device: torch.device) -> AbstractContextManager[object]:
    """Within: float32 products with weights are oneDNN's, if `device` is a CPU on which these are the fastest."""
    chosen = device.type == "cpu" and torch.backends.mkldnn.is_available() and _is_wide()
    return _ByOneDnn() if chosen else nullcontext()


@torch.inference_mode()
def make_ready(module: nn.Module, head: nn.Module | None) -> None:
    """Replace the linear layers within a module whose weights stay as they are from now on; on a CPU only, and on one
    without AVX-512 the head alone, of few tokens at a time and many outputs.

    Those replaced lose their weights, whoever else holds them.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for parent in module.modules():
        for name, child in parent.named_children():
            if type(child) is nn.Linear and (child is head or _is_wide()) and _has_kernels(child.weight):
                setattr(parent, name, ReadyLinear(child))
                child.register_parameter("weight", None)


class ReadyLinear(nn.Module):
    """As `nn.Linear`, to rounding. Its weights are held once, in the order of the kernel."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = linear.in_features, linear.out_features, linear.bias
        self._ordered = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)

    @property
    def weight(self) -> Tensor:
        """A copy (d_out, d_in) in the usual order, for models that look at it."""
        return self._ordered.to_dense()

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return _product(inputs, self._ordered, self.bias)


class _ByOneDnn(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.linear and not kwargs and _is_plain(*args[:2]):
            return _product(*args)
        return func(*args, **(kwargs or {}))


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _is_wide() -> bool:
    """Whether the processor has AVX-512, which oneDNN uses on each, MKL on Intel's alone."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


def _has_kernels(weight: Tensor) -> bool:
    """Whether oneDNN orders these weights: on a CPU, of bfloat16 on processors with instructions for it."""
    bfloat16 = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.device.type == "cpu" and (weight.dtype == torch.float32 or bfloat16)


def _is_plain(x: Tensor, weight: Tensor) -> bool:
    """Whether both are float32 matrices with something in them."""
    return x.dtype == weight.dtype == torch.float32 and x.dim() > 1 and x.numel() > 0 and weight.dim() == 2
