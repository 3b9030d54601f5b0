"""What configuration and paths say about benchmarks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.helpers.shipped import shipped_config

from polyprune.errors import UserError
from polyprune.grammar.benchmarks import BENCHMARKS, columns
from polyprune.settings import consistency
from polyprune.settings.load import load_settings
from polyprune.workflow import costs
from polyprune.workflow.targets import check_target

CONFIG = shipped_config()


def changed(*path: str, to: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    section = config
    for key in path[:-1]:
        section = section.setdefault(key, {})
    section[path[-1]] = to
    return config


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (
            ("evaluation", "profil"),
            "paper",
            r"evaluation\.profil: unknown key; .*did you mean profile",
        ),
        (("evaluation", "profile"), "cloze", "evaluation.profile: .*'paper' or 'current'"),
        (("evaluation", "generation"), "sglang", "evaluation.generation: .*'own' or 'vllm'"),
        (("evaluation", "demo_questions"), 90, "evaluation.demo_questions: .*less than or equal to 89"),
        (("evaluation", "mkqa", "prompt"), "Q:", r"evaluation.mkqa.prompt: 'Q:' must hold \{question\} once"),
        (("evaluation", "mkqa", "prompt"), "{question} {x}", "no other braces"),
        (("studies", "paper", "tables", "table3", "benchmarks"), ["mkqs"], "'mkqs' is not one of .*did you mean mkqa"),
        (("models", "benchmarks"), CONFIG["models"]["tiny-llama"], "name of a folder or file of results"),
    ],
)
def test_bad_values_are_refused_with_what_is_valid(path: tuple[str, ...], value: Any, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        load_settings(changed(*path, to=value))


def test_demo_models_have_generated_benchmarks_and_the_papers_models_the_hubs() -> None:
    settings = load_settings(CONFIG)

    def languages(model: str, benchmark: str) -> list[str]:
        found = columns(benchmark, settings.source_of(model, benchmark), settings.languages_of(model))
        return sorted({column.language for column in found})

    assert [settings.source_of(model, "arc") for model in ("tiny-aya", "aya-23-8b")] == ["demo", "hub"]
    assert languages("tiny-aya", "hellaswag") == ["ar", "de", "en", "es", "ru", "sw", "zh"]
    assert languages("aya-23-8b", "hellaswag") == ["ar", "de", "en", "es", "ru"]
    assert languages("aya-23-8b", "arc") == ["ar", "de", "en", "es", "ru", "zh"]


@pytest.mark.parametrize(
    "target",
    [
        "results/tiny-llama/dense/evaluation/arc.parquet",
        "results/aya-23-8b/wanda/0.50/de/seed0/evaluation/items/mkqa.parquet",
        "results/benchmarks/demo/belebele.json",
    ],
)
def test_paths_of_benchmarks_are_known(target: str) -> None:
    check_target(target, load_settings(CONFIG))


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("results/tiny-llama/dense/evaluation/ark.parquet", "benchmark 'ark' .*did you mean arc"),
        ("results/tiny-llama/wanda/0.50/de/seed0/evaluation/items/mqa.parquet", "did you mean mkqa"),
        ("results/benchmarks/dmo/arc.json", "did you mean demo"),
        ("results/benchmarks/hub/arcs.json", "did you mean arc"),
    ],
)
def test_misspelt_paths_are_refused(target: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        check_target(target, load_settings(CONFIG))


def test_a_table_of_the_demos_models_has_no_benchmark_without_generated_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consistency, "GENERATED", ("arc", "belebele", "mmlu", "hellaswag"))
    with pytest.raises(UserError) as refused:
        load_settings(CONFIG)
    _, *problems = str(refused.value).split("\n")
    assert [line.split(": ", 1)[1] for line in problems] == [
        "studies.demo.tables.table3.benchmarks.0: the demo has no mkqa, and tiny-llama is on its text"
    ]


def test_resources_grow_with_model_and_benchmark() -> None:
    models = load_settings(CONFIG).models
    small, large, tiny = models["llama-3-8b"], models["llama-3-70b"], models["tiny-llama"]
    assert costs.evaluation_flops(large, BENCHMARKS["mmlu"]) > 5 * costs.evaluation_flops(small, BENCHMARKS["mmlu"])
    assert costs.evaluation_flops(small, BENCHMARKS["hellaswag"]) > costs.evaluation_flops(
        small, BENCHMARKS["belebele"]
    )
    assert costs.minutes(costs.evaluation_flops(small, BENCHMARKS["mkqa"]), 150e12) > 10
    assert costs.minutes(costs.evaluation_flops(tiny, BENCHMARKS["mmlu"]), 150e12) <= 10
    assert costs.evaluation_memory_mb(tiny) < 4000 < costs.evaluation_memory_mb(large)
