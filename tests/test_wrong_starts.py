"""Starts that are plausible and wrong, typed as a user would: each ends in a line that says what to type."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.helpers.capabilities import without_rights_over_others
from tests.helpers.checkout import ROOT, copy_repository
from tests.helpers.warm_snakemake import run_snakemake


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as it is cloned, with a study of the user's own beside it."""
    folder = tmp_path_factory.mktemp("clone")
    copy_repository(folder)
    (folder / "model.gguf").write_bytes(b"GGUF")
    for name, source in (("ready", "kind: gguf, path: model.gguf"), ("gguf", "kind: folder, path: model.gguf")):
        text = (
            "{corpus: demo, sequence_length: 64, calibration_sequences: 4, evaluation_sequences: 4, sampling: packed}"
        )
        model = f"mine-7b: {{title: Mine, source: {{{source}}}, text: {text}}}"
        grid = '{models: [mine-7b], methods: [wanda], schemes: ["0.50"], calibrations: [de], seeds: [0]}'
        study = f"mine: {{grids: {{all: {grid}}}, tables: {{table1: {{title: T, report: drift, grids: [all]}}}}}}"
        (folder / f"{name}.yaml").write_text(f"models:\n  {model}\nstudies:\n  {study}\n", encoding="utf-8")
    return folder


def start(folder: Path, words: str, before: Callable[[], None] | None = None) -> tuple[int, str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SNAKEMAKE_PROFILE")}
    if before is None:
        run = run_snakemake(words.split(), folder, environment)
    else:
        command = [sys.executable, "-m", "snakemake", *words.split()]
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, preexec_fn=before)
    return run.returncode, run.stderr + run.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--profile local -n table2", "table2 is no target: type results/table2.parquet"),
        ("--profile local -n results/demo/table2", "type results/demo/table2.parquet"),
        (
            "--profile local -n results/llama-3-8/wanda/0.50/de/seed0/perplexity.parquet",
            "'llama-3-8' is not one of",
        ),
        ("--profile local -n results/tiny-llama/wandaa/0.50/de/seed0/drift.parquet", "did you mean wanda?"),
        ("--profile local -n results/tiny-llama/wanda/0.5x/de/seed0/drift.parquet", "'0.5x'"),
        ("--profile local -n results/tiny-llama/wanda/0.50/de+q/seed0/drift.parquet", "'de+q'"),
        ("--profile local -n quick", "type --configfile studies/quick.yaml -- quick"),
        (
            "--profile local --configfile ready.yaml results/mine/table1.parquet",
            "snakemake --profile local --configfile ready.yaml -- results/mine/table1.parquet",
        ),
        ("--profile local -n --configfile redy.yaml -- mine", "did you mean ready.yaml?"),
        ("--profile local -n --configfile studies -- mine", "studies, which is a folder: name the file in it"),
        (
            "--profile local -n --configfile gguf.yaml -- results/mine/table1.parquet",
            "is a file, no folder: write `source: {kind: gguf, path: model.gguf}`",
        ),
    ],
)
def test_a_wrong_start_says_what_to_type(words: str, said: str, clone: Path):
    code, output = start(clone, words)
    assert code == 1 and said in output
    assert "Traceback" not in output and "MissingRuleException" not in output


@pytest.mark.parametrize("file", ["results", "results/tiny-llama", "results/corpora/demo", "logs"])
def test_a_file_where_a_folder_of_results_belongs_is_named(file: str, clone: Path):
    (clone / file).parent.mkdir(parents=True, exist_ok=True)
    (clone / file).touch()
    code, output = start(clone, "--profile local -n results/tiny-llama/calibration/de/seed0/tokens.safetensors")
    assert code == 1 and "Traceback" not in output
    assert f"error: {file} is a file and should be a folder: move it away and run again" in output
    (clone / file).unlink()
    if (clone / "results").exists():
        shutil.rmtree(clone / "results")


@pytest.mark.parametrize("broken", ["config.json", "tokenizer.json"])
def test_all_models_that_cannot_be_read_are_named_at_once(broken: str, clone: Path):
    """Found before Snakemake plans, as their sizes are needed, and when it does."""
    text = (clone / "gguf.yaml").read_text(encoding="utf-8")
    sizes = "architectures num_hidden_layers hidden_size intermediate_size num_attention_heads num_key_value_heads "
    sizes += "vocab_size max_position_embeddings"
    for name in ("first", "second"):
        (clone / name).mkdir(exist_ok=True)
        whole = {"config.json": json.dumps(dict.fromkeys(sizes.split(), 64)), "tokenizer.json": "{}"}
        for file, content in whole.items():
            (clone / name / file).write_text(content, encoding="utf-8")
        (clone / name / broken).unlink()
    model = text.splitlines()[1].replace("model.gguf", "first")
    second = model.replace("mine-7b", "yours-7b").replace("first", "second")
    (clone / "both.yaml").write_text(
        text.replace(text.splitlines()[1], f"{model}\n{second}").replace("[mine-7b]", "[mine-7b, yours-7b]")
    )
    code, output = start(clone, "--profile local -n --configfile both.yaml -- mine")
    assert code == 1 and "Traceback" not in output
    for name in ("first", "second"):
        assert output.count(f"{name} has no {broken}") == 1, output


