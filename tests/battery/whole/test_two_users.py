"""One cache of Snakemake's for two checkouts and two users, whatever the umask: the same bytes, without the work.

The second user is root without its rights over the files of others, so that the interpreter is in reach.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.helpers.battery import Cases
from tests.helpers.capabilities import without_rights_over_others
from tests.helpers.small_study import CELL, SmallStudy, small_study

Judge = Callable[[str], Cases]
SOMEBODY = 54321
"""A user's and a group's number."""
WORDS = [sys.executable, "-m", "snakemake", "--profile", "local", "--cores", "2", "--configfile", "small.yaml"]
EXPORT = f"{CELL}/export"
TARGETS = (f"{CELL}/weights.safetensors", f"{CELL}/evaluation/arc.parquet", f"{EXPORT}/config.json")
SHARED = (
    *TARGETS,
    "results/small/calibration/de/seed0/tokens.safetensors",
    "results/small/model.json",
    "results/small/checkpoint/model.safetensors",
    *(f"{EXPORT}/{name}" for name in ("model.safetensors", "tokenizer.json", "polyprune.json", "README.md")),
)


def run(study: SmallStudy, cache: Path, umask: int, before: Callable[[], None] | None) -> str:
    """What was said; fails unless the run succeeds."""
    done = subprocess.run(
        [*WORDS, "--cache", "--", *TARGETS],
        cwd=study.folder,
        env={**study.environment, "SNAKEMAKE_OUTPUT_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        umask=umask,
        preexec_fn=before,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def verify(study: SmallStudy) -> int:
    """As `make verify`."""
    words = [sys.executable, "-m", "polyprune.artifacts.verify", "--jobs", "1"]
    packages = {**study.environment, "PYTHONPATH": str(study.folder / "workflow_scripts")}
    return subprocess.run(words, cwd=study.folder, env=packages, stdout=subprocess.DEVNULL).returncode


@pytest.fixture(scope="module", params=[0o022, 0o002, 0o077], ids=oct)
def first(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[SmallStudy, Path]]:
    """A study that has run, whose cache belongs to somebody."""
    folder = tmp_path_factory.mktemp("users")
    cache, study = folder / "cache", small_study(folder / "first")
    cache.mkdir()
    cache.chmod(0o777)
    run(study, cache, request.param, None)
    for path in (cache, *cache.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, SOMEBODY, SOMEBODY)
    yield study, cache
    shutil.rmtree(folder)


def test_a_second_user_takes_what_the_first_has_made(cases: Judge, first: tuple[SmallStudy, Path], tmp_path: Path):
    study, cache = first
    second = small_study(tmp_path / "second")

    def taken() -> list[bytes]:
        said = run(second, cache, 0o022, without_rights_over_others)
        assert "layer 1/2" not in said, "a cell was made again"
        assert verify(second) == 0, "what was taken is not whole"
        return [(second.folder / file).read_bytes() for file in SHARED]

    right = [(study.folder / file).read_bytes() for file in SHARED]
    cases("two users").judge("cache", taken, right, sure=True)
    assert all((second.folder / file).is_symlink() for file in SHARED)


def test_a_damaged_file_of_an_export_in_the_cache_is_found_and_made_again(
    cases: Judge, first: tuple[SmallStudy, Path]
) -> None:
    """The remedy names config.json, at both ends; with it the whole folder is made, here and in the cache."""
    study, cache = first
    config, there = study.folder / EXPORT / "config.json", (study.folder / EXPORT / "model.safetensors").resolve()
    whole = there.read_bytes()
    there.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    cases("two users").judge("an export", lambda: verify(study), 1, sure=True)
    config.resolve().unlink()
    config.unlink()
    run(study, cache, 0o022, None)
    assert there.read_bytes() == whole and verify(study) == 0


def test_a_damaged_file_of_the_cache_is_named_at_both_ends(cases: Judge, first: tuple[SmallStudy, Path]):
    """Else it would be taken again and again."""
    study, cache = first
    cell = study.folder / TARGETS[0]
    there = cell.resolve()
    whole = there.read_bytes()
    there.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (study.folder / EXPORT / "config.json").unlink()
    assert study.start(f"{EXPORT}/config.json").wait(600) != 0
    said = study.said()
    cases("two users").judge("damage", lambda: f"delete it, and {there}, to which it leads," in said, True, sure=True)
    there.unlink()
    cell.unlink()
    run(study, cache, 0o022, None)
    assert cell.read_bytes() == whole
