"""A model folder read tensor by tensor: safetensors only, no remote code."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.tensors import open_tensors
from polyprune.errors import UserError
from polyprune.model.source import architecture, locate, read_config, tensor_files


class Checkpoint:
    """A model folder; tensors are read when asked for."""

    def __init__(self, folder: Path) -> None:
        """Raises `UserError` if the folder is not a whole safetensors model that needs no remote code."""
        self.folder = folder
        self.config = read_config(folder)
        self.files = tensor_files(folder)

    @cached_property
    def file_of(self) -> dict[str, str]:
        """File name of every tensor."""
        return {name: file for file in self.files for name in self._open(file).keys()}  # noqa: SIM118

    def tensor(self, name: str) -> Tensor:
        """One tensor in the dtype it is stored in; raises `UserError` if the checkpoint lacks it."""
        if name not in self.file_of:
            raise UserError(f"{self.folder} has no tensor {name}: its layout is not the one of {self.architecture}")
        return self._open(self.file_of[name]).get_tensor(name)

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """All tensors whose names begin with `prefix`, keyed by the rest of their names."""
        names = [name for name in self.file_of if name.startswith(prefix)]
        files = {file: self._open(file) for file in sorted({self.file_of[name] for name in names})}
        return {name[len(prefix) :]: files[self.file_of[name]].get_tensor(name) for name in names}

    @property
    def architecture(self) -> str:
        return architecture(self.config)

    @cached_property
    def dtype(self) -> torch.dtype:
        """The dtype most tensors are stored in, from the first file."""
        handle = self._open(self.files[0])
        return handle.get_tensor(next(iter(handle.keys()))).dtype

    def _open(self, file: str) -> Any:
        """A new mapping of the file: what was read of it leaves memory with the tensors that came from it."""
        return open_tensors(self.folder / file)


def open_model(manifest: Path) -> Checkpoint:
    """The checkpoint that a manifest stands for."""
    return Checkpoint(locate(manifest))
