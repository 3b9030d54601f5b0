"""Command lines of many files: stages must put them together again, as bash would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from benchmarks.planning import study_of
from tests.helpers.shipped import ROOT
from tests.helpers.warm_worker import with_stages

from polyprune.provenance import digest
from polyprune.running.braces import expanded
from polyprune.settings.load import SHIPPED_FILES
from polyprune.workflow.braces import braced, words
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.ledger import read_config
from polyprune.workflow.specs import Specs

LARGEST_ARGUMENT, LARGEST_COMMAND = 131_072, 2_097_152
"""Bytes that Linux allows one argument, and `bash -c` has one; and all arguments of a program."""
COUNTING = """
import sys
from pathlib import Path

sys.modules["polyprune.stages.count"] = sys.modules[__name__]

def count(measurements: list[Path], paper: list[Path], evidence: list[Path], output: Path):
    from polyprune.provenance import digest
    output.write_text(digest(*("\\n".join(sorted(map(str, paths))) for paths in (measurements, evidence, paper))))
"""


def by_bash(words: str) -> list[str]:
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
    assert by_bash(words) == sorted(paths)
    assert expanded(words) == (by_bash(words) or [""]), "in the same order"


def test_the_papers_answers_fit_into_one_argument() -> None:
    inputs = Inputs(read_config([ROOT / file for file in SHIPPED_FILES]), ROOT)
    paths = inputs.answers("paper") + inputs.dumps_of_study("paper")
    assert len(" ".join(paths)) > LARGEST_ARGUMENT
    assert len(braced(paths)) < 5000
    assert sorted(expanded(braced(paths))) == sorted(paths)
    assert expanded(braced(paths)) == by_bash(braced(paths))


def test_a_table_of_ten_thousand_cells_can_be_made(tmp_path: Path) -> None:
    """Its command is of a few letters, and reaches the stage as 6 MB of names, of which Linux would allow 2."""
    study = tmp_path / "many.yaml"
    study.write_text(yaml.safe_dump(study_of(10_000)), encoding="utf-8")
    settings = read_config([*(ROOT / file for file in SHIPPED_FILES), study])
    inputs = Inputs(settings, ROOT)
    files = inputs.measurements("many", "table1"), inputs.evidence("many", "table1")
    measurements = words(inputs.measurements, "many", "table1")({})
    evidence = words(inputs.evidence, "many", "table1")({})
    package = with_stages(tmp_path / "package", COUNTING)
    spec = Specs(settings).tabulate("many", "table1")
    command = f"python -m polyprune count --settings {shlex.quote(spec)} --measurements {measurements} --paper  "
    command += f"--evidence {evidence} --output {tmp_path / 'said'} --log {tmp_path / 'log'} --threads 1"
    assert len(command) < LARGEST_ARGUMENT
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(["bash", "-c", command], env=os.environ | {"PYTHONPATH": package, "PATH": path})
    assert run.returncode == 0
    wanted = [sorted(paths) for paths in files]
    assert sum(len(path) + 1 for paths in wanted for path in paths) > 2 * LARGEST_COMMAND
    assert (tmp_path / "said").read_text() == digest(*("\n".join(paths) for paths in wanted), "")


def test_rules_of_many_files_name_them_in_braces() -> None:
    for file, options in (("report", ["measurements", "evidence", "measurements"]), ("answers", ["items", "dumps"])):
        rule = (ROOT / "rules" / f"{file}.smk").read_text(encoding="utf-8")
        assert re.findall(r'--(\w+)[ "\n]+{params\.(?!spec)', rule) == options


def test_commas_of_names_are_no_alternatives() -> None:
    assert expanded("../my,folder/data/table1.csv") == ["../my,folder/data/table1.csv"]
    assert expanded("my,folder/{a,b}.csv") == ["my,folder/a.csv", "my,folder/b.csv"]
