"""Command lines of many files: bash must put them together again."""

from __future__ import annotations

import subprocess

import pytest
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
