"""What shards and evaluation texts say of the text that they were cut from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.checkout import copy_repository
from tests.helpers.leaves import edited, everything
from tests.helpers.planner import plans

from polyprune.artifacts.identity import made_otherwise
from polyprune.settings.load import load_settings
from polyprune.workflow.specs import Specs

ASKED = "prompts.made-prompts.n_prompts"


def spec(stage: str, calibration: str, edits: dict[str, Any]) -> dict[str, Any]:
    wildcards = {"model": "local", "calibration": calibration, "seed": "0"}
    return json.loads(getattr(Specs(load_settings(edited(everything(), edits))), stage)(wildcards))


@pytest.mark.parametrize(
    ("stage", "calibration", "edits"),
    [
        ("build_calibration_set", "de@passages", {}),
        ("write_text", "de@passages+self", {}),
        ("build_calibration_set", "de", {"models.local.text.corpus": "passages"}),
        ("build_evaluation_set", "de", {"models.local.text.corpus": "passages"}),
    ],
)
def test_text_of_prompts_is_told_by_what_the_prompts_are(stage: str, calibration: str, edits: dict[str, Any]) -> None:
    """A file made of other prompts, which Snakemake does not remember, is a stranger by its header."""
    of_some, of_more = (spec(stage, calibration, edits | {ASKED: n}) for n in (50, 60))
    assert "n_prompts 50, here 60" in str(made_otherwise(of_some, of_more))
    assert made_otherwise(of_some, spec(stage, calibration, edits | {ASKED: 50})) is None
    assert spec(stage, "de", {ASKED: 50}) == spec(stage, "de", {ASKED: 60})


def test_a_shard_in_chat_is_planned_from_the_registration_of_the_template(tmp_path: Path) -> None:
    targets = [f"results/trained/calibration/{text}/seed0/tokens.safetensors" for text in ("de", "de+chat")]
    (jobs,) = plans(copy_repository(tmp_path), [(targets, everything())])
    read = {output: job.inputs for job in jobs for output in job.outputs}
    assert ["results/trained/prompting.json" in read[target] for target in targets] == [False, True]
