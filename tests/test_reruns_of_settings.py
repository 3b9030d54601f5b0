"""Each setting makes again what docs/reruns.md says; each job's spec is what its stage takes."""

from __future__ import annotations

import json
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from pydantic import TypeAdapter
from tests.helpers.checkout import copy_repository
from tests.helpers.leaves import everything, places, settings_of_types
from tests.helpers.made_with import asked_by, read, settings_of
from tests.helpers.planner import PlannedJob, plans
from tests.helpers.reruns import (
    KINDS,
    OF_INPUTS,
    PAGE,
    TARGETS,
    Plans,
    kind_of,
    marks,
    measured,
    page,
    plans_of_settings,
    read_table,
)
from tests.helpers.runs import planned

STAGES = {file.stem for file in (PAGE.parents[1] / "workflow_scripts/polyprune/stages").glob("[a-z]*.py")}


@pytest.fixture(scope="module")
def planned_of_all(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    return plans_of_settings(copy_repository(tmp_path_factory.mktemp("plans")))


def test_the_page_says_what_each_setting_makes_again(planned_of_all: Plans) -> None:
    """If red, read what differs, and if it is right: PYTHONPATH=.:workflow_scripts python -m tests.helpers.reruns"""
    text = PAGE.read_text(encoding="utf-8")
    rows = measured(planned_of_all)
    assert read_table(text) == rows
    assert text == page(text, rows)


def test_who_reads_a_file_of_another_setting_refuses_it_and_no_other(planned_of_all: Plans) -> None:
    """Whatever setting is turned, and of all kinds of files and jobs: for results that Snakemake has no record of."""
    n_refused, wrong = 0, set[tuple[str, str, str, str]]()
    asked = asked_by(job for _, after in planned_of_all.values() for job in after)
    for name, (before, after) in planned_of_all.items():
        for each in read(before, after, asked):
            kinds = name, kind_of(each.maker.stage), kind_of(each.reader.stage)
            n_refused += each.refused
            if each.refused and each.maker.spec == each.maker_before.spec:
                wrong.add((*kinds, f"{each.file} is refused, though nothing is different"))
            if not each.refused and settings_of(each.maker) != settings_of(each.maker_before):
                wrong.add((*kinds, "taken, though it was made with other settings"))
    assert not wrong
    assert n_refused > 5000


def test_every_setting_occurs_and_every_stage_is_of_one_kind() -> None:
    assert set(places()) == set(settings_of_types())
    assert sorted(stage for stages in KINDS.values() for stage in stages) == sorted(STAGES)


def test_a_spec_is_what_its_stage_takes(tmp_path: Path) -> None:
    """All its values, of the right types; nothing but these, the code, and what its inputs are to be made with."""
    configs = [everything(), everything()]
    configs[1]["evaluation"]["data_root"] = "benchmarks"
    requests = [(TARGETS, config) for config in configs]
    jobs = [job for found in plans(copy_repository(tmp_path), requests) for job in found]
    assert {job.stage for job in jobs} == STAGES
    for job in jobs:
        values = json.loads(job.spec)
        stage = getattr(import_module(f"polyprune.stages.{job.stage}"), job.stage)
        assert set(values) - OF_INPUTS - set(signature(stage).parameters) == {"code", "job"}
        for name, hint in get_type_hints(stage, include_extras=True).items():
            if name in values:
                TypeAdapter(hint).validate_python(values[name])


def job(stage: str, spec: str, inputs: str, outputs: str) -> PlannedJob:
    return PlannedJob(stage, spec, frozenset(inputs.split()), frozenset(outputs.split()))


def test_marks_by_hand() -> None:
    """A shard from another spec, a cell of it, a cell of another shard, a new cell, and a table of one cell more."""
    before = [
        job("build_calibration_set", "1", "", "a b"),
        job("prune_model", "1", "a", "cell-a"),
        job("measure_drift", "1", "other", "drift-other"),
        job("tabulate", "1", "cell-a", "table"),
    ]
    after = [
        job("build_calibration_set", "2", "", "a b"),
        *before[1:3],
        job("prune_model", "1", "other", "cell-other"),
        job("tabulate", "1", "cell-a cell-other", "table"),
    ]
    assert marks(before, before) == {}
    assert marks(before, after) == {"shard": "●", "cell": "○+", "table": "●"}


RULES = {
    "dump_cell": "dump_hidden_states",
    "dump_dense": "dump_hidden_states",
    "dump_mixed": "dump_hidden_states",
    "measure_dense": "measure_drift",
    "reconstruct_model": "prune_model",
    "build_evaluation_set": "build_evaluation_set",
    "tabulate_quick": "tabulate",
}
"""Stages of the rules of the finished study that are not called after their stage."""


def kinds_planned(folder: Path, turned: dict[str, Any]) -> set[str]:
    """Kinds of job that a dry run lists in the finished study after these settings are merged over its own."""
    study = folder / "studies/quick.yaml"
    config = yaml.safe_load(study.read_text(encoding="utf-8"))
    for place, value in turned.items():
        *path, key = place.split(".")
        section = config
        for step in path:
            section = section.setdefault(step, {})
        section[key] = value
    study.write_text(yaml.safe_dump(config), encoding="utf-8")
    rules = set(planned(folder, "quick")) - {"quick"}
    return {kind_of(next((stage for start, stage in RULES.items() if rule.startswith(start)), rule)) for rule in rules}


@pytest.mark.parametrize(
    ("setting", "turned"),
    [
        ("compression.block_size", {"compression.block_size": 64}),
        ("compression.gptq.damping", {"compression.gptq.damping": 0.2}),
        ("models.text.evaluation_sequences", {"models.quick-llama.text.evaluation_sequences": 5}),
        ("models.text.sampled_tokens", {"models.quick-llama.text.sampled_tokens": 17}),
        ("models.title", {"models.quick-llama.title": "Another title"}),
        ("evaluation.mkqa.prompt", {"evaluation.mkqa.prompt": "{question}"}),
        ("engine.tokens_per_batch", {"engine.tokens_per_batch": 1000}),
        ("engine.cells_per_dump", {"engine.cells_per_dump": 2}),
    ],
)
def test_a_dry_run_plans_what_the_page_says(setting: str, turned: dict[str, Any], edited: Path) -> None:
    made = {"text", "model", "shard", "eval", "cell", "dump", "drift", "table"}
    row = read_table(PAGE.read_text(encoding="utf-8"))[setting]
    unused = setting in ("compression.gptq.damping", "evaluation.mkqa.prompt")
    assert kinds_planned(edited, turned) == (set() if unused else set(row) & made)
