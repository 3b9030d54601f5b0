"""Disks that are full and files that are cut off: found before they do harm, and named with what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm.lab import CELL, PRUNE_LOG, SCORES, Workplace


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A disk of this size in place of a folder; in the end its files are moved there."""
    kept = folder.with_name("kept")
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], check=True)
    try:
        yield
        shutil.copytree(folder, kept)
    finally:
        subprocess.run(["umount", folder], check=True)
    folder.rmdir()
    kept.rename(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_named_and_nothing_half_finished_stays(disturbed: Workplace) -> None:
    folder = disturbed.folder / CELL
    with small_disk(folder, kilobytes=400):
        filler = folder / "filler"
        filler.write_bytes(bytes(380 << 10))
        run = disturbed.start("--retries", "0", "--", SCORES)
        assert run.code() == 1
        said = f"no space left for {CELL}/mask.safetensors.layers/layer-002.safetensors: free some on its disk"
        assert said in disturbed.log_of(PRUNE_LOG) and said in run.output
        assert not (folder / "mask.safetensors").exists() and not list(folder.rglob("*.part"))
        filler.unlink()
        disturbed.start("--", SCORES).succeed()
    disturbed.is_as_undisturbed()


@pytest.mark.parametrize(
    ("file", "target"),
    [
        (f"{CELL}/mask.safetensors", SCORES),
        (f"{CELL}/hidden_states/pair/sw.h5", SCORES),
        (f"{CELL}/drift.parquet", "results/fault/table1.parquet"),
    ],
)
def test_a_truncated_file_is_found_before_it_is_used(workplace: Workplace, file: str, target: str) -> None:
    path = workplace.folder / file
    os.truncate(path, path.stat().st_size // 2)
    run = workplace.start("--retries", "0", "--", target)
    assert run.code() == 1
    assert f"{file} cannot be read as" in run.output and "delete it and run again" in run.output
    path.unlink()
    workplace.start("--", target).succeed()
    workplace.is_as_undisturbed()
