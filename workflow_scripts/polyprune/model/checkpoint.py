"""A model folder read tensor by tensor: safetensors only, no remote code. What is read is what transformers reads.

* One file wins over an index beside it.
* All weights are cast to one dtype: the one that is asked for, else, as `dtype="auto"` does, config.json's or, if it
  names none, that of the first tensor. Other dtypes than float16, bfloat16 and float32 are refused: they are codes, or
  more than we compute in.
* Rotary tables, which old files hold and models compute themselves, are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.tensors import open_tensors
from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.model.source import architecture, dtype_of, locate, read_config, tensor_files

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""What weights may be stored as, by safetensors' names."""
NAMES = {dtype: name for name, dtype in DTYPES.items()}
"""The other way round."""
Sizes = Mapping[str, torch.Size]
"""Shapes of tensors by their names in memory."""
_COMPUTED = re.compile(r"\brotary_emb\.(inv_freq|cos_cached|sin_cached)$")


class Checkpoint:
    """A model folder; tensors are read when asked for."""

    def __init__(self, folder: Path, asked: str | None = None) -> None:
        """`asked` is a dtype by its name; None: the folder's own.

        Raises:
            UserError: the folder is not a whole safetensors model that needs no remote code.
        """
        self.folder, self.asked = folder, asked
        self.config = read_config(folder)
        self.files = tensor_files(folder)

    @cached_property
    def file_of(self) -> dict[str, str]:
        """File name of every tensor; raises `UserError` if two files hold one of the same name."""
        found: dict[str, str] = {}
        for file in self.files:
            for name in self._open(file).keys():  # noqa: SIM118
                if found.setdefault(name, file) != file:
                    raise UserError(
                        f"{self.folder} holds {name} twice, in {found[name]} and in {file}: its files are not of one "
                        "model; fetch it again"
                    )
        return {name: file for name, file in found.items() if not _COMPUTED.search(name)}

    @cached_property
    def _headers(self) -> dict[str, tuple[str, list[int]]]:
        """Dtype, in safetensors' names, and shape of every tensor in its file."""
        handles = {file: self._open(file) for file in self.files}
        slices = {name: handles[file].get_slice(name) for name, file in self.file_of.items()}
        return {name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()}

    @cached_property
    def stored_as(self) -> dict[str, str]:
        """Dtype of every tensor in its file, in safetensors' names."""
        return {name: dtype for name, (dtype, _) in self._headers.items()}

    def shape_of(self, name: str) -> list[int]:
        """Shape of a tensor in its file."""
        return self._headers[name][1]

    def outline(self, name: str, dtype: torch.dtype) -> Tensor:
        """A tensor in a dtype without its numbers, on no device; raises `UserError` if it holds codes."""
        self.require_plain(name)
        return torch.empty(self.shape_of(name), dtype=dtype, device="meta")

    def tensor(self, name: str) -> Tensor:
        """One tensor in the dtype it is stored in; raises `UserError` if the checkpoint lacks it or holds codes."""
        if name not in self.file_of:
            raise UserError(f"{self.folder} has no tensor {name}: its layout is not the one of {self.architecture}")
        return self._read(self._open(self.file_of[name]), name)

    def reader(self) -> Callable[[str], Tensor]:
        """Reads tensors as `tensor` does; a file stays open until the reader is gone."""
        files: dict[str, Any] = {}

        def read(name: str) -> Tensor:
            if (file := self.file_of[name]) not in files:
                files[file] = self._open(file)
            return self._read(files[file], name)

        return read

    def _read(self, handle: Any, name: str) -> Tensor:
        self.require_plain(name)
        return handle.get_tensor(name)

    def require_plain(self, name: str) -> None:
        """Raises `UserError` if a tensor holds codes, or numbers that nothing here computes in."""
        if self.stored_as[name] not in DTYPES:
            raise UserError(
                f"{self.folder / self.file_of[name]} holds {name} as {self.stored_as[name]}, not as one of "
                f"{', '.join(DTYPES)}: it is quantised or of another precision; use the model it was made from, or "
                "convert it"
            )

    def require_fit(self, found: Sizes, wanted: Sizes, where: str) -> None:
        """Raises `UserError` where tensors are not those of the architecture, by name or shape."""
        lacking = [f"no {name}" for name in wanted if name not in found]
        unknown = [f"{name}, which {self.architecture} has not" for name in found if name not in wanted]
        misshapen = [
            f"{name} of shape {list(found[name])}, which config.json makes {list(shape)}"
            for name, shape in wanted.items()
            if name in found and found[name] != shape
        ]
        if wrong := [*lacking, *unknown, *misshapen]:
            others = f" (and {len(wrong) - 1} more like this)" if len(wrong) > 1 else ""
            raise self.misfit(f"{where} {wrong[0]}{others}")

    def misfit(self, what: str) -> UserError:
        """What to raise where the folder has `what`."""
        return UserError(
            f"{self.folder} has {what}: config.json is not the one of these weights; fetch the model again"
        )

    @property
    def architecture(self) -> str:
        return architecture(self.config)

    @cached_property
    def dtype(self) -> torch.dtype:
        """The dtype that weights are used in. Says so in the log where some are stored in another.

        Raises:
            UserError: config.json names one that we do not compute in.
        """
        said = self.asked or self.config.get("dtype") or self.config.get("torch_dtype")
        known = {str(dtype).removeprefix("torch."): dtype for dtype in DTYPES.values()}
        if said is not None and str(said).removeprefix("torch.") not in known:
            raise UserError(
                f"{self.folder / 'config.json'}: dtype is {said!r}; polyprune computes in {', '.join(sorted(known))}: "
                "convert the model, or correct the entry"
            )
        first = next((kind for kind in map(self.stored_as.get, self._in_file_order()) if kind in DTYPES), "F32")
        used = known[str(said).removeprefix("torch.")] if said is not None else DTYPES[str(first)]
        stored = Counter(kind for kind in self.stored_as.values() if kind in DTYPES)
        if {DTYPES[kind] for kind in stored} - {used}:
            counts = ", ".join(f"{count} tensors as {kind}" for kind, count in sorted(stored.items()))
            source = "config.json says so" if said is not None else "the first tensor has it"
            source = "it is chosen or asked for" if self.asked else source
            logger.info("%s stores %s; all are used in %s (%s)", self.folder, counts, used, source)
        return used

    @property
    def config_as_used(self) -> dict[str, Any]:
        """config.json, with the dtype that is asked for."""
        names = [name for name in ("dtype", "torch_dtype") if name in self.config] or ["torch_dtype"]
        return self.config | (dict.fromkeys(names, self.asked) if self.asked else {})

    def _in_file_order(self) -> list[str]:
        """Names in the first file as safetensors lists them."""
        return [name for name in self._open(self.files[0]).keys() if name in self.stored_as]  # noqa: SIM118

    def _open(self, file: str) -> Any:
        """A new mapping of the file: what was read of it leaves memory with the tensors that came from it."""
        return open_tensors(self.folder / file)


def open_model(manifest: Path) -> Checkpoint:
    """The checkpoint that a manifest stands for, in the dtype that it says."""
    return Checkpoint(locate(manifest), dtype_of(manifest))
