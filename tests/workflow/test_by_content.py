"""Large results that are newer than what was made from them are compared by their seals, in Snakemake itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.artifacts import READERS, SEED0, make_results

from polyprune.artifacts.any_kind import seal_of

PACKAGES = Path(__file__).parents[2] / "workflow_scripts"
SNAKEFILE = """\
import sys
sys.path.insert(0, {packages!r})
from polyprune.workflow.by_content import compare_by_content
compare_by_content()
rule:
    input: {places!r}
    output: "made"
    shell: "touch {{output}}"
"""
LARGE = [
    "corpora/demo/de.parquet",
    "tiny/model.json",
    f"{SEED0}/mask.safetensors",
    f"{SEED0}/hidden_states/demo/de.h5",
]
"""A file of each format."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sealed") / "results"
    make_results(root)
    return root


def test_every_kind_of_file_has_a_seal_and_what_is_not_ours_has_none(results: Path, tmp_path: Path) -> None:
    found = [seal_of(results / place) for place in READERS if not place.endswith("config.json")]
    assert all(found) and len(set(found)) == len(found)
    for name in ("a.json", "a.h5", "a.parquet", "a.safetensors", "a.txt"):
        (tmp_path / name).write_text("{} and no more")
        assert seal_of(tmp_path / name) is None
    assert seal_of(tmp_path / "gone.json") is None


def is_made(folder: Path, *words: str) -> bool:
    """Whether Snakemake makes what is made of the results, reading no file of more than ten bytes."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--max-checksum-file-size", "10", *words]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return "Nothing to be done" not in run.stdout + run.stderr


def test_new_times_make_nothing_again_and_another_content_does(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "results")
    places = [f"results/{place}" for place in LARGE]
    (tmp_path / "results" / "plain.txt").write_text("of somebody else's kind")
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(packages=str(PACKAGES), places=[*places, "results/plain.txt"]))
    assert is_made(tmp_path)
    later = (tmp_path / "made").stat().st_mtime + 5
    for place in places:
        os.utime(tmp_path / place, (later, later))
    assert not is_made(tmp_path, "-n")
    cell = tmp_path / "results" / SEED0 / "mask.safetensors"
    whole = cell.read_bytes()
    seal = str(seal_of(cell)).encode()
    cell.write_bytes(whole.replace(seal, seal[::-1]))
    os.utime(cell, (later, later))
    assert is_made(tmp_path, "-n")
    cell.write_bytes(whole)
    os.utime(cell, (later, later))
    assert not is_made(tmp_path, "-n")
    os.utime(tmp_path / "results" / "plain.txt", (later, later))
    assert is_made(tmp_path, "-n")
