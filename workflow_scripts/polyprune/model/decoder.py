"""A decoder of transformers, walked layer by layer: one layer's weights in memory at a time.

The model is built without weights. Embedding, final norm and head are loaded and stay; a decoder layer is filled from
the checkpoint when the walk reaches it and emptied when it leaves, while the next one is read ahead by a thread.

What a layer is called with besides the hidden states (rotary embeddings, masks) is recorded from the model's own
forward with its layers bypassed. So nothing here knows an architecture, and one that cannot be walked is refused by
name. Without an attention mask transformers' `sdpa` attention is causal, but its `eager` attention is not: sdpa it is,
always.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.modeling_outputs import BaseModelOutputWithPast

from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.model.checkpoint import Checkpoint

LayerCall = dict[str, Any]
"""Keyword arguments of a decoder layer, besides the hidden states."""


class Decoder:
    """A causal language model whose layers are loaded one at a time.

    Hidden states are tensors (n_sequences, sequence_length, d_model) in the dtype of the weights.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        """Raises `UserError` if this architecture is unknown to transformers or cannot be walked."""
        self.checkpoint, self.device, self.dtype = checkpoint, device, checkpoint.dtype
        try:
            self.config = AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
        except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
            said = " ".join(str(error).split())
            raise UserError(f"{checkpoint.folder}: transformers does not know this model ({said})") from error
        self.config._attn_implementation = "sdpa"
        self.model, self.base, self.layers = self._build()
        self.prefix = next(name for name, module in self.model.named_modules() if module is self.layers)
        self._load_surroundings()

    def _build(self) -> tuple[PreTrainedModel, nn.Module, nn.ModuleList]:
        """The model, its decoder and the decoder's layers; layers without weights, the rest not yet filled.

        Two builds: one on torch's meta device for the layers, one without layers for the rest, whose buffers (rotary
        frequencies, embedding scales) only a real device computes.
        """
        try:
            with torch.device("meta"):
                template = AutoModelForCausalLM.from_config(self.config, dtype=self.dtype).base_model
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.checkpoint.folder}: {self.checkpoint.architecture} cannot be walked layer by layer "
                f"({type(error).__name__}: {error}); correct config.json, or use another model"
            ) from error
        parts = {"layers": nn.ModuleList, "norm": nn.Module, "embed_tokens": nn.Module, "rotary_emb": nn.Module}
        lacking = [part for part, kind in parts.items() if not isinstance(getattr(template, part, None), kind)]
        if lacking:
            raise UserError(
                f"{self.checkpoint.architecture} cannot be walked layer by layer: its {type(template).__name__} has no "
                f"{', '.join(lacking)}"
            )
        config = copy.deepcopy(self.config)
        config.num_hidden_layers = 0
        with no_init_weights():
            model = AutoModelForCausalLM.from_config(config, dtype=self.dtype).to(self.device)
        config.num_hidden_layers = model.config.num_hidden_layers = self.config.num_hidden_layers
        model.tie_weights()
        base = model.base_model
        base.layers = template.layers
        return model, base, template.layers

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    @property
    def d_model(self) -> int:
        return self.config.hidden_size

    @property
    def dtype_name(self) -> str:
        """`bfloat16`, not `torch.bfloat16`."""
        return str(self.dtype).removeprefix("torch.")

    def _load_surroundings(self) -> None:
        """Give everything outside the decoder layers its weights."""
        alias = self._settle_ties()
        names = [name for name, _ in self.model.named_parameters() if not name.startswith(f"{self.prefix}.")]
        state = {name: self._stored(alias.get(name, name)) for name in names}
        shapes = {name: parameter.shape for name, parameter in self.model.named_parameters() if name in state}
        self._refuse_misfits(state, shapes, "outside its decoder layers")
        self.model.load_state_dict(state, strict=False, assign=True)
        self.model.tie_weights()
        self.model.eval().requires_grad_(False)

    def _settle_ties(self) -> dict[str, str]:
        """Where a tied matrix is stored under its other name; unties what is stored twice and differs.

        As transformers does on loading: two that differ are both used, whatever config.json says.
        """
        alias: dict[str, str] = {}
        stored = self.checkpoint.file_of
        for name, source in dict(self.model.all_tied_weights_keys).items():
            if name in stored and source in stored:
                own = self._stored(name)
                if not torch.equal(own, self._stored(source)):
                    logger.info(
                        "%s stores %s and %s, which differ, though config.json ties them: both are used",
                        *(self.checkpoint.folder, name, source),
                    )
                    self.config.tie_word_embeddings = self.model.config.tie_word_embeddings = False
                    parent, _, attribute = name.rpartition(".")
                    setattr(self.model.get_submodule(parent), attribute, nn.Parameter(own))
            elif name in stored:
                alias[source] = name
        return alias

    def _stored(self, name: str) -> Tensor:
        return self._to_device(name, self.checkpoint.tensor(name))

    def _to_device(self, name: str, stored: Tensor) -> Tensor:
        """A tensor of the checkpoint, which has it under `name`, in the model's dtype.

        Raises:
            UserError: it is not finite; says whether it is so stored, and where.
        """
        tensor = stored.to(self.device, self.dtype)
        if tensor.numel() and not all(torch.isfinite(end) for end in torch.aminmax(tensor)):
            places = (~torch.isfinite(stored)).nonzero()
            file = self.checkpoint.folder / self.checkpoint.file_of[name]
            if len(places) == 0:
                raise UserError(
                    f"{file}: {name} reaches {stored.abs().max().item():.3g}, which {self.dtype_name} cannot hold: set "
                    'dtype to "bfloat16" or "float32" in config.json, or as `source.dtype` of the model'
                )
            place = tuple(places[0].tolist())
            raise UserError(
                f"{file}: {name} holds {stored[place].item()} at {list(place)} ({len(places)} such values of "
                f"{stored.numel():,}): the file is damaged or was written by a failed training; fetch or make it again"
            )
        return tensor

    def _layer_state(self, index: int) -> dict[str, Tensor]:
        prefix = f"{self.prefix}.{index}."
        state = self.checkpoint.tensors(prefix)
        return {name: self._to_device(prefix + name, tensor) for name, tensor in state.items()}

    def walk(self, keep: bool = False) -> Generator[tuple[int, nn.Module]]:
        """Index and module of each layer in order, with its weights; the next layer's are read meanwhile.

        With `keep` the layers stay, and after the walk `model` is an ordinary model of transformers.
        """
        with ThreadPoolExecutor(1) as reader:
            waiting = reader.submit(self._layer_state, 0)
            for index, layer in enumerate(self.layers):
                state = waiting.result()
                if index + 1 < self.n_layers:
                    waiting = reader.submit(self._layer_state, index + 1)
                self._fill(layer, state, index)
                yield index, layer
                if not keep:
                    layer.to("meta")

    def _fill(self, layer: nn.Module, state: dict[str, Tensor], index: int) -> None:
        shapes = {name: tensor.shape for name, tensor in layer.state_dict().items()}
        self._refuse_misfits(state, shapes, f"in decoder layer {index}")
        layer.load_state_dict(state, assign=True)
        if meta := [name for name, buffer in layer.named_buffers() if buffer.is_meta]:
            raise UserError(
                f"{self.checkpoint.architecture} cannot be walked: its layers compute {', '.join(meta)} on loading"
            )
        layer.eval().requires_grad_(False)

    def _refuse_misfits(self, state: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], where: str) -> None:
        """Raises `UserError` where tensors of the checkpoint are not those of the architecture, by name or shape."""
        lacking = [f"no {name}" for name in wanted if name not in state]
        unknown = [f"{name}, which {self.checkpoint.architecture} has not" for name in state if name not in wanted]
        misshapen = [
            f"{name} of shape {list(state[name].shape)}, which config.json makes {list(shape)}"
            for name, shape in wanted.items()
            if name in state and state[name].shape != shape
        ]
        if found := [*lacking, *unknown, *misshapen]:
            more = f" (and {len(found) - 1} more like this)" if len(found) > 1 else ""
            raise UserError(
                f"{self.checkpoint.folder} has {where} {found[0]}{more}: config.json is not the one of these weights; "
                "fetch the model again"
            )

    @torch.inference_mode()
    def embed(self, tokens: Tensor, batch: int, offload: bool = False) -> tuple[Tensor, list[LayerCall]]:
        """Input of the first layer for all sequences, and what each layer is called with besides it.

        `tokens` is integer (n_sequences, sequence_length), without padding. With `offload` the input lies in host
        memory, pinned if the device is a GPU.
        """
        hidden = torch.empty(
            *tokens.shape,
            self.d_model,
            dtype=self.dtype,
            device="cpu" if offload else self.device,
            pin_memory=offload and self.device.type == "cuda",
        )
        calls: list[LayerCall] = []
        for start in range(0, len(tokens), batch):
            part = tokens[start : start + batch].to(self.device)
            with self._layers_bypassed() as recorded:
                self.base(input_ids=part.long(), use_cache=False)
            hidden[start : start + batch] = recorded.pop("hidden")
            calls = recorded.pop("calls")
        return hidden, [_for_any_batch(call, self.checkpoint.architecture) for call in calls]

    @torch.inference_mode()
    def enter(self, **inputs: Tensor | None) -> tuple[Tensor, list[LayerCall]]:
        """Input of the first layer and the call of each layer, for one batch with positions and a mask of its own."""
        with self._layers_bypassed() as recorded:
            self.base(**inputs, use_cache=False)
        return recorded["hidden"], recorded["calls"]

    @contextmanager
    def _layers_bypassed(self) -> Iterator[dict[str, Any]]:
        """Within: the model's forward leaves out its layers, and the first one's input and all calls are recorded."""
        recorded: dict[str, Any] = {"calls": []}

        def bypass(hidden: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if args:
                raise UserError(
                    f"{self.checkpoint.architecture} cannot be walked: it calls layers with positional arguments"
                )
            recorded.setdefault("hidden", hidden)
            recorded["calls"].append(kwargs)
            return hidden

        norm = self.base.norm
        try:
            for layer in self.layers:
                layer.forward = bypass
            self.base.norm = nn.Identity()
            yield recorded
        finally:
            self.base.norm = norm
            for layer in self.layers:
                del layer.forward

    @torch.inference_mode()
    def normalise(self, hidden: Tensor) -> Tensor:
        """Output of the final norm."""
        return cast(nn.Module, self.base.norm)(hidden)

    @torch.inference_mode()
    def logits(self, normalised: Tensor) -> Tensor:
        """Next-token logits from the final norm's output, by the model's own head (scale and caps included)."""
        output = BaseModelOutputWithPast(last_hidden_state=normalised)  # type: ignore[arg-type]
        self.base.forward = lambda *_, **__: output
        try:
            dummy = torch.zeros(1, 1, dtype=torch.long, device=self.device)
            return self.model(input_ids=dummy, use_cache=False).logits
        finally:
            del self.base.forward


def _for_any_batch(call: LayerCall, architecture: str) -> LayerCall:
    """The call without what belongs to one batch; refuses masks, which only padding would need."""

    def first(value: Any) -> Any:
        if isinstance(value, Tensor) and value.dim() > 1:
            return value[:1]
        return tuple(first(item) for item in value) if isinstance(value, tuple) else value

    mask = call.get("attention_mask")
    if isinstance(mask, Tensor) and mask.shape[0] != 1 and not torch.equal(mask, mask[:1].expand_as(mask)):
        raise UserError(
            f"{architecture} cannot be walked: its attention mask differs between sequences of equal length"
        )
    return {name: first(value) for name, value in call.items()}


def linears_of(layer: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers of a decoder layer by name, in order of definition: what gets compressed."""
    return {name: module for name, module in layer.named_modules() if type(module) is nn.Linear}


def sequences_per_batch(tokens_per_batch: int, sequence_length: int) -> int:
    """How many sequences fit the token budget, at least one."""
    return max(1, tokens_per_batch // sequence_length)
