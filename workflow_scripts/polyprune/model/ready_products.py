"""Linear layers whose weights lie as a CPU's kernels read them.

A product on a CPU first puts its weights in an order that its kernel likes, each time anew; where a model is run many
times it is put so once. oneDNN's kernels are used for that also in float32, in which torch multiplies by BLAS.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DTYPES = (torch.float32, torch.bfloat16)


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

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(inputs, self._ordered, self.bias, "none", [], "")


@torch.inference_mode()
def make_ready(module: nn.Module) -> None:
    """Replace the linear layers within a module whose weights stay as they are from now on; on a CPU only.

    Those replaced lose their weights, whoever else holds them.
    """
    for parent in module.modules():
        for name, child in parent.named_children():
            if type(child) is nn.Linear and child.weight.device.type == "cpu" and child.weight.dtype in _DTYPES:
                setattr(parent, name, ReadyLinear(child))
                child.register_parameter("weight", None)
