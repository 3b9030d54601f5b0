"""safetensors files: reproducible bytes, joining without loading, damage named."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_torch_file
from safetensors.torch import save_file as save_torch_file

from polyprune.artifacts.seals import digest_of
from polyprune.artifacts.tensors import (
    TensorReader,
    bytes_of,
    concatenate,
    header_text,
    load_arrays,
    open_tensors,
    read_metadata,
    save_arrays,
)
from polyprune.errors import UserError

ARRAYS = {"b": np.arange(6, dtype=np.int32).reshape(2, 3), "a": np.array([0.5, -1.0])}
METADATA = {"z": 1, "ä": "语", "nested": {"b": [1, 2], "a": None}}


def test_arrays_and_metadata_come_back(tmp_path: Path):
    save_arrays(tmp_path / "x", "test/1", ARRAYS, METADATA)
    arrays, metadata = load_arrays(tmp_path / "x", "test/1")
    assert metadata == METADATA
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)


def test_arrays_that_are_not_contiguous_keep_their_values(tmp_path: Path):
    array = np.arange(12).reshape(3, 4)
    save_arrays(tmp_path / "x", "test/1", {"t": array.T, "s": array[:, ::2]}, {})
    loaded = load_file(tmp_path / "x")
    assert np.array_equal(loaded["t"], array.T)
    assert np.array_equal(loaded["s"], array[:, ::2])


def test_there_is_one_metadata_entry_of_canonical_json(tmp_path: Path):
    save_arrays(tmp_path / "x", "test/1", ARRAYS, METADATA)
    with safe_open(tmp_path / "x", framework="numpy") as file:
        (text,) = file.metadata().values()
    digests = ",".join(f'"{name}":"{digest_of(ARRAYS[name].tobytes())}"' for name in "ab")
    start, _, end = text.partition('"seal":"polyprune-seal:')
    assert start == f'{{"digests":{{{digests}}},"nested":{{"a":null,"b":[1,2]}},"place":null,"schema":"test/1",'
    assert end.startswith(end[:32] + '","z":1,"ä":"语"}')


def test_files_of_other_programs_have_no_provenance(tmp_path: Path):
    save_torch_file({"a": torch.zeros(1)}, tmp_path / "x")
    assert read_metadata(open_tensors(tmp_path / "x")) == {}
    save_torch_file({"a": torch.zeros(1)}, tmp_path / "y", metadata={"format": "pt"})
    assert read_metadata(open_tensors(tmp_path / "y")) == {}


def test_the_bytes_are_the_same_in_every_process(tmp_path: Path):
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from polyprune.artifacts.tensors import save_arrays\n"
        "arrays = {name: np.arange(ord(name)) for name in {'b', 'c', 'a', 'd'}}\n"
        "save_arrays(Path(sys.argv[1]), 'test/1', arrays, {k: k for k in {'one', 'two', 'three', 'four'}})"
    )
    digests = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / seed)], env=env, check=True)
        digests.add(hashlib.sha256((tmp_path / seed).read_bytes()).hexdigest())
    assert len(digests) == 1


def torch_parts() -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        {"one.keep": torch.arange(3, dtype=torch.uint8), "one.values": torch.randn(5, generator=generator).bfloat16()},
        {},
        {"two": torch.randn(2, 3, generator=generator, dtype=torch.float64), "empty": torch.empty(0, 4)},
        {"three": torch.arange(7, dtype=torch.int32), "scalar": torch.tensor(2.5)},
    ]


def digests(tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    return {name: digest_of(bytes_of(tensor)) for name, tensor in tensors.items()}


def test_joined_files_load_like_one_file_of_all_tensors(tmp_path: Path):
    parts = torch_parts()
    files = []
    for number, tensors in enumerate(parts):
        files.append(tmp_path / f"{number}")
        save_torch_file(
            tensors, files[-1], metadata={"polyprune": header_text(files[-1], "test/1", {"part": 1}, digests(tensors))}
        )
    everything = {name: tensor for tensors in parts for name, tensor in tensors.items()}
    concatenate(files, tmp_path / "joined", "test/1", METADATA)

    loaded = load_torch_file(tmp_path / "joined")
    assert set(loaded) == set(everything)
    for name, tensor in everything.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    reader = TensorReader(tmp_path / "joined", "test/1")
    assert reader.about == METADATA
    assert all(torch.equal(reader.tensor(name), tensor) for name, tensor in everything.items())
    raw = (tmp_path / "joined").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    assert list(header)[:3] == ["__metadata__", "one.values", "one.keep"], "in the order of their data"
    data = [file.read_bytes() for file in files]
    bodies = [part[8 + int.from_bytes(part[:8], "little") :] for part in data]
    assert raw[8 + length :] == b"".join(bodies)


def test_tensor_data_starts_at_a_multiple_of_eight(tmp_path: Path):
    save_arrays(tmp_path / "part", "test/1", ARRAYS, {})
    for width in range(8):
        concatenate([tmp_path / "part"], tmp_path / "x", "test/1", {"a": "b" * width})
        assert int.from_bytes((tmp_path / "x").read_bytes()[:8], "little") % 8 == 0
        assert np.array_equal(load_file(tmp_path / "x")["a"], ARRAYS["a"])


def test_joining_is_reproducible(tmp_path: Path):
    for number, tensors in enumerate(torch_parts()):
        metadata = {"polyprune": header_text(tmp_path, "test/1", {}, digests(tensors))}
        save_torch_file(tensors, tmp_path / f"{number}", metadata=metadata)
    files = [tmp_path / str(number) for number in range(4)]
    concatenate(files, tmp_path / "x", "test/1", METADATA)
    concatenate(files, tmp_path / "y", "test/1", METADATA)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_a_tensor_in_two_parts_is_refused(tmp_path: Path):
    for number in range(2):
        save_arrays(tmp_path / str(number), "test/1", ARRAYS, {})
    with pytest.raises(ValueError, match=r"^tensor [ab] stands in two parts$"):
        concatenate([tmp_path / "0", tmp_path / "1"], tmp_path / "x", "test/1", {})
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("keep", [0, 4, 20, -1])
def test_a_truncated_file_is_refused_with_the_remedy(tmp_path: Path, keep: int):
    path = tmp_path / "x"
    save_arrays(path, "test/1", ARRAYS, METADATA)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError) as refused:
        open_tensors(path)
    assert str(refused.value).startswith(f"{path} cannot be read as safetensors (")
    assert str(refused.value).endswith("): it is truncated or damaged; fetch or make it again")


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=rf"^{tmp_path}/x does not exist$"):
        load_arrays(tmp_path / "x", "test/1")
