"""Which tensors of a model's files each parameter is made of: by transformers' own rules for loading.

Files name tensors as the model was published; in memory names differ in many families, and experts, a matrix each in
the files, are one stack (n_experts, d_out, d_in), gate above up. `transformers.conversion_mapping` has the rules, a
list of renamings and conversions a model type; this module follows them in the order of
`core_model_loading.convert_and_load_state_dict_in_model`, for the tensors of one layer at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    Concatenate,
    MergeModulelist,
    Transpose,
    WeightConverter,
    WeightRenaming,
    dot_natural_key,
    rename_source_key,
)

from polyprune.errors import UserError
from polyprune.model.meta import on_meta

Shapes = dict[str, torch.Size]
"""By names of parameters."""


def shapes_of(state: Mapping[str, Tensor]) -> Shapes:
    """The shapes of tensors that have names."""
    return {name: tensor.shape for name, tensor in state.items()}


@dataclass
class Source:
    """What one parameter is made of: tensors of the files, each with the pattern of `converter` that it matched.

    Without a converter it is one tensor, as it is.
    """

    converter: WeightConverter | None
    parts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def plain(self) -> str | None:
        """The tensor that the parameter is, if it is one."""
        return None if self.converter else self.parts[0][1]

    @property
    def turned(self) -> str | None:
        """The tensor of which the parameter is each matrix transposed, if it is one."""
        turn = self._turn
        return self.parts[0][1] if turn and {turn.dim0, turn.dim1} == {1, 2} else None

    @property
    def fits_as_it_is(self) -> bool:
        """Whether transformers turns the one tensor only if its shape is not the parameter's."""
        return self._turn is not None and self._turn.check_dims

    @property
    def _turn(self) -> Transpose | None:
        operations = self.converter.operations if self.converter else []
        alone = len(operations) == len(self.parts) == 1
        return operations[0] if alone and isinstance(operations[0], Transpose) else None

    def stacked(self, where: str) -> list[list[str]]:
        """Names of the tensors that a stack is made of, a list an expert: what lies from the top to the bottom of it.

        Raises:
            UserError: the parameter is put together in another way; `where` is its name.
        """
        operations = self.converter.operations if self.converter else []
        merged = bool(operations) and isinstance(operations[0], MergeModulelist) and operations[0].dim == 0
        joined = len(operations) == 1 or (
            len(operations) == 2 and isinstance(operations[1], Concatenate) and operations[1].dim == 1
        )
        if not (merged and joined and self.converter):
            kinds = ", ".join(type(operation).__name__ for operation in operations) or "nothing"
            raise UserError(
                f"{where} is made of several tensors of the files by {kinds}: it cannot be taken apart again"
            )
        found = [[name for of, name in self.parts if of == pattern] for pattern in self.converter.source_patterns]
        return [list(names) for names in zip(*found, strict=True)]


class Layout:
    """The parameters and kept buffers of a model by name, and what of its files each is made of."""

    def __init__(self, model: PreTrainedModel, stored: Iterable[str], shape_of: Callable[[str], Sequence[int]]) -> None:
        """`model` may be without weights; `stored` are the names of all tensors of its files, `shape_of` tells shapes.

        Some families' files have matrices either way round, and transformers turns those that do not fit.
        """
        self._model = model
        self.wanted: Mapping[str, Tensor] = model.state_dict()
        rules = get_model_conversion_mapping(model)
        renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
        converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
        by_pattern = {pattern: converter for converter in converters for pattern in converter.source_patterns}
        context = (model.base_model_prefix, self.wanted)
        self.sources: dict[str, Source] = {}
        self.unknown: dict[str, str] = {}
        ignored = [re.compile(pattern) for pattern in model._keys_to_ignore_on_load_unexpected or ()]
        for name in sorted(stored, key=dot_natural_key):
            target, pattern = rename_source_key(name, renamings, converters, *context)
            if target not in self.wanted and name in self.wanted:
                target, pattern = rename_source_key(name, [], [], *context)
            if target not in self.wanted:
                if not any(each.search(target) for each in ignored):
                    self.unknown[target] = name
            elif pattern is None:
                self.sources.setdefault(target, Source(None)).parts.append((name, name))
            else:
                self.sources.setdefault(target, Source(by_pattern[pattern])).parts.append((pattern, name))
        for target, source in self.sources.items():
            if source.fits_as_it_is and tuple(shape_of(source.parts[0][1])) == tuple(self.wanted[target].shape):
                self.sources[target] = Source(None, [(source.parts[0][1], source.parts[0][1])])

    def besides(self, prefix: str) -> dict[str, str]:
        """Tensors of the files that the model has no parameter for, by their names behind `prefix` in memory."""
        return {target.removeprefix(prefix): name for target, name in self.unknown.items() if target.startswith(prefix)}

    def shapes(self, prefix: str, outline: Callable[[str, torch.dtype], Tensor]) -> Shapes:
        """Shapes of what `load` gives, by the names behind `prefix`, before any numbers are read.

        transformers' own operations are done with tensors of the meta device: `outline` gives those of the files. What
        they make of a wrong shape may have the right one, as a stack of joined matrices has whose parts are exchanged.

        Raises:
            ValueError: tensors cannot be put together at all; names them.
        """
        found: Shapes = {}
        for target, source in self.sources.items():
            if target.startswith(prefix):
                try:
                    found |= shapes_of(on_meta(partial(self._made, target, source, outline)))
                except (RuntimeError, ValueError, IndexError) as error:
                    parts = {tuple(outline(name, torch.float32).shape): name for _, name in reversed(source.parts)}
                    told = " and ".join(f"{name} of shape {list(shape)}" for shape, name in sorted(parts.items()))
                    raise ValueError(f"{told}, which do not make {target}") from error
        return {name.removeprefix(prefix): shape for name, shape in found.items()}

    def load(self, prefix: str, read: Callable[[str, torch.dtype], Tensor]) -> dict[str, Tensor]:
        """All parameters and buffers whose names begin with `prefix`; `read` gives a tensor of the files in a dtype."""
        found: dict[str, Tensor] = {}
        for target, source in self.sources.items():
            if target.startswith(prefix):
                found |= self._made(target, source, read)
        return found

    def one(self, name: str, read: Callable[[str, torch.dtype], Tensor]) -> Tensor:
        """A parameter by its name."""
        return self._made(name, self.sources[name], read)[name]

    def _made(self, target: str, source: Source, read: Callable[[str, torch.dtype], Tensor]) -> dict[str, Tensor]:
        dtype = self.dtype_of(target)
        if source.converter is None:
            return {target: read(source.parts[0][1], dtype)}
        converter = deepcopy(source.converter)
        for pattern, name in source.parts:
            converter.add_tensor(target, name, pattern, read(name, dtype))  # type: ignore[arg-type]
        made = converter.convert(target, model=self._model, config=self._model.config)
        return {name: value[0] if isinstance(value, list) else value for name, value in made.items()}

    def dtype_of(self, name: str) -> torch.dtype:
        """The dtype a parameter is used in: the model's, or float32 where transformers keeps it so."""
        model, dtype = self._model, self.wanted[name].dtype
        kept = set(model._keep_in_fp32_modules_strict or ())
        kept |= set(model._keep_in_fp32_modules or ()) if dtype == torch.float16 else set()
        in_float32 = any(re.search(rf"(^|\.){part.replace('*', '.*')}(\.|$)", name) for part in kept)
        return torch.float32 if in_float32 and dtype in (torch.float16, torch.bfloat16) else dtype
