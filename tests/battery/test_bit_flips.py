"""One flipped bit in any artifact: its reader gets the right values or one readable error, never others.

A few flips of each file in its head, its end, its data and anywhere; the first two hold headers or indices of one
format or another.
The whole battery tries `FLIPS` of each file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import pytest
from tests.helpers.artifacts import READERS, make_results
from tests.helpers.battery import FLIPPED, FULL, Cases, contents, same

from polyprune.artifacts.verify import complaint

Judge = Callable[[str], Cases]
FLIPS = 48 if FULL else 8
HEAD, END = 512, 256
"""Bytes; small files are tried in the same places more than once."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("battery") / "results"
    make_results(root)
    return root


def places(path: Path, seed: str) -> list[tuple[int, int]]:
    """Byte and bit of each flip: by turns in the head, the end, the data and anywhere."""
    draw, size, data = Random(seed), path.stat().st_size, data_of(path)
    found = []
    for number in range(FLIPS):
        ranges = [(0, min(HEAD, size)), (max(0, size - END), size), draw.choice(data), (0, size)]
        found.append((draw.randrange(*ranges[number % 4]), draw.randrange(8)))
    return found


def data_of(path: Path) -> list[tuple[int, int]]:
    """Where a file holds its values: first byte and the one after the last."""
    size = path.stat().st_size
    if path.suffix == ".safetensors":
        return [(8 + int.from_bytes(path.read_bytes()[:8], "little"), size)]
    if path.suffix != ".h5":
        return [(0, size)]
    ranges: list[tuple[int, int]] = []

    def note(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.chunks:
            chunks = [item.id.get_chunk_info(number) for number in range(item.id.get_num_chunks())]
            ranges.extend((chunk.byte_offset, chunk.byte_offset + chunk.size) for chunk in chunks)
        elif isinstance(item, h5py.Dataset) and (first := item.id.get_offset()) is not None:
            ranges.append((first, first + item.id.get_storage_size()))

    with h5py.File(path) as file:
        file.visititems(note)
    return ranges


@pytest.mark.parametrize("place", READERS)
def test_a_flipped_bit_is_noticed_or_does_no_harm(cases: Judge, results: Path, place: str):
    path, read, judge = results / place, READERS[place], cases(FLIPPED)
    whole, right = path.read_bytes(), read(path)
    for at, bit in places(path, place):
        changed = bytearray(whole)
        changed[at] ^= 1 << bit
        path.write_bytes(changed)
        remedy = f"snakemake --profile local results/{place}"
        said = judge.judge((place, at, bit), lambda: read(path), right, says=(str(path), remedy))
        assert said is None or "\n" not in said, (at, bit)
        complained = complaint(path, results)
        assert complained is None or str(path) in complained
    path.write_bytes(whole)
    assert same(read(path), right) and complaint(path, results) is None


@pytest.mark.parametrize("place", READERS)
def test_a_truncated_file_is_refused_with_the_remedy(cases: Judge, results: Path, place: str):
    path, judge = results / place, cases("truncated files")
    whole, others = path.read_bytes(), contents(results)
    for kept in (0, 1, 11, len(whole) // 3, len(whole) * 9 // 10, len(whole) - 1):
        path.write_bytes(whole[:kept])
        remedy = f"delete it and make it again: snakemake --profile local results/{place}"
        judge.judge((place, kept), lambda: READERS[place](path), says=(remedy,))
        assert complaint(path, results) is not None
    path.write_bytes(whole)
    assert contents(results) == others
