"""Disks that are full and files that are cut off: found before they do harm, and named with what to do."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm.lab import CELL, MASK, SCORES, Workplace


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A disk of this size hides the files of a folder; in the end those on it are put there too."""
    kept = folder.with_name("kept")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], check=True)
    try:
        yield
        shutil.copytree(folder, kept)
    finally:
        subprocess.run(["umount", folder], check=True)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    shutil.rmtree(kept)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_named_and_nothing_half_finished_stays(disturbed: Workplace) -> None:
    """The mask and the layers that it is joined from still fit, 64 kB, but the hidden states beside it, 80, do not."""
    folder = disturbed.folder / CELL
    with small_disk(folder, kilobytes=400):
        filler = folder / "filler"
        filler.write_bytes(bytes(328 << 10))
        assert (run := disturbed.start("--retries", "0", "--", MASK, SCORES)).code() == 1
        assert f"no space left for {CELL}/hidden_states/pair/de.h5: free some on its disk" in run.output
        assert {path.name for path in folder.rglob("*") if path.is_file()} == {"mask.safetensors", "filler"}
        filler.unlink()
        disturbed.start("--", MASK, SCORES).succeed()
        assert len(disturbed.jobs("prune_model")) == 1
    disturbed.is_as_undisturbed()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_home_is_said_and_a_run_needs_none(disturbed: Workplace) -> None:
    """Snakemake keeps copies of the rules below the home."""
    home, elsewhere = disturbed.folder.parent / "home", str(disturbed.folder.parent)
    home.mkdir()
    with small_disk(home, kilobytes=16):
        (home / "filler").write_bytes(bytes(8 << 10))
        run = disturbed.start("--", MASK, HOME=str(home))
        assert run.code() == 1
        run.says(rf"^error: nothing can be written below {home}/.cache: No space left .*export XDG_CACHE_HOME=")
        disturbed.start("--", MASK, HOME=str(home), XDG_CACHE_HOME=elsewhere).succeed()
    disturbed.is_as_undisturbed()


def test_truncated_files_are_found_before_they_are_used(workplace: Workplace) -> None:
    files = [
        MASK,
        "results/mini/sparsegpt/0.50/de/seed0/hidden_states/pair/sw.h5",
        "results/mini/dense/evaluation/arc.parquet",
    ]
    for path in (workplace.folder / file for file in files):
        os.truncate(path, path.stat().st_size // 2)
    run = workplace.start("--retries", "0", "--", "fault")
    assert run.code() == 1
    for file in files:
        assert re.search(
            f"{file} (has no seal|is damaged|cannot be read as).*delete it and make it again", run.output
        ), run.output
        (workplace.folder / file).unlink()
    workplace.start("--", "fault").succeed()
    workplace.is_as_undisturbed()
