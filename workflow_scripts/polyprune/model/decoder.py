"""A decoder of transformers, walked layer by layer: one layer's weights in memory at a time.

The model is built without weights (`building.py`). Embedding, final norm and head are loaded and stay; a decoder layer
is filled from the checkpoint when the walk reaches it and emptied when it leaves, while the next one is read ahead by a
thread. What a layer is called with besides the hidden states is recorded from the model's own forward (`calls.py`), and
which tensors of the files its parameters are made of follows transformers' rules (`layout.py`). So nothing here knows
an architecture, and one that cannot be walked is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPast

from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.model.building import build, give_buffers, read_config
from polyprune.model.calls import LayerCall, for_any_batch, layers_bypassed, what_follows, width_returned
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.fewer_experts import FewerExperts
from polyprune.model.layout import Layout, shapes_of
from polyprune.model.products import Beside, Product, beside_products, products_of
from polyprune.model.staging import read_aside, take_over


class Decoder:
    """A causal language model whose layers are loaded one at a time.

    Hidden states are tensors (n_sequences, sequence_length, d_model) in the dtype of the weights.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        """Raises `UserError` if this architecture is unknown to transformers or cannot be walked."""
        self.checkpoint, self.device, self.dtype = checkpoint, device, checkpoint.dtype
        parts = build(read_config(checkpoint.folder), self.dtype, checkpoint.folder, checkpoint.architecture)
        self.model, self.base, self.layers, self.prefix = parts.model, parts.base, parts.layers, parts.prefix
        self.config = self.base.config
        self.layout = Layout(self.model, checkpoint.file_of, checkpoint.shape_of)
        self._load_surroundings(parts.around)
        try:
            self._width = width_returned(self.base, self.layers)
            after = what_follows(self.base, self.layers, self._width, checkpoint.architecture)
        except (ValueError, TypeError, AttributeError, IndexError, KeyError, RuntimeError, AssertionError) as error:
            said = " ".join(str(error).split())
            said = f"{checkpoint.architecture} cannot be walked layer by layer ({type(error).__name__}: {said})"
            raise UserError(said) from error
        self._following, self._projected = after
        self._require_layers()
        self._products: dict[int, list[Product]] = {}
        self._before: dict[int, dict[str, nn.Module | None]] = {}

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

    def products(self, index: int) -> list[Product]:
        """The products of a layer with its matrices; raises `UserError` where it cannot be compressed."""
        if index not in self._products:
            self._products[index] = products_of(self.layers[index], f"{self.prefix}.{index}.", self.layout)
        return self._products[index]

    def beside(self, index: int) -> list[Beside]:
        """The other parameters of a layer."""
        return beside_products(self.layers[index], f"{self.prefix}.{index}.", self.layout, self.products(index))

    @cached_property
    def fewer_experts(self) -> FewerExperts:
        """What the layers are with fewer experts; raises `UserError` where they have none."""
        return FewerExperts(self.checkpoint, self.layers, self.device)

    def remove_experts(self, index: int, keep: Tensor, for_good: bool) -> None:
        """Leave a layer the experts that `keep`, bool (n_experts,), says; `for_good`: until weights are read anew."""
        layer = self.layers[index]
        made = self.fewer_experts.modules(index, layer, keep)
        self._before[index] = dict(layer._modules)
        layer._modules.update(made)
        if for_good:
            _to_meta(self._before[index])

    def give_back_experts(self, index: int) -> None:
        """Undo `remove_experts`, if it was done."""
        if index in self._before:
            without = dict(self.layers[index]._modules)
            self.layers[index]._modules.update(self._before.pop(index))
            _to_meta(without)

    def _load_surroundings(self, around: list[str]) -> None:
        """Give what is needed outside the decoder layers its weights: names that begin as `around` says."""

        def ours(name: str) -> bool:
            return name.startswith(tuple(around)) and not name.startswith(f"{self.prefix}.")

        read, alias = self._reader(), self._settle_ties()
        tied = self.model.all_tied_weights_keys
        state: dict[str, Tensor] = {}
        for name in filter(ours, self.layout.wanted):
            source = alias.get(name, name)
            if source in self.layout.sources:
                state[name] = self.layout.one(source, read)
            elif name not in tied:
                raise UserError(
                    f"{self.checkpoint.folder} has no tensor {name}: its layout is not the one of "
                    f"{self.checkpoint.architecture}"
                )
        shapes = {name: self.layout.wanted[name].shape for name in state}
        self.checkpoint.require_fit(shapes_of(state), shapes, "outside its decoder layers")
        self.model.load_state_dict(state, strict=False, assign=True)
        self.model.tie_weights()
        give_buffers(
            {name: module for name, module in self.model.named_modules() if ours(f"{name}.")}, self.base, self.device
        )
        self.model.eval().requires_grad_(False)

    def _settle_ties(self) -> dict[str, str]:
        """Where a tied matrix is stored under its other name; unties what is stored twice and differs.

        As transformers does on loading: two that differ are both used, whatever config.json says.
        """
        alias: dict[str, str] = {}
        stored, read = self.layout.sources, self._reader()
        for name, source in dict(self.model.all_tied_weights_keys).items():
            if name in stored and source in stored:
                own = self.layout.one(name, read)
                if not torch.equal(own, self.layout.one(source, read)):
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

    def _reader(self) -> Callable[[str, torch.dtype], Tensor]:
        """Reads tensors of the checkpoint to the device, in a dtype; keeps the files open."""
        stored = self.checkpoint.reader()
        return lambda name, dtype: self._to_device(name, stored(name), dtype)

    def _to_device(self, name: str, stored: Tensor, dtype: torch.dtype) -> Tensor:
        """A tensor of the checkpoint, which has it under `name`, in a dtype.

        Raises:
            UserError: it is not finite; says whether it is so stored, and where.
        """
        tensor = stored.to(self.device, dtype if stored.is_floating_point() else stored.dtype)
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
        return {name.removeprefix(prefix): tensor for name, tensor in self.layout.load(prefix, self._reader()).items()}

    def walk(self, keep: bool = False) -> Generator[tuple[int, nn.Module]]:
        """Index and module of each layer in order, with its weights; the next layer's are read meanwhile.

        With `keep` the layers stay, and after the walk `model` is an ordinary model of transformers.
        """
        with ThreadPoolExecutor(1) as reader:
            waiting = reader.submit(read_aside, self.device, self._layer_state, 0)
            for index, layer in enumerate(self.layers):
                state = take_over(self.device, waiting.result())
                if index + 1 < self.n_layers:
                    waiting = reader.submit(read_aside, self.device, self._layer_state, index + 1)
                self._fill(layer, state, index)
                yield index, layer
                if not keep:
                    self.give_back_experts(index)
                    layer.to("meta")

    @contextmanager
    def loaded(self, index: int) -> Iterator[nn.Module]:
        """Within: one layer has its weights."""
        layer = self.layers[index]
        self._fill(layer, self._layer_state(index), index)
        try:
            yield layer
        finally:
            layer.to("meta")

    def _fill(self, layer: nn.Module, state: dict[str, Tensor], index: int) -> None:
        self.give_back_experts(index)
        layer.load_state_dict(state, assign=True)
        give_buffers(dict(layer.named_modules()), self.base, self.device)
        layer.eval().requires_grad_(False)

    def _require_layers(self) -> None:
        """Raises `UserError` where tensors of layers are not the architecture's, before any layer is computed."""
        for index, layer in enumerate(self.layers):
            prefix, where = f"{self.prefix}.{index}.", f"in decoder layer {index}"
            more = self.layout.besides(prefix)
            for name in more.values():
                self.checkpoint.require_plain(name)
            try:
                found = self.layout.shapes(prefix, self.checkpoint.outline)
            except ValueError as error:
                raise self.checkpoint.misfit(f"{where} {error}") from error
            self.checkpoint.require_fit(found | dict.fromkeys(more, torch.Size()), shapes_of(layer.state_dict()), where)

    @torch.inference_mode()
    def embed(self, tokens: Tensor, batch: int, offload: bool = False) -> tuple[Tensor, list[LayerCall]]:
        """Input of the first layer for all sequences, and what each layer is called with besides it (`calls.through`).

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
        for start in range(0, len(tokens), batch):
            hidden[start : start + batch], _ = self.enter(input_ids=self._ids(tokens[start : start + batch]))
        first = tokens[:1]
        _, one = self.enter(input_ids=self._ids(first))
        _, two = self.enter(input_ids=self._ids(torch.cat([first, first.flip(1)])))
        return hidden, [for_any_batch(*pair, self.checkpoint.architecture) for pair in zip(one, two, strict=True)]

    def _ids(self, tokens: Tensor) -> Tensor:
        return tokens.to(self.device).long()

    @torch.inference_mode()
    def enter(self, **inputs: Tensor | None) -> tuple[Tensor, list[LayerCall]]:
        """Input of the first layer and the call of each layer, for one batch with positions and a mask of its own."""
        with layers_bypassed(self.layers, self._width) as recorded:
            self.base(**{name: value for name, value in inputs.items() if value is not None}, use_cache=False)
        return recorded.hidden[0], recorded.calls

    @torch.inference_mode()
    def normalise(self, hidden: Tensor) -> Tensor:
        """Output of the final norm."""
        for module in self._following:
            hidden = module(hidden)
        return hidden

    @torch.inference_mode()
    def logits(self, normalised: Tensor) -> Tensor:
        """Next-token logits from the final norm's output, by the model's own head (scale and caps included)."""
        for module in self._projected if normalised.shape[-1] == self.d_model else ():
            normalised = module(normalised)
        output = _Output(last_hidden_state=normalised)  # type: ignore[arg-type]
        self.base.forward = lambda *_, **__: output
        try:
            dummy = torch.zeros(1, 1, dtype=torch.long, device=self.device)
            return self.model(input_ids=dummy, use_cache=False).logits
        finally:
            del self.base.forward


def _to_meta(modules: Mapping[str, nn.Module | None]) -> None:
    for module in modules.values():
        if module is not None:
            module.to("meta")


class _Output(BaseModelOutputWithPast):
    """What a decoder hands to its head; whatever else the head asks of it, such as its routers' logits, is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def sequences_per_batch(tokens_per_batch: int, sequence_length: int) -> int:
    """How many sequences fit the token budget, at least one."""
    return max(1, tokens_per_batch // sequence_length)
