"""Dumps: the documented layout, reproducible bytes, unfinished files refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest

from polyprune.artifacts import hidden_states
from polyprune.artifacts.hdf5 import Attributes
from polyprune.artifacts.hidden_states import SAMPLE, load_sums, write_hidden_states
from polyprune.artifacts.layer_rows import MEANS, row_names
from polyprune.errors import UserError

S, T, L, D, K = 3, 5, 2, 8, 4
PER_LAYER = ("norm", "sq", "norm_pruned", "sq_pruned", "dot", "diff", "distance")
PER_LAYER += ("robust_norm", "robust_sq", "robust_diff")
PER_TOKEN = ("nll_dense", "nll_pruned", "kl")
DENSE = ("n", "bytes", "target", "norm", "sq", "nll_dense")


@dataclass(frozen=True)
class Dump:
    """What is written."""

    sums: dict[str, np.ndarray]
    means: np.ndarray
    hidden: np.ndarray
    sample: dict[str, np.ndarray]


def dump(dense: bool = False, seed: int = 0) -> Dump:
    rng = np.random.default_rng(seed)
    sums: dict[str, np.ndarray] = {
        **{name: rng.integers(0, 99, S) for name in ("n", "bytes", "agree")},
        **{name: rng.random((S, L + 2)) for name in (*PER_LAYER, "robust_n")},
        **{name: rng.random((S, T - 1), dtype=np.float32) for name in PER_TOKEN},
        "target": rng.integers(0, 2, (S, T - 1)).astype(np.uint8),
    }
    return Dump(
        sums={name: array for name, array in sums.items() if not dense or name in DENSE},
        means=rng.random((L + 2, S, D), dtype=np.float32),
        hidden=rng.integers(0, 2**16, (L + 2, K, D)).astype(np.uint16),
        sample={name: rng.integers(0, S, K).astype(np.int32) for name in ("sequence", "position", "token_id")},
    )


def save(path: Path, made: Dump, attributes: Attributes | None = None) -> None:
    counts = np.full(S, T, np.int32)
    with write_hidden_states(path, L, D, counts, made.sample, "bfloat16", attributes or {}) as writer:
        for row in range(L + 2):
            writer.write_row(MEANS, row, made.means[row])
            writer.write_row(SAMPLE, row, made.hidden[row])
        writer.write_sums(made.sums)


def test_rows_of_the_layer_axis():
    assert row_names(3) == ["0", "1", "2", "3", "L_normed"]


@pytest.mark.parametrize("dense", [False, True])
def test_sums_and_width_come_back(tmp_path: Path, dense: bool):
    made = dump(dense)
    save(tmp_path / "x.h5", made)
    found = load_sums(tmp_path / "x.h5")
    sums = found.arrays
    assert found.d_model == D
    assert set(sums) == set(made.sums)
    for name, array in made.sums.items():
        assert sums[name].dtype == array.dtype
        assert np.array_equal(sums[name], array)


def test_the_layout_is_the_documented_one(tmp_path: Path):
    """Every path of the docstring is in the file with its shape and type, and nothing else is."""
    made = dump()
    save(tmp_path / "x.h5", made, {"provenance": {"b": 1, "a": "语"}, "model": "m", "seed": 3})
    sizes = {"S": S, "T-1": T - 1, "L+2": L + 2, "d": D, "K": K}
    documented = {}
    assert hidden_states.__doc__
    for paths, kinds, shape in re.findall(
        r"^ +/(\w+(?:/[\w, ]+?)?) +((?:\w\d?(?:utf8)?|utf8)(?: \| \w\d)*) +\(([^)]*)\)", hidden_states.__doc__, re.M
    ):
        group, _, names = paths.rpartition("/")
        for name in names.split(", "):
            axes = tuple(sizes[axis.strip()] for axis in shape.split(",") if axis.strip())
            documented[f"{group}/{name}".lstrip("/")] = (set(kinds.split(" | ")), axes)

    found: dict[str, h5py.Dataset] = {}
    with h5py.File(tmp_path / "x.h5") as file:
        file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        assert set(found) == set(documented)
        for name, (kinds, axes) in documented.items():
            kind = "utf8" if h5py.check_string_dtype(found[name].dtype) else found[name].dtype.str.lstrip("<|")
            assert kind in kinds, name
            assert found[name].shape == axes, name
        assert [name.decode() for name in found["layer"][...]] == ["0", "1", "2", "L_normed"]
        assert np.array_equal(found["tokens/hidden"][...], made.hidden)
        assert found["tokens/hidden"].attrs["encoding"] == "bfloat16"
        assert np.array_equal(found["tokens/position"][...], made.sample["position"])
        assert np.array_equal(found["prompts/mean"][...], made.means)
        assert np.array_equal(found["prompts/n_content"][...], np.full(S, T))
        assert {name: found[f"sums/{name}"].attrs["unit"] for name in made.sums} == {
            "bytes": "byte", "nll_dense": "nat", "nll_pruned": "nat", "kl": "nat",
            **dict.fromkeys(("n", "robust_n", "agree"), "token"), **dict.fromkeys((*PER_LAYER, "target"), "1"),
        }  # fmt: skip
        assert dict(file.attrs) == {
            "schema": "hidden/5", "provenance": '{"a":"语","b":1}', "model": "m", "seed": 3,
            "index": file.attrs["index"], "seal": file.attrs["seal"],
        }  # fmt: skip


def test_same_dump_same_bytes(tmp_path: Path):
    save(tmp_path / "x.h5", dump(), {"a": 1})
    save(tmp_path / "y.h5", dump(), {"a": 1})
    save(tmp_path / "z.h5", dump(seed=1), {"a": 1})
    assert (tmp_path / "x.h5").read_bytes() == (tmp_path / "y.h5").read_bytes()
    assert (tmp_path / "x.h5").read_bytes() != (tmp_path / "z.h5").read_bytes()


@pytest.mark.parametrize(("attribute", "value"), [("seal", None), ("seal", "0" * 32), ("index", None), ("index", "{}")])
def test_unfinished_dumps_and_those_of_earlier_versions_are_refused(tmp_path: Path, attribute: str, value: object):
    path = tmp_path / "x.h5"
    save(path, dump())
    with h5py.File(path, "a") as file:
        del file.attrs[attribute]
        if value is not None:
            file.attrs[attribute] = value
    with pytest.raises(UserError) as refused:
        load_sums(path)
    assert str(refused.value).startswith(
        f"{path} has no seal that is right: it is damaged, unfinished, or of an earlier"
    )


def test_damaged_and_missing_dumps_are_refused(tmp_path: Path):
    path = tmp_path / "x.h5"
    save(path, dump())
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b""):
        path.write_bytes(data)
        with pytest.raises(UserError) as refused:
            load_sums(path)
        assert str(refused.value).startswith(f"{path} cannot be read as HDF5 (")
        assert str(refused.value).endswith(f"; delete it and make it again: snakemake --profile local {path}")
    path.unlink()
    with pytest.raises(UserError, match=r"x\.h5 does not exist$"):
        load_sums(path)


def test_of_the_sums_only_those_are_read_that_are_named(tmp_path: Path):
    save(tmp_path / "x.h5", dump())
    every, some = load_sums(tmp_path / "x.h5").arrays, load_sums(tmp_path / "x.h5", names=("sq", "n", "none")).arrays
    assert set(some) == {"sq", "n"} < set(every)
    assert all(np.array_equal(some[name], every[name]) for name in some)
    with h5py.File(tmp_path / "x.h5", "a") as file:
        distance: Any = file["sums/distance"]
        distance[:] = 0
    assert set(load_sums(tmp_path / "x.h5", names=("sq",)).arrays) == {"sq"}
    with pytest.raises(UserError, match="/sums/distance is damaged, its digest is another"):
        load_sums(tmp_path / "x.h5", names=("sq", "distance"))


def test_a_failure_leaves_no_file(tmp_path: Path):
    made = dump()
    made.sums["unknown"] = np.zeros(1)
    with pytest.raises(KeyError):
        save(tmp_path / "x.h5", made)
    assert list(tmp_path.iterdir()) == []
