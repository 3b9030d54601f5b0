"""Damage that ends in a remake, seen through Snakemake: refused in a sentence, deleted, made again to the same bytes.

A file that is damaged or another's is told by whoever meets it first: the plan if Snakemake did not make it like this,
else the job that reads it. Either names what to delete, and that is all the repair there is.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.helpers.battery import Cases
from tests.helpers.small_study import CELL, TARGETS, SmallStudy, small_study

from polyprune.artifacts.hidden_states import SCHEMA

Judge = Callable[[str], Cases]
WANDA = "results/small/wanda/0.50/de/seed0"
FILES = {
    "corpus": "results/corpora/little/de.parquet",
    "model": "results/small/model.json",
    "weights of a trained model": "results/small/checkpoint/model.safetensors",
    "prompting": "results/small/prompting.json",
    "shard": "results/small/calibration/de/seed0/tokens.safetensors",
    "evaluation text": "results/small/evaluation_text/little/sw.safetensors",
    "mask": f"{WANDA}/mask.safetensors",
    "weights": f"{CELL}/weights.safetensors",
    "dump": f"{CELL}/hidden_states/little/de.h5",
    "dense dump": "results/small/dense/hidden_states/little/sw.h5",
    "scores": f"{CELL}/perplexity.parquet",
    "benchmark": "results/benchmarks/demo/arc.json",
    "table": "results/least/table1.parquet",
}
"""A file of each kind that is made on the way."""
READERS = {
    "corpus": "results/small/calibration/de/seed0/tokens.safetensors",
    "model": f"{WANDA}/mask.safetensors",
    "prompting": f"{CELL}/evaluation/arc.parquet",
    "shard": f"{WANDA}/mask.safetensors",
    "evaluation text": f"{CELL}/hidden_states/little/sw.h5",
    "mask": f"{WANDA}/hidden_states/little/de.h5",
    "weights": f"{CELL}/export/config.json",
    "dump": f"{CELL}/drift.parquet",
    "dense dump": "results/small/dense/perplexity.parquet",
    "scores": "results/least/table1.parquet",
    "benchmark": f"{CELL}/evaluation/arc.parquet",
}
"""What is deleted too, so that the file is read."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStudy]:
    found = small_study(tmp_path_factory.mktemp("again") / "checkout")
    assert found.run() == 0, found.said()
    yield found
    shutil.rmtree(found.folder)


@pytest.fixture(scope="module")
def right(finished: SmallStudy) -> dict[str, str]:
    return finished.contents()


@pytest.fixture
def study(finished: SmallStudy, tmp_path: Path) -> Iterator[SmallStudy]:
    """A copy of the finished one, times and Snakemake's memory included."""
    folder = shutil.copytree(finished.folder, tmp_path / "checkout", ignore=shutil.ignore_patterns("polyprune-*"))
    yield SmallStudy(folder, {**finished.environment, "TMPDIR": str(folder / "temporary")})
    shutil.rmtree(folder)


def made(study: SmallStudy, *files: str) -> dict[str, str]:
    assert study.run(*TARGETS, *files) == 0, study.said()
    return study.contents()


@pytest.mark.parametrize("kind", FILES)
def test_a_deleted_file_is_made_again(cases: Judge, study: SmallStudy, right: dict[str, str], kind: str) -> None:
    """By whoever asks for it: of a trained model's weights, the model."""
    asked = FILES["model"] if kind == "weights of a trained model" else FILES[kind]
    for file in {asked, FILES[kind]}:
        (study.folder / file).unlink()
    cases("made again").judge((kind, "deleted"), lambda: made(study, asked), right, sure=True)


def repaired(study: SmallStudy, file: Path, *more: str) -> dict[str, str]:
    """Run for more, too; delete what the refusal says, run again."""
    assert study.run(*TARGETS, *more) != 0
    said = study.said()
    assert "Traceback" not in said and str(file.relative_to(study.folder)) in said, said
    named = {
        file.rstrip(";,")
        for file in re.findall(r"(?:snakemake --profile local(?: --configfile \S+ --)?|: rm) (results/\S+)", said)
    }
    assert named, said
    for each in named:
        (study.folder / each).unlink(missing_ok=True)
    return made(study, *named, *more)


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "weights of a trained model"])
def test_a_damaged_file_is_refused_when_it_is_planned(
    cases: Judge, study: SmallStudy, right: dict[str, str], kind: str
) -> None:
    file = study.folder / FILES[kind]
    file.write_bytes(file.read_bytes()[:-7])
    cases("made again").judge((kind, "cut"), lambda: repaired(study, file), right, sure=True)


@pytest.mark.parametrize("kind", READERS)
def test_damage_that_nobody_sees_is_refused_by_the_job_that_reads_it(
    cases: Judge, study: SmallStudy, right: dict[str, str], kind: str
) -> None:
    """Of the same size and time, as a disk does it: Snakemake believes that it made the file so.

    In a dump the bit is of its index, by which it is read: much of the rest is for other readers, or for none.
    """
    file = study.folder / FILES[kind]
    whole, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    at = whole.rindex(SCHEMA.encode()) if file.suffix == ".h5" else len(whole) // 2
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
    os.utime(file, ns=times)
    (study.folder / READERS[kind]).unlink()
    cases("made again").judge((kind, "a bit"), lambda: repaired(study, file, READERS[kind]), right, sure=True)


def test_a_damaged_checkpoint_is_made_again_by_the_plan(cases: Judge, study: SmallStudy, right: dict[str, str]) -> None:
    """As every model that is not what was registered."""
    file = study.folder / FILES["weights of a trained model"]
    whole, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 4]))
    os.utime(file, ns=times)
    cases("made again").judge("a checkpoint", lambda: made(study), right, sure=True)
    assert "model.json is made again, with all that depends on it" in study.said()


def test_the_template_of_a_model_made_here_is_put_back(cases: Judge, study: SmallStudy, right: dict[str, str]) -> None:
    """As training wrote it; what was asked is asked again."""
    (study.folder / "results/small/checkpoint/chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    cases("made again").judge("a template", lambda: made(study), right, sure=True)
    assert "prompting.json is made again, with all that depends on it" in study.said()


def test_other_settings_and_back_again(cases: Judge, study: SmallStudy, right: dict[str, str]) -> None:
    config = study.folder / "small.yaml"
    before = config.read_text(encoding="utf-8")
    config.write_text(before.replace("calibration_sequences: 4", "calibration_sequences: 5"), encoding="utf-8")
    assert made(study) != right
    config.write_text(before, encoding="utf-8")
    cases("made again").judge("settings", lambda: made(study), right, sure=True)


def test_touched_files_are_left_alone(cases: Judge, study: SmallStudy, right: dict[str, str]) -> None:
    for file in sorted(study.results.rglob("*"), key=lambda file: file.stat().st_mtime_ns):
        file.touch()
    cases("made again").judge("touched", lambda: made(study), right, sure=True)
    assert "Nothing to be done" in study.said()
