"""Models that others keep in other formats, written as folders in Hugging Face layout with safetensors.

GGUF is read by transformers' own reader, which dequantises the matrices and makes config and tokenizer; what comes out
is an ordinary model whose weights lie on the grid that the file quantised them to. Pickles are read with
`weights_only`: tensors, and no code.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import torch
from gguf import GGUFReader
from safetensors.torch import save_file
from torch import Tensor
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
from transformers.models.auto import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from polyprune.artifacts.json_files import read_object
from polyprune.errors import UserError
from polyprune.model.meta import on_meta
from polyprune.model.prompting import bring, prompting_files
from polyprune.model.source import CONFIG, INDEX, SINGLE

_PICKLE, _PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
_BESIDE = ("*.json", "*.jinja", "*.model", "*.txt", "LICENSE*")
_SHARD_BYTES = 4 << 30


def convert_gguf(file: Path, folder: Path, dtype: str | None) -> dict[str, int]:
    """Write the model of a GGUF file into `folder`; how many matrices it has of each type.

    Weights are written in `dtype`, or in float32, which holds what dequantising gives.

    Raises:
        UserError: it is no GGUF file, or of an architecture that transformers' reader does not know.
    """
    place: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    kind = getattr(torch, dtype or "float32")
    try:
        with _parsed_once(file) as reader:
            types = Counter(tensor.tensor_type.name for tensor in reader.tensors if len(tensor.shape) > 1)
            config = AutoConfig.from_pretrained(file.parent, **place)
            model = on_meta(lambda: AutoModelForCausalLM.from_config(config))
            asked: dict[str, Any] = {"return_tensors": True, "model_to_load": model, "torch_dtype": kind}
            tensors = load_gguf_checkpoint(str(file), **asked)["tensors"]
            tokenizer = AutoTokenizer.from_pretrained(file.parent, **place)
    except (ValueError, KeyError, OSError, NotImplementedError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{file}: transformers cannot read it ({type(error).__name__}: {said[:300]})") from error
    tied = config.tie_word_embeddings
    lacking = [name for name in model.state_dict() if name not in tensors and not (tied and name == "lm_head.weight")]
    if lacking:
        raise UserError(f"{file} lacks {len(lacking)} tensors of {type(model).__name__}, {lacking[0]} among them")
    for name, wanted in model.state_dict().items():
        if name in tensors and tensors[name].shape != wanted.shape:
            found, named = tuple(tensors[name].shape), tuple(wanted.shape)
            raise UserError(f"{file}: {name} is {found}, and {named} in a model of the sizes that the file names")
    config.architectures, config.dtype = [type(model).__name__], kind
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _save(tensors, folder, kind)
    return dict(sorted(types.items()))


@contextmanager
def _parsed_once(file: Path) -> Iterator[GGUFReader]:
    """Within: who opens the file gets the one reader that has parsed it, seconds for each vocabulary.

    transformers parses it for the configuration, for the weights and for the tokenizer.
    """
    made, reader = gguf.GGUFReader, gguf.GGUFReader(file)
    gguf.GGUFReader = lambda path, *_: reader if Path(path) == file else made(path)  # type: ignore[misc]
    try:
        yield reader
    finally:
        gguf.GGUFReader = made


def convert_pickles(original: Path, folder: Path, dtype: str | None) -> list[str]:
    """Write a folder whose weights are pickled into `folder`; names of the pickles.

    Weights are written in `dtype`, or in their own.

    Raises:
        UserError: no pickles, some are missing, or one holds more than tensors.
    """
    names = [_PICKLE]
    if (original / _PICKLE_INDEX).is_file():
        names = sorted(set(read_object(original / _PICKLE_INDEX)["weight_map"].values()))
    if missing := [name for name in names if not (original / name).is_file() or Path(name).name != name]:
        raise UserError(f"{original} has no {missing[0]}: it is no whole model with pickled weights")
    for pattern in _BESIDE:
        for file in sorted(original.glob(pattern)):
            if not file.name.endswith(".index.json"):
                shutil.copyfile(file, folder / file.name)
    bring({name: (original / name).read_bytes() for name in prompting_files(original)}, folder)
    tensors: dict[str, Tensor] = {}
    for name in names:
        try:
            tensors |= torch.load(original / name, map_location="cpu", weights_only=True, mmap=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            said = " ".join(str(error).split())
            raise UserError(f"{original / name} holds more than weights, or is damaged ({said[:200]})") from error
    kind = getattr(torch, dtype) if dtype else next(iter(tensors.values())).dtype
    _save(tensors, folder, kind)
    config = read_object(folder / CONFIG) | {"dtype": str(kind).removeprefix("torch.")}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return names


def _save(tensors: dict[str, Tensor], folder: Path, dtype: torch.dtype) -> None:
    """Safetensors in shards, names in order; empties `tensors`."""
    places: dict[str, int] = {}
    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name in sorted(tensors):
        tensor = tensors.pop(name)
        kept = tensor.to(dtype) if tensor.is_floating_point() else tensor
        if filled and filled + kept.nbytes > _SHARD_BYTES:
            shards.append({})
            filled = 0
        shards[-1][name], places[name] = kept.contiguous().clone(), len(shards) - 1
        filled += kept.nbytes
    files = (
        [SINGLE]
        if len(shards) == 1
        else [f"model-{n + 1:05d}-of-{len(shards):05d}.safetensors" for n in range(len(shards))]
    )
    for file, shard in zip(files, shards, strict=True):
        save_file(shard, folder / file, metadata={"format": "pt"})
    if len(files) > 1:
        index = {"metadata": {}, "weight_map": {name: files[place] for name, place in places.items()}}
        (folder / INDEX).write_text(json.dumps(index) + "\n", encoding="utf-8")
