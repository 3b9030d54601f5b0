"""Which studies Snakemake's cache between workflows may serve, and which rules."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.helpers.leaves import COMMIT, edited, everything

from polyprune.errors import UserError
from polyprune.settings.load import load_settings
from polyprune.workflow.shared_cache import SHARED, WITH_FOLDER, require_cacheable, share
from polyprune.workflow.targets import models_of

RULES = Path(__file__).parents[2] / "rules"
PINNED = {"models.hubbed.source.revision": COMMIT, "corpora.web.revision": COMMIT}


def test_a_trained_model_on_generated_text_follows_from_the_settings() -> None:
    require_cacheable(load_settings(everything()), {"trained"})


def test_commits_of_the_hub_must_be_named_in_the_configuration() -> None:
    with pytest.raises(UserError) as refused:
        require_cacheable(load_settings(everything()), {"trained", "hubbed"})
    said = "is not set: write the commit of revisions.lock there"
    assert f"corpora.web.revision {said}; models.hubbed.source.revision {said}" in str(refused.value)
    require_cacheable(load_settings(edited(everything(), PINNED)), {"trained", "hubbed"})


def test_files_of_the_user_s_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"corpora\.mine is told apart by the content.*models\.local\.source is told apart"
    ):
        require_cacheable(load_settings(edited(everything(), PINNED)), {"local"})


def test_models_are_those_of_the_targets() -> None:
    settings = load_settings(everything())
    assert models_of(["--cache", "results/trained/dense/perplexity.parquet"], settings) == {"trained"}
    assert models_of(["results/all/table3.parquet"], settings) == {
        "trained", "local", "hubbed", "converted", "pickled",
    }  # fmt: skip
    assert models_of(["--cores", "2"], settings) == set(settings.models)


def test_shared_rules_exist_and_lose_their_record() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in RULES.glob("*.smk"))
    names = re.findall(r"^rule (\w+):|^use rule \w+ as (\w+) with", text, flags=re.MULTILINE)
    shared = (*SHARED, *WITH_FOLDER)
    assert set(shared) <= {name for pair in names for name in pair}
    rules = [SimpleNamespace(name=name, cache=None, _benchmark="x", output=["y"]) for name in (*shared, "tabulate")]
    share(rules)
    assert [rule._benchmark for rule in rules] == [None] * len(shared) + ["x"]
    assert all(rule.cache.output for rule in rules[:-1]) and rules[-1].cache is None
