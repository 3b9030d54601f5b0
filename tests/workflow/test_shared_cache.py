"""Which studies Snakemake's cache between workflows may serve, and which rules."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.helpers.leaves import COMMIT, edited, everything

from polyprune.errors import UserError
from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings
from polyprune.workflow.shared_cache import SCORING, SHARED, WITH_FOLDER, require_cacheable, share
from polyprune.workflow.targets import models_of

RULES = Path(__file__).parents[2] / "rules"
TRAINED = "results/trained/wanda/0.50/de/seed0/mask.safetensors"
PINNED = {"models.hubbed.source.revision": COMMIT, "corpora.web.revision": COMMIT}


def test_a_trained_model_on_generated_text_follows_from_the_settings() -> None:
    require_cacheable(load_settings(everything()), [TRAINED])


def test_commits_of_the_hub_must_be_named_in_the_configuration() -> None:
    with pytest.raises(UserError) as refused:
        require_cacheable(load_settings(everything()), [TRAINED, "results/hubbed/model.json"])
    said = "is not set: write the commit of revisions.lock there"
    assert f"corpora.web.revision {said}; models.hubbed.source.revision {said}" in str(refused.value)
    require_cacheable(load_settings(edited(everything(), PINNED)), [TRAINED, "results/hubbed/model.json"])


def test_files_of_the_user_s_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"corpora\.mine is told apart by the content.*models\.local\.source is told apart"
    ):
        require_cacheable(load_settings(edited(everything(), PINNED)), ["results/local/model.json"])


def of_trained(scheme: str, calibration: str) -> str:
    return f"results/trained/wanda/{scheme}/{calibration}/seed0/mask.safetensors"


@pytest.mark.parametrize(
    "word",
    [
        of_trained("0.50", "en@code"),
        of_trained("0.50-layer1-from-en@code", "de"),
        "results/trained/calibration/de-en@code/seed0/tokens.safetensors",
        "results/all/table1.parquet",
        "all",
        "--cores",
    ],
)
def test_text_that_a_calibration_names_counts_too(word: str) -> None:
    """A shard of it would be taken from the cache whatever is in the files."""
    with pytest.raises(UserError, match=r"corpora\.code is told apart by the content of files"):
        require_cacheable(load_settings(edited(everything(), PINNED)), [word])


def test_prompts_that_are_documents_are_known_by_their_own_source() -> None:
    target = of_trained("0.50", "de@passages")
    require_cacheable(load_settings(everything()), [target])
    for prompts, said in (("my-prompts", "is told apart by the content"), ("web-prompts", "revision is not set")):
        settings = load_settings(edited(everything(), {"corpora.passages.prompts": prompts}))
        with pytest.raises(UserError, match=rf"prompts\.{prompts}(\.revision)? {said.removeprefix('revision ')}"):
            require_cacheable(settings, [target])


def test_models_are_those_of_the_targets() -> None:
    settings = load_settings(everything())
    assert models_of(["--cache", "results/trained/dense/perplexity.parquet"], settings) == {"trained"}
    assert models_of(["results/all/table3.parquet"], settings) == {
        "trained", "local", "hubbed", "converted", "pickled",
    }  # fmt: skip
    assert models_of(["--cores", "2"], settings) == set(settings.models)


SHARED_RULES = (*SHARED, *SCORING, *WITH_FOLDER)


def without_added() -> Settings:
    """Only built-in benchmarks are asked."""
    config = edited(everything(), {"studies.all.tables.table2.benchmarks": ["arc"]})
    return load_settings({**config, "benchmarks": {}})


def shared(settings: Settings, target: str) -> list[str]:
    """Rules that the cache is told of, which keep no record of their time then."""
    rules = [
        SimpleNamespace(name=name, cache=None, _benchmark="x", output=["y"]) for name in (*SHARED_RULES, "tabulate")
    ]
    share(rules, settings, [target])
    assert all((rule.cache is None) == (rule._benchmark == "x") for rule in rules)
    return [rule.name for rule in rules if rule.cache and rule.cache.output]


def test_shared_rules_exist_and_lose_their_record() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in RULES.glob("*.smk"))
    names = re.findall(r"^rule (\w+):|^use rule \w+ as (\w+) with", text, flags=re.MULTILINE)
    assert {*SHARED_RULES} <= {name for pair in names for name in pair}
    generated = without_added()
    assert shared(generated, TRAINED) == [*SHARED_RULES]


@pytest.mark.parametrize("target", ["results/hubbed/model.json", "all"])
def test_scores_on_questions_that_specs_do_not_tell_are_not_shared(target: str) -> None:
    """Of the hub, at the commits of revisions.lock, or of the user's folder; and of benchmarks of the configuration."""
    without = [*SHARED, *WITH_FOLDER]
    assert shared(without_added(), target) == without
    assert shared(load_settings(everything()), TRAINED) == without
