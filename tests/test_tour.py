"""The tour leads where it says: its links hold what they name, and its examples do what they promise in a copy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.helpers.checkout import ROOT, TRACKED, copy_repository
from tests.helpers.runs import snakemake
from tests.helpers.tour import PAGE, apply, blocks, commands, links

TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = blocks(TEXT)
PLANS = {
    "a language": [
        "results/corpora/mc4/fr.parquet",
        "results/aya-23-8b/wanda/0.50/fr/seed0/drift.parquet",
        "results/aya-23-8b/wanda/0.50/fr/seed0/evaluation/arc.parquet",
    ],
    "a model": ["results/qwen-2.5-7b/model.json", "results/qwen-2.5-7b/wanda/0.50/sw/seed0/drift.parquet"],
    "a corpus kind": ["results/corpora/diaries/en.parquet", "results/diary-llama/model.json"],
    "a method": ["results/tiny-llama/stade/0.50/de/seed0/mask.safetensors"],
    "a metric": ["results/tiny-llama/wanda/0.50/de/seed0/drift.parquet"],
    "a benchmark": [
        "results/benchmarks/hub/xnli.json",
        "results/aya-23-8b/wanda/0.50/de/seed0/evaluation/xnli.parquet",
    ],
    "a figure": ["results/overlap/mask_iou/masks.parquet", "results/overlap/figure1.pdf"],
    "a table": ["results/predictions/table1.parquet"],
}
"""What must be among the files that the commands of each example plan."""


@dataclass(frozen=True)
class Extended:
    """A copy of the project with all examples in it, and the files that they touched."""

    folder: Path
    files: list[str]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Extended:
    folder = copy_repository(tmp_path_factory.mktemp("tour"))
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs/methods.md", folder / "docs")
    return Extended(folder, [apply(block, folder) for block in EXAMPLES if block.language != "bash"])


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=600)


def test_links_lead_to_what_they_name() -> None:
    """If red: python -m tests.helpers.tour"""
    found = links(TEXT)
    assert len(found) > 25
    assert [(link, link.lines_of_name()) for link in found if link.lines_of_name() != [link.line]] == []


def test_other_links_lead_to_files() -> None:
    assert all((PAGE.parent / file).is_file() for file in re.findall(r"\]\(([^#)]+)\)", TEXT))


def test_the_tree_has_every_folder() -> None:
    tree = TEXT.split("## One cell")[0]
    shown = set(re.findall(r"(?:^    |, )(?:  ){0,2}([\w./]+?)/(?=[ ,\n])", tree, flags=re.MULTILINE))
    package = ROOT / "workflow_scripts" / "polyprune"
    folders = {path.name for path in [*package.iterdir(), *(package / "report").iterdir()] if path.is_dir()}
    around = {"benchmarks", "docs", "tests", *(name.split("/")[0] for name in TRACKED if (ROOT / name).is_dir())}
    assert shown - {"workflow_scripts/polyprune"} == (folders | around) - {"workflow_scripts", "__pycache__"}


def test_there_is_an_example_of_everything_with_a_plan() -> None:
    promised = {block.section for block in EXAMPLES if block.language == "bash"}
    assert promised == set(PLANS) == {block.section for block in EXAMPLES}


def test_examples_are_written_as_our_code_is(extended: Extended) -> None:
    files = sorted({file for file in extended.files if file.endswith(".py")})
    for words in (["check"], ["format", "--check"]):
        run = python(extended.folder, "ruff", *words, *files)
        assert run.returncode == 0, run.stdout + run.stderr


def test_the_tests_of_the_examples_pass(extended: Extended) -> None:
    tests = [word for first, *words in commands(EXAMPLES) if first == "pytest" for word in words]
    run = python(extended.folder, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests)
    assert run.returncode == 0, run.stdout + run.stderr
    written = {file for file in extended.files if "/test_" in file}
    assert written <= {test.split("::")[0] for test in tests}


def test_the_plans_of_the_examples_hold_what_they_add(extended: Extended) -> None:
    """One dry run for all, with the studies of all: what each command asks for is among what is planned."""
    plans = [words for words in commands(EXAMPLES) if words[0] == "snakemake"]
    assert all("-n" in words for words in plans)
    studies = dict.fromkeys(word for words in plans for word in words if word.startswith("studies/"))
    targets = [words[-1] for words in plans]
    run = snakemake(extended.folder, "--configfile", *studies, "-n", "--quiet", "reason", "--", *targets)
    assert run.returncode == 0, run.stdout + run.stderr
    outputs = re.findall(r"^    output: (.+)$", run.stdout, flags=re.MULTILINE)
    planned = {file for line in outputs for file in line.split(", ")}
    assert set(targets) <= planned
    for section, files in PLANS.items():
        assert set(files) <= planned, section
