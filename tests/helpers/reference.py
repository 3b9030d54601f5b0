"""The published outer loop, read plainly: whole forwards of the whole model, a hook per linear layer, no sharing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Compress = Callable[[str, Tensor, Tensor], Tensor]
"""Full name, weight (d_out, d_in) and inputs (n_tokens, d_in) to the compressed weight."""


def linears(layer: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in layer.named_modules() if isinstance(module, nn.Linear)}


def inputs_of(model: PreTrainedModel, layer: nn.Module, names: Sequence[str], tokens: Tensor) -> dict[str, Tensor]:
    """What the linear layers `names` of a layer are handed, in the dtype of the model."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def note(name: str, _: nn.Module, arguments: tuple[Tensor, ...], __: Tensor) -> None:
        seen[name].append(arguments[0].flatten(0, 1))

    hooks = [linears(layer)[name].register_forward_hook(partial(note, name)) for name in names]
    with torch.inference_mode():
        for sequence in tokens:
            model(sequence[None], use_cache=False)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(parts) for name, parts in seen.items()}


def lwanda_keep(weight: Tensor, inputs: Sequence[Tensor], factor: float, n_removed: int) -> Tensor:
    """Language-aware Wanda in the unit of one token; `inputs` (n_tokens, d_in) are of a language each, some of none."""
    seen = [x.double() for x in inputs if len(x)] or [torch.eye(weight.shape[1], dtype=torch.float64)]
    sizes = torch.stack([x.square().mean(0).sqrt() for x in seen])
    deviation = (sizes - sizes.mean(0)).square().mean(0).sqrt()
    scores = weight.double().abs() * (torch.cat(seen).square().mean(0).sqrt() + factor * deviation)
    order = scores.sort(dim=1, stable=True).indices
    return torch.ones_like(weight, dtype=torch.bool).scatter_(1, order[:, :n_removed], False)


def compress_plainly(
    model: PreTrainedModel, tokens: Tensor, compress: Compress, steps: Sequence[Sequence[str]] | None = None
) -> None:
    """Compress `model` in place; `steps` are the linear layers of one layer that are taken together, else all."""
    layers = model.base_model.layers
    assert isinstance(layers, nn.ModuleList)
    for index, layer in enumerate(layers):
        for names in steps or [list(linears(layer))]:
            inputs = inputs_of(model, layer, names, tokens)
            for name in names:
                weight, full_name = linears(layer)[name].weight, f"model.layers.{index}.{name}"
                weight.data = compress(full_name, weight.data.clone(), inputs[name]).to(weight.dtype)
