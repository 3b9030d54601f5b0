"""What MLP neurons and linear layers put out in transformers' own forward."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

LayerValues = dict[str, Tensor]
"""act(gate), act(gate)·up as `out`, and both projections' outputs; (n_sequences, length, …)."""


def values_of_layers(model: PreTrainedModel, tokens: Tensor) -> list[LayerValues]:
    """Per layer, computed from the inputs of the modules."""
    layers: list[torch.nn.Module] = list(model.base_model.layers)  # type: ignore[arg-type]
    found: list[LayerValues] = [{} for _ in layers]
    for values, layer in zip(found, layers, strict=True):

        def keep_mlp(mlp: torch.nn.Module, inputs: tuple[Tensor], _: Tensor, values: LayerValues = values) -> None:
            act = torch.nn.functional.silu(mlp.gate_proj(inputs[0]))  # type: ignore[operator]
            out = act * mlp.up_proj(inputs[0])  # type: ignore[operator]
            values |= {"act": act, "out": out, "down_proj": mlp.down_proj(out)}  # type: ignore[operator]

        def keep_attention(_: torch.nn.Module, __: object, output: Tensor, values: LayerValues = values) -> None:
            values["o_proj"] = output

        layer.mlp.register_forward_hook(keep_mlp)  # type: ignore[union-attr]
        layer.self_attn.o_proj.register_forward_hook(keep_attention)  # type: ignore[union-attr]
    with torch.inference_mode():
        model(tokens, use_cache=False)
    return found
