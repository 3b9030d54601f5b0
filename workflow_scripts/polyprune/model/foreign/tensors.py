"""Tensors of a checkpoint that somebody else made, one at a time, from safetensors or, without code, from pickles."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
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


class ForeignTensors:
    """The tensors of a folder, by name; nothing is read before it is asked for."""

    def __init__(self, folder: Path, pickles: bool) -> None:
        """Raises `UserError` if it is no whole checkpoint."""
        self.folder = folder
        self._files = weight_files(folder, pickles)
        self.config: dict[str, Any] = read_object(folder / CONFIG) if (folder / CONFIG).is_file() else {}

    @property
    def quantisation(self) -> dict[str, Any]:
        """How weights are packed, as config.json or a file beside it says; empty if nothing does."""
        for about in (self.config, *(part for part in self.config.values() if isinstance(part, Mapping))):
            for name in ("quantization_config", "compression_config"):
                if about.get(name):
                    return dict(about[name])
        files = (self.folder / name for name in QUANTISATION)
        return next((read_object(file) for file in files if file.is_file()), {})

    @cached_property
    def file_of(self) -> dict[str, str]:
        """File name of every tensor but tables that models compute themselves."""
        found = ((name, file) for file in self._files for name in self._names(file))
        return {name: file for name, file in found if not name.endswith(_NO_WEIGHTS)}

    def __contains__(self, name: str) -> bool:
        return name in self.file_of

    def tensor(self, name: str, index: int | None = None) -> Tensor:
        """One tensor as it is stored, or the `index`-th of a stack; raises `UserError` if there is none."""
        if name not in self.file_of:
            raise UserError(f"{self.folder} has no tensor {name}: its layout is not the dense model's")
        file = self.file_of[name]
        if file.endswith(".safetensors"):
            found = open_tensors(self.folder / file)
            return found.get_tensor(name) if index is None else found.get_slice(name)[index]
        whole = self._unpickled(file)[name]
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
        """The tensors of a pickle, mapped from the file."""
        try:
            return torch.load(self.folder / file, map_location="cpu", weights_only=True, mmap=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            said = " ".join(str(error).split())
            raise UserError(f"{self.folder / file} holds more than weights, or is damaged ({said[:200]})") from error
