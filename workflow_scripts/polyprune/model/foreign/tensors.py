"""Tensors of a checkpoint that somebody else made, one at a time, from safetensors or, without code, from pickles."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.json_files import read_object
from polyprune.artifacts.tensors import open_tensors
from polyprune.errors import UserError
from polyprune.model.foreign.files import QUANTISATION, weight_files
from polyprune.model.source import CONFIG

_NO_WEIGHTS = ("rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached", "attn.masked_bias", "attn.bias")
"""Tables that models compute themselves, and old files hold."""
_WITHIN = ("state_dict", "model_state_dict", "model", "module")
"""Where training programs keep weights in a pickle that holds more."""
_WRAPPERS = re.compile(r"\b_(?:fsdp_wrapped_module|checkpoint_wrapped_module|orig_mod)\.")
"""Modules that FSDP, checkpointing of activations and torch.compile put around others, anywhere in a name."""
_MLX = "quantization"
"""MLX's entry in config.json, which later versions repeat under the name that others have."""
_NUMBERED = re.compile(r"(.+?)\.\d+\.(.+)")


class ForeignTensors:
    """The tensors of a folder, by name; nothing is read before it is asked for."""

    def __init__(self, folder: Path, pickles: bool, like: Collection[str] = ()) -> None:
        """`like` are the names of the dense model's tensors: those of the checkpoint are told by these.

        Raises:
            UserError: it is no whole checkpoint.
        """
        self.folder, self._like = folder, like
        self._files = weight_files(folder, pickles)
        self.config: dict[str, Any] = read_object(folder / CONFIG) if (folder / CONFIG).is_file() else {}

    @property
    def quantisation(self) -> dict[str, Any]:
        """How weights are packed, as config.json or a file beside it says; empty if nothing does."""
        if isinstance(self.config.get(_MLX), Mapping):
            return {"quant_method": "mlx"}
        for about in (self.config, *(part for part in self.config.values() if isinstance(part, Mapping))):
            for name in ("quantization_config", "compression_config"):
                if about.get(name):
                    return dict(about[name])
        files = (self.folder / name for name in QUANTISATION)
        return next((read_object(file) for file in files if file.is_file()), {})

    @cached_property
    def file_of(self) -> dict[str, str]:
        """File name of every tensor but tables that models compute themselves."""
        return {name: file for name, (file, _) in self._places.items()}

    @cached_property
    def _places(self) -> dict[str, tuple[str, str]]:
        """Of each tensor its file, and its name there."""
        found = {name: file for file in self._files for name in self._names(file) if not name.endswith(_NO_WEIGHTS)}
        bare = {name: _WRAPPERS.sub("", name) for name in found}
        rename = renaming(bare.values(), self._like)
        return {rename(bare[name]): (file, name) for name, file in found.items()}

    def __contains__(self, name: str) -> bool:
        return name in self.file_of

    def tensor(self, name: str, index: int | None = None) -> Tensor:
        """One tensor as it is stored, or the `index`-th of a stack; raises `UserError` if there is none."""
        if name not in self.file_of:
            raise UserError(f"{self.folder} has no tensor {name}: its layout is not the dense model's")
        file, stored = self._places[name]
        if file.endswith(".safetensors"):
            found = open_tensors(self.folder / file)
            return found.get_tensor(stored) if index is None else found.get_slice(stored)[index]
        whole = self._unpickled(file)[stored]
        whole = whole if whole.layout == torch.strided else whole.to_dense()
        return (whole if index is None else whole[index]).contiguous()

    def metadata(self) -> dict[str, str]:
        """What the first file says of itself."""
        file = self.folder / self._files[0]
        return dict(open_tensors(file).metadata() or {}) if file.suffix == ".safetensors" else {}

    def _names(self, file: str) -> list[str]:
        if file.endswith(".safetensors"):
            return list(open_tensors(self.folder / file).keys())
        return list(self._unpickled(file))

    def _unpickled(self, file: str) -> dict[str, Tensor]:
        """The tensors of a pickle, mapped from the file; of one that holds a state dict among others, this."""
        try:
            found = torch.load(self.folder / file, map_location="cpu", weights_only=True, mmap=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            said = " ".join(str(error).split())
            raise UserError(f"{self.folder / file} holds more than weights, or is damaged ({said[:200]})") from error
        if not isinstance(found, Mapping):
            raise UserError(f"{self.folder / file} holds a {type(found).__name__}, no tensors by name")
        inner = next((found[name] for name in _WITHIN if isinstance(found.get(name), Mapping)), found)
        return {name: tensor for name, tensor in inner.items() if isinstance(tensor, Tensor)}


def renaming(stored: Collection[str], dense: Collection[str]) -> Callable[[str], str]:
    """Names as the dense model has them of tensors that a tool saved within another module.

    `model.language_model.layers…` and `module.model.layers…` are `model.layers…`. The list of layers tells: of all
    lists in the checkpoint that whose members' modules are most of the dense model's.
    """
    of_dense, modules = _lists(dense), {name.rpartition(".")[0] for name in dense}
    if not of_dense or not stored:
        return lambda name: name
    ours = max(of_dense, key=lambda each: len(of_dense[each]))
    lists = _lists(stored)
    theirs = max(lists, key=lambda each: (len(lists[each] & of_dense[ours]), each == ours, each), default=ours)
    own, within = ours.rpartition(".")[0], theirs.rpartition(".")[0]

    def rename(name: str) -> str:
        moved = [
            name.removeprefix(theirs.removesuffix(ours)),
            ".".join((own, name.removeprefix(f"{within}."))).strip("."),
        ]
        return next((each for each in moved if each.rpartition(".")[0] in modules), name)

    return rename if theirs != ours else lambda name: name


def _lists(names: Collection[str]) -> dict[str, set[str]]:
    """The numbered modules of a model by what comes before the number, `model.layers`: names of what is in them."""
    found: dict[str, set[str]] = {}
    for match in filter(None, map(_NUMBERED.match, names)):
        found.setdefault(match[1], set()).add(match[2].rpartition(".")[0])
    return found
