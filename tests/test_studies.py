"""A study is a file: what is always read, how each says that it is run, and which file an error is told of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.helpers.checkout import copy_repository
from tests.helpers.shipped import shipped_config

from polyprune.settings.load import SHIPPED_FILES

ROOT = Path(__file__).parent.parent
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))


def test_the_snakefile_reads_the_shipped_files_in_their_order() -> None:
    named = re.findall(r'^configfile: "(.+)"$', (ROOT / "Snakefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert tuple(named) == SHIPPED_FILES


def test_the_paper_and_the_demo_share_no_entry() -> None:
    """What one file says of a corpus, a model or a study is not changed by the other."""
    paper, demo = (yaml.safe_load((ROOT / file).read_text(encoding="utf-8")) for file in SHIPPED_FILES)
    for section in ("corpora", "prompts", "models", "studies"):
        assert not set(paper[section]) & set(demo[section])
    assert list(paper["studies"]) == ["paper"] and list(demo["studies"]) == ["demo"]
    assert list(shipped_config()["studies"]) == ["paper", "demo"]


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_begins_with_how_to_run_it(file: Path) -> None:
    head = file.read_text(encoding="utf-8").split("\n\n")[0] + "\n"
    commands = re.findall(r"^#   (snakemake .+)$", head, flags=re.MULTILINE)
    assert commands and head.startswith("# ")
    always_read = f"studies/{file.name}" in SHIPPED_FILES
    for command in commands:
        words = command.split()
        assert always_read or words[words.index("--configfile") + 1] == f"studies/{file.name}"
        assert words[words.index("--") + 1].removeprefix("results/").split("/")[0] == file.stem


def test_a_problem_is_told_of_the_file_that_says_it(tmp_path: Path) -> None:
    """Of the command line's file, which is merged last, also where the configuration has the same key."""
    folder = copy_repository(tmp_path)
    (folder / "own.yaml").write_text("engine:\n  offload: disk\n", encoding="utf-8")
    demo = folder / "studies/demo.yaml"
    text = demo.read_text(encoding="utf-8").replace("sampling: packed", "sampling: paked")
    demo.write_text(text, encoding="utf-8")
    line = text[: text.index("sampling: paked")].count("\n") + 1
    command = [sys.executable, "-m", "snakemake", "--profile", "local", "-n", "--configfile", "own.yaml", "--", "demo"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    output = run.stdout + run.stderr
    assert "own.yaml:2: engine.offload: Input should be 'none' or 'cpu', got 'disk'" in output
    assert f"studies/demo.yaml:{line}: models.tiny-llama.text.sampling: Input should be" in output
