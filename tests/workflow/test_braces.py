"""Command lines of many files: bash must put them together again."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from benchmarks.planning import study_of
from tests.helpers.shipped import ROOT

from polyprune.settings.load import SHIPPED_FILES
from polyprune.workflow.braces import braced
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.ledger import read_config

LARGEST_ARGUMENT = 131_072
"""Bytes that Linux allows one argument, and `bash -c` has one."""


def expanded(words: str) -> list[str]:
    return subprocess.run(["bash", "-c", f"printf '%s ' {words}"], capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([], ""),
        (["a/b"], "a/b"),
        (["a/b/d", "a/c/d"], "a/{b,c}/d"),
        (["a/b/x", "a/b/y", "a/c/x", "a/c/y", "z/x"], "{a/{b,c}/{x,y},z/x}"),
        (["a/b/x", "a/c/y"], "a/{b/x,c/y}"),
    ],
)
def test_names_with_the_same_files_below_share_them(paths: list[str], words: str) -> None:
    assert braced(paths) == words
    assert expanded(words) == sorted(paths)


def test_the_papers_answers_fit_into_one_argument() -> None:
    inputs = Inputs(read_config([ROOT / file for file in SHIPPED_FILES]), ROOT)
    paths = inputs.answers("paper") + inputs.dumps_of_study("paper")
    assert len(" ".join(paths)) > LARGEST_ARGUMENT
    assert len(braced(paths)) < 5000
    assert sorted(expanded(braced(paths))) == sorted(paths)


def test_a_table_of_two_thousand_cells_fits_into_one_argument(tmp_path: Path) -> None:
    study = tmp_path / "many.yaml"
    study.write_text(yaml.safe_dump(study_of(2000)), encoding="utf-8")
    inputs = Inputs(read_config([*(ROOT / file for file in SHIPPED_FILES), study]), ROOT)
    measurements, evidence = inputs.measurements("many", "table1"), inputs.evidence("many", "table1")
    assert len(" ".join(measurements)) > LARGEST_ARGUMENT
    words = braced(measurements), braced(evidence)
    assert len(" ".join(words)) < 5000
    assert sorted(expanded(" ".join(words))) == sorted(measurements + evidence)
    rule = (ROOT / "rules" / "report.smk").read_text(encoding="utf-8")
    assert re.findall(r"--(\w+) {params\.\1}", rule) == ["measurements", "evidence"]
