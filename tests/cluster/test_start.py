"""Before the first job is submitted: what the user's file names is looked for, with stand-ins for Slurm's commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyprune.cluster.site import Cluster
from polyprune.cluster.start import require_cluster
from polyprune.errors import UserError

Answer = Callable[[str, str], None]
HERE = "batch|(null)|(null)\nbig|gpu:h100:2(S:0-1),gpu:a100:1|fast,ib\n"


@pytest.fixture(autouse=True)
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Makes a command that prints a text; `sinfo` and `sacctmgr` are there."""

    def make(name: str, text: str) -> None:
        (tmp_path / f"{name}.txt").write_text(text)
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\ncat {tmp_path}/{name}.txt\n")
        command.chmod(0o755)

    make("sinfo", HERE)
    make("sacctmgr", "lab|normal,long\nother|short\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return make


def told(template: bool = False, **more: Any) -> str:
    cluster = Cluster.model_validate({"partitions": {"batch": {}}, **more})
    return require_cluster(cluster, Path("mine.yaml"), template)


@pytest.mark.parametrize("template", [True, False])
def test_partitions_that_are_not_there_are_refused_as_where_the_template_was_left(template: bool):
    what = r"cp slurm/partitions\.yaml ~/\.config/polyprune/" if template else "correct it"
    with pytest.raises(UserError, match=rf"mine\.yaml names partitions .*\(cpu; there are batch, big\): .*{what}"):
        told(template, partitions={"cpu": {}, "batch": {}})


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"gpu_model": "h200"}, r"a gpu_model .*\(h200; there are a100, h100\)"),
        ({"constraint": "fast&[slow*2|ib]"}, r"a constraint .*\(slow; there are fast, ib\)"),
        ({"account": "labor"}, r"an account .*\(labor; there are lab, other\)"),
        ({"qos": "huge"}, r"a qos .*\(huge; there are long, normal, short\)"),
        ({"qos": "short", "account": "lab"}, r"a qos .*\(short; there are long, normal\)"),
    ],
)
def test_what_slurm_does_not_have_is_refused_with_what_it_has(named: dict[str, Any], said: str):
    with pytest.raises(UserError, match=rf"mine\.yaml names {said}: correct it"):
        told(**named)


def test_what_is_there_passes_with_a_sentence_about_the_account():
    named: dict[str, Any] = {"gpu_model": "h100", "constraint": "fast&ib*2", "account": "lab", "qos": "long"}
    assert told(**named) == "All jobs go to Slurm's account lab, which mine.yaml names."
    assert told() == "No account is named in mine.yaml: jobs go to the one that Slurm takes for you."


def test_nothing_is_compared_with_what_nobody_knows(answer: Answer):
    """No accounting, GPUs without a type; a Slurm that does not answer is said by who asks next."""
    answer("sacctmgr", "")
    answer("sinfo", "batch|gpu:2|(null)\n")
    told(gpu_model="h100", constraint="fast", account="lab", qos="long")