OF_ANOTHER = ["another's"] if os.getuid() == 0 else []
"""It takes root to give a folder away."""


@pytest.mark.parametrize("folder", [".", "results", "results/corpora", "logs", "a link", *OF_ANOTHER])
def test_folders_that_may_not_be_written_are_named_before_the_first_job(folder: str, clone: Path):
    """As a user who is stopped by permissions; what lies there stays as it is."""
    place = clone / {"another's": "results", "a link": "results"}.get(folder, folder)
    nowhere = clone.parent / "nowhere"
    if folder == "a link":
        place.symlink_to(nowhere)
    else:
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o555)
    if folder == "another's":
        os.chown(place, 54321, -1)
    try:
        code, output = start(clone, "--profile local -- results/corpora/demo/de.parquet", without_rights_over_others)
    finally:
        if folder != "a link":
            place.chmod(0o755)
    named = clone if folder == "." else place.relative_to(clone)
    said = {"a link": f"{named} is a link to a folder that is not there: mkdir -p {nowhere}",
            "another's": f"{named} cannot be written, and nothing was begun: it belongs to user 54321",
            }.get(folder, f"{named} cannot be written, and nothing was begun: chmod u+w {named}")  # fmt: skip
    assert code == 1 and said in output and "Traceback" not in output and "PermissionError" not in output
    for left in (clone / "results", clone / "logs"):
        left.unlink() if left.is_symlink() else shutil.rmtree(left, ignore_errors=True)


def test_results_that_may_not_be_looked_into_are_named(clone: Path):
    """A folder of another user's; in a dry run, too."""
    hidden = clone / "results/corpora"
    hidden.mkdir(parents=True)
    hidden.chmod(0o000)
    code, output = start(clone, "--profile local -n results/corpora/demo/de.parquet", without_rights_over_others)
    hidden.chmod(0o755)
    shutil.rmtree(clone / "results")
    assert code == 1 and "Traceback" not in output and "PermissionError" not in output
    assert "error: results/corpora may not be looked into: see to its permissions" in output


def test_another_folder_says_where_to_go(clone: Path):
    code, output = start(clone / "studies", "--profile ../local --snakefile ../Snakefile -n demo")
    assert code == 1 and f"(cd {clone.resolve()})" in output
    code, output = start(clone / "studies", f"--profile {clone}/local -n demo")
    assert code == 1 and f"start in the repository's folder: cd {clone}" in output


def test_a_dry_run_ends_with_the_ledgers_total_and_a_run_without_profile_names_one(clone: Path):
    code, output = start(clone, "--profile local -n results/table3.parquet")
    last = output.strip().splitlines()[-1]
    assert code == 0, output
    assert last.startswith("In all, cells and uncompressed models: 0 done, 0 begun, 74 outstanding; ")
    assert "GPU-hours" in last and "at 8 GPUs" in last and "make outstanding" in last
    _, output = start(clone, "--profile local -n --batch tabulate_demo_table1=1/2 -- results/demo/table1.parquet")
    assert output.strip().splitlines()[-1].startswith("In this part of the plan, 33 cells and uncompressed models are ")
    _, output = start(clone, "--cores 1 --unlock results/table1.parquet")
    assert "No profile was named. Type snakemake --profile local" in output


def test_a_snakemake_of_another_environment_says_how_to_take_ours(clone: Path):
    """One that has all that Snakemake needs, and of ours nothing."""
    code = "import sys; sys.modules['rich'] = None; from snakemake.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--profile", "local", "-n", "demo"], cwd=clone, capture_output=True, text=True
    )
    assert run.returncode == 1 and "Traceback" not in run.stderr + run.stdout
    assert f"the Python that runs this Snakemake, {sys.executable}, has no rich" in run.stdout
    assert "Type: source .venv/bin/activate (before that, if there is no .venv yet, make install)" in run.stdout


@pytest.mark.parametrize("goal", ["demo", "answer"])
def test_an_old_python_says_which_one_to_name(goal: str, clone: Path, tmp_path: Path):
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/bash\nexit 1\n")
    old.chmod(0o755)
    shutil.copy(ROOT / "Makefile", clone)
    command = ["make", "--no-print-directory", f"PYTHON={old}", goal]
    run = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    said = f"polyprune needs Python 3.11 or newer, {old} is older: make PYTHON=/path/to/python3.11 {goal}\n"
    assert run.returncode == 2 and run.stdout.endswith(said)
    assert not (clone / ".venv").exists()
