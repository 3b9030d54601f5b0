"""A model of transformers without weights, and the parts of it that are walked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM

from polyprune.errors import UserError
from polyprune.model.meta import on_meta

_WRAPPER = "ForConditionalGeneration"


@dataclass(frozen=True)
class Parts:
    """A model on torch's meta device, its text decoder, and the layers of that; `prefix` is where the layers lie."""

    model: PreTrainedModel
    base: PreTrainedModel
    layers: nn.ModuleList
    prefix: str

    @property
    def around(self) -> list[str]:
        """Beginnings of the names of what is needed besides the layers.

        Of a model that also sees or hears that is the text decoder and the head.
        """
        head = self.model.get_output_embeddings()
        names = {id(module): name for name, module in self.model.named_modules()}
        if self.base is self.model.base_model:
            return [""]
        return [f"{names[id(self.base)]}.", *([f"{names[id(head)]}."] if head is not None else [])]


def read_config(folder: Path) -> PreTrainedConfig:
    """config.json as transformers reads it; raises `UserError` where it does not know the model."""
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{folder}: transformers does not know this model ({said})") from error


def build(config: PreTrainedConfig, dtype: torch.dtype, folder: Path, architecture: str) -> Parts:
    """The model of `config.json` in `folder`, without weights; `architecture` is the name that it gives.

    Attention is `sdpa` where the family has it: without a mask that is causal, which `eager` is not. Experts are
    `eager`: one product an expert, so that each expert's inputs can be seen.

    Raises:
        UserError: it cannot be built, or is not a decoder whose layers are a list.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise UserError(f"{architecture} cannot be walked layer by layer: it has an encoder beside its decoder")
    try:
        model = _without_weights(config, dtype, architecture)
    except (ValueError, KeyError, TypeError, AttributeError, ImportError, AssertionError) as error:
        said = " ".join(str(error).split())
        raise UserError(
            f"{folder}: {architecture} cannot be walked layer by layer ({type(error).__name__}: {said}); correct "
            "config.json, or use another model"
        ) from error
    base, lists = _decoder_of(model)
    depth = getattr(base.config, "num_hidden_layers", None)
    layers = [child for child in lists.values() if len(child) == depth] or list(lists.values())
    if len(layers) != 1 or not isinstance(base, PreTrainedModel):
        said = f"{len(lists)} lists of layers ({', '.join(lists)})" if lists else "no list of layers"
        raise UserError(f"{architecture} cannot be walked layer by layer: its {type(base).__name__} has {said}")
    prefix = next(name for name, module in model.named_modules() if module is layers[0])
    if shared := [name for name in model.all_tied_weights_keys if name.startswith(f"{prefix}.")]:
        raise UserError(f"{architecture} cannot be walked layer by layer: its layers share weights ({shared[0]})")
    return Parts(model, base, layers[0], prefix)


def _decoder_of(model: PreTrainedModel) -> tuple[nn.Module, dict[str, nn.ModuleList]]:
    """The text decoder of a model: what has lists of layers among its own parts; and these lists by name."""
    found = model.get_decoder()
    base: nn.Module = found if isinstance(found, PreTrainedModel) else model.base_model
    while True:
        lists = {name: part for name, part in base.named_children() if isinstance(part, nn.ModuleList) and len(part)}
        inner = [part for part in base.children() if isinstance(part, PreTrainedModel)]
        if lists or len(inner) != 1:
            return base, lists
        base = inner[0]


def _without_weights(config: PreTrainedConfig, dtype: torch.dtype, architecture: str) -> PreTrainedModel:
    """Nothing is drawn at random: on meta it would only cost. Weights are tied as ever."""
    config._experts_implementation = "eager"
    by_type = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and not architecture.endswith(_WRAPPER)
    named = None if by_type else getattr(transformers, architecture, None)

    def made(attention: str, ranges_on: str) -> Any:
        config._attn_implementation = attention
        return on_meta(lambda: _of_config(config, dtype, named, ranges_on))

    def quickly_made(attention: str) -> Any:
        try:
            return made(attention, ranges_on="cpu")
        except RuntimeError as error:
            if "meta" not in str(error):
                raise
            return made(attention, ranges_on="meta")  # some families compute of ranges and weights

    try:
        model = quickly_made("sdpa")
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
        model = quickly_made("eager")
    nn.Module.to(model, "meta")  # with what was computed of ranges, or drawn
    model.tie_weights(recompute_mapping=False)
    return model


def _of_config(config: PreTrainedConfig, dtype: torch.dtype, named: Any, ranges_on: str) -> Any:
    """As the class says that is `named`, or by the type of the configuration."""
    with _Ranges(ranges_on), no_init_weights():
        if named is not None:
            return named._from_config(config, dtype=dtype)
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


class _Ranges(TorchFunctionMode):
    """`torch.arange` without a device is on this one.

    Rotary frequencies are computed of ranges; on meta, torch imports sympy first: 0.6 CPU-seconds, where all else of a
    small model is built in 0.02.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        return func(*args, **({"device": self.device} | options if func is torch.arange else options))


def give_buffers(modules: Mapping[str, nn.Module], owner: PreTrainedModel, device: torch.device) -> None:
    """Compute the buffers that files do not have, rotary frequencies among them, as transformers does on loading.

    All weights of `modules` are there; what these themselves lack is still on torch's meta device. Some families
    compute buffers of a layer where they initialise `owner`, the decoder.

    Raises:
        UserError: transformers does not compute one of them on loading.
    """
    for place, part in modules.items():
        own = dict(part.named_buffers(recurse=False))
        missing = [name for name, buffer in own.items() if buffer.is_meta and name in part._non_persistent_buffers_set]
        lacking = missing and _computed(part, part, missing, owner, device)
        lacking = lacking and _computed(part, owner, lacking, owner, device)
        if lacking:
            raise UserError(
                f"{type(owner).__name__} cannot be walked: transformers does not compute {place}.{lacking[0]}"
            )


def _computed(
    part: nn.Module, initialised: nn.Module, missing: list[str], owner: PreTrainedModel, device: torch.device
) -> list[str]:
    """Have transformers initialise a module, for buffers of `part`; those of them that this leaves as they were."""
    for tensor in [*initialised.parameters(recurse=False), *initialised.buffers(recurse=False)]:
        tensor._is_hf_initialized = True  # type: ignore[attr-defined]
    found: list[dict[str, torch.Tensor]] = []
    for value in (0, 1):
        for name in missing:
            there = getattr(part, name)
            setattr(part, name, torch.full(there.shape, value, dtype=there.dtype, device=device))
        owner._init_weights(initialised)
        found.append({name: getattr(part, name) for name in missing})
    return [name for name in missing if not torch.equal(found[0][name], found[1][name])]
