"""A model with some experts of each layer removed: the same family, whose configuration says that there are fewer.

A removed expert is gone from the stacks of weights and from the router, so that no token can be sent to it. Which
tensors have an entry an expert is read off transformers' own model: those that are shorter where the configuration has
fewer. So what a cell computes is what an export computes, and nothing here knows a family.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from polyprune.errors import UserError
from polyprune.model.building import Parts, build, give_buffers, read_config
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.products import expert_stacks


def experts_of(layer: nn.Module, where: str) -> tuple[str, nn.Module] | None:
    """Name and module of a layer's experts; None if it has none.

    Raises:
        UserError: it has several sets of them; `where` is its name.
    """
    found = {stack.name.rpartition(".")[0]: stack.module for stack in expert_stacks(layer)}
    if len(found) > 1:
        raise UserError(f"{where} has several sets of experts ({', '.join(found)}), which are not removed from")
    return next(iter(found.items()), None)


class FewerExperts:
    """What a model's decoder layers are with fewer experts."""

    def __init__(self, checkpoint: Checkpoint, layers: nn.ModuleList, device: torch.device) -> None:
        """`layers` have all experts; weights are on the `device`.

        Raises:
            UserError: the model has no experts, or not equally many in all layers that have some.
        """
        self._checkpoint, self._device, self._architecture = checkpoint, device, checkpoint.architecture
        self._made: dict[int, tuple[str, Parts]] = {}
        sizes = {stack.n_experts or 0 for layer in layers for stack in expert_stacks(layer)}
        if len(sizes) != 1:
            said = "has no experts" if not sizes else f"has layers of {' and '.join(map(str, sorted(sizes)))} experts"
            raise UserError(f"{self._architecture} {said}: a share of each layer's experts cannot be removed")
        (self.n_experts,) = sizes

    def require(self, n_kept: int) -> None:
        """Raises `UserError` if the family has no model with so many experts a layer."""
        config = _text_of(read_config(self._checkpoint.folder))
        chosen, groups = getattr(config, "num_experts_per_tok", 1) or 1, getattr(config, "n_group", 1) or 1
        if n_kept < chosen:
            raise UserError(
                f"{self._architecture} sends a token to {chosen} of {self.n_experts} experts: {n_kept} are too few; "
                "remove a smaller share"
            )
        if groups > 1:
            raise UserError(
                f"{self._architecture} chooses among {groups} groups of experts: without some of them they would be "
                "other groups than those that it was trained with"
            )
        self.entry(n_kept)

    def entry(self, n_kept: int) -> str:
        """The name by which the configuration says how many experts there are."""
        return self._with(n_kept)[0]

    def _with(self, n_kept: int) -> tuple[str, Parts]:
        if n_kept not in self._made:
            self._made[n_kept] = self._built(n_kept)
        return self._made[n_kept]

    def _built(self, n_kept: int) -> tuple[str, Parts]:
        checkpoint = self._checkpoint
        plain = _text_of(read_config(checkpoint.folder)).to_dict()
        names = [
            name
            for name, value in plain.items()
            if "expert" in name and value == self.n_experts and not isinstance(value, bool)
        ]
        for name in names:
            config = read_config(checkpoint.folder)
            setattr(_text_of(config), name, n_kept)
            parts = build(config, checkpoint.dtype, checkpoint.folder, checkpoint.architecture)
            if {stack.n_experts for layer in parts.layers for stack in expert_stacks(layer)} == {n_kept}:
                return name, parts
        raise UserError(f"{self._architecture} cannot have {n_kept} experts: no entry of config.json says how many")

    def shapes(self, index: int, keep: Tensor) -> dict[str, torch.Size]:
        """Of what is left of a layer's parameters and buffers; `keep` is bool (n_experts,)."""
        return {name: value.shape for name, value in self._with(int(keep.sum()))[1].layers[index].state_dict().items()}

    def _state(self, full: Mapping[str, Tensor], index: int, keep: Tensor) -> dict[str, Tensor]:
        places = keep.nonzero().flatten()
        return {name: left_of(full[name], shape, places, name) for name, shape in self.shapes(index, keep).items()}

    def modules(self, index: int, layer: nn.Module, keep: Tensor) -> dict[str, nn.Module | None]:
        """The parts of a layer, which has its weights, without the experts that are not kept."""
        _, parts = self._with(int(keep.sum()))
        made = parts.layers[index]
        made.load_state_dict(self._state(layer.state_dict(), index, keep), assign=True)
        give_buffers(dict(made.named_modules()), parts.base, self._device)
        made.eval().requires_grad_(False)
        return dict(made._modules)


def _text_of(config: PreTrainedConfig) -> Any:
    return config.get_text_config()


def left_of(tensor: Tensor, shape: torch.Size, places: Tensor, name: str) -> Tensor:
    """A tensor with the `places` of experts that stay along the one axis that is shorter in `shape`.

    Raises:
        UserError: no axis, or several, are shorter, or not by the removed experts; `name` is the tensor's.
    """
    if tensor.shape == shape:
        return tensor
    axes = [axis for axis, (before, after) in enumerate(zip(tensor.shape, shape, strict=True)) if before != after]
    if len(axes) != 1 or shape[axes[0]] != len(places):
        raise UserError(f"{name} of shape {list(tensor.shape)} cannot be cut to {list(shape)}, expert by expert")
    return tensor.index_select(axes[0], places.to(tensor.device))
