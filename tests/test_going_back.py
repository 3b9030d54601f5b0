"""Back to earlier settings after a run that failed, was killed or stopped: what was there is there again.

A finished study, other settings, a real Snakemake that comes to grief in the midst of a job, and the plan afterwards.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.helpers.small_study import CELL, SmallStudy, copied, end, processes_of, small_study
from tests.helpers.warm_worker import wait_until

from polyprune.workflow.earlier import FOLDERS
from polyprune.workflow.ledger import incomplete_outputs

WEIGHTS = f"{CELL}/weights.safetensors"
DUMPS = {f"{CELL}/hidden_states/little/{language}.h5" for language in ("de", "sw")}
DAMPING = "compression: {damping: 0.02}\n"
SAMPLES = "models: {small: {text: {sampled_tokens: 5}}}\n"
STEPS = "models: {small: {source: {steps: 5}}}\n"
NO_GPU = "engine: {device: cuda}\n"
DESCRIBED = {
    "train_model": "results/small/model.json",
    "export_model": f"{CELL}/export/config.json",
    "generate_benchmark": "results/benchmarks/demo/arc.json",
}
"""Outputs that come last of several files, by rule."""
PART = re.compile(r"\.(part|parts|layers)(/|$)")
Running = subprocess.Popen[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStudy]:
    study = small_study(tmp_path_factory.mktemp("finished") / "checkout", CUDA_VISIBLE_DEVICES="")
    assert study.run() == 0, study.said()
    yield study
    shutil.rmtree(study.folder)


@pytest.fixture
def study(finished: SmallStudy, tmp_path: Path) -> SmallStudy:
    return copied(finished, tmp_path / "copy")


def with_settings(study: SmallStudy, settings: str) -> tuple[str, ...]:
    """Words for Snakemake that put these settings on top of the study's."""
    (study.folder / "turned.yaml").write_text(settings, encoding="utf-8")
    return "--configfile", "small.yaml", "turned.yaml"


def marked(study: SmallStudy) -> set[str]:
    """Outputs that Snakemake says are under way."""
    return incomplete_outputs(study.folder / ".snakemake/incomplete")


def as_it_was(study: SmallStudy) -> dict[str, tuple[str, int]]:
    """Every file of the results, but for parts of those under way: its content and when it was written."""
    whole = {place: sha for place, sha in study.contents().items() if not PART.search(place)}
    return {place: (sha, (study.results / place).stat().st_mtime_ns) for place, sha in whole.items()}


def planned(study: SmallStudy, words: tuple[str, ...] = ()) -> str:
    assert study.run(words=("-n", *words)) == 0, study.said()
    return study.said()


def is_killed(running: Running, study: SmallStudy) -> None:
    """Only Snakemake itself is; its jobs are to end by themselves."""
    running.kill()
    running.wait()
    wait_until(lambda: not processes_of(study)["job"], seconds=10)


def is_stopped(running: Running, study: SmallStudy) -> None:
    """Ctrl-C reaches all processes of a terminal."""
    os.killpg(running.pid, signal.SIGINT)
    end(running, study)


def fails(running: Running, study: SmallStudy) -> None:
    assert running.wait(300) != 0
    assert "torch sees no GPU here" in study.said()


def come_to_grief(
    study: SmallStudy, settings: str, outputs: set[str], how: Callable[[Running, SmallStudy], None]
) -> None:
    """A run under other settings that ends while the job is under way that makes these outputs."""
    running = study.start(words=with_settings(study, settings))
    until = time.monotonic() + 300
    while running.poll() is None and not outputs <= marked(study) and time.monotonic() < until:
        time.sleep(0.005)
    how(running, study)


@pytest.mark.parametrize(
    ("settings", "outputs", "how"),
    [
        (DAMPING, {WEIGHTS}, is_killed),
        (DAMPING, {WEIGHTS}, is_stopped),
        (DAMPING + NO_GPU, {WEIGHTS}, fails),
        (SAMPLES, DUMPS, is_killed),
        (STEPS, {DESCRIBED["train_model"]}, is_killed),
    ],
    ids=["cell killed", "cell stopped", "cell failed", "dump killed", "training killed"],
)
def test_back_at_earlier_settings_nothing_is_planned_and_every_file_is_what_it_was(
    study: SmallStudy, settings: str, outputs: set[str], how: Callable[[Running, SmallStudy], None]
) -> None:
    before = as_it_was(study)
    come_to_grief(study, settings, outputs, how)
    said = study.said()
    assert as_it_was(study) != before, said
    assert "Nothing to be done" in planned(study), said
    assert as_it_was(study) == before
    assert marked(study) == set()
    assert not list((study.folder / ".snakemake/earlier").iterdir())


def test_at_the_new_settings_a_killed_run_goes_on_to_the_bytes_of_an_undisturbed_one(
    study: SmallStudy, finished: SmallStudy, tmp_path: Path
) -> None:
    """Also by way of the earlier ones, and of a plan: what is put back is not taken for what is asked for now."""
    undisturbed = copied(finished, tmp_path / "undisturbed")
    assert undisturbed.run(words=with_settings(undisturbed, DAMPING)) == 0, undisturbed.said()
    come_to_grief(study, DAMPING, {WEIGHTS}, is_killed)
    planned(study)
    assert "reconstruct_model" in planned(study, with_settings(study, DAMPING))
    assert study.run(words=with_settings(study, DAMPING)) == 0, study.said()
    assert study.contents() == undisturbed.contents() != finished.contents()
    assert not list((study.folder / ".snakemake/earlier").iterdir())


def test_what_jobs_write_besides_their_outputs_lies_in_folders_that_are_kept_with_them(finished: SmallStudy) -> None:
    outputs = incomplete_outputs(finished.folder / ".snakemake/metadata")  # records are named like marks
    made = {f"results/{place}" for place in finished.contents()}
    besides = made - outputs
    for rule, output in DESCRIBED.items():
        assert output in outputs
        folder = FOLDERS[rule](Path(output))
        there = {place for place in besides if folder in Path(place).parents}
        assert there, rule
        besides -= there
    assert not besides
