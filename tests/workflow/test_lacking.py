"""Languages without questions are said when evaluations are planned, once each; benchmarks with none are refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from tests.helpers.configuration import edited as edited_config
from tests.helpers.shipped import shipped_config

from polyprune.grammar.benchmarks import BENCHMARKS
from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings
from polyprune.workflow.lacking import Lacking


def said(settings: Settings, *asked: tuple[str, str], main: bool = True) -> list[str]:
    """What is said of evaluations of models on benchmarks, each planned twice."""
    sentences: list[str] = []
    lacking = Lacking(settings, SimpleNamespace(is_main_process=main), sentences.append)
    for model, benchmark in asked * 2:
        assert lacking.languages({"model": model, "benchmark": benchmark}) == []
    return sentences


def test_the_paper_is_told_once_what_its_benchmarks_lack() -> None:
    """Swahili everywhere but in Belebele, Chinese in HellaSwag; its models have one corpus."""
    settings = load_settings(shipped_config())
    paper = [(model, benchmark) for model in ("llama-3-8b", "aya-23-8b") for benchmark in BENCHMARKS]
    assert said(settings, *paper) == [
        "arc asks only in ar, de, en, es, ru, zh: no scores of it in sw, which corpus mc4 has, too",
        "mmlu asks only in ar, de, en, es, ru, zh: no scores of it in sw, which corpus mc4 has, too",
        "hellaswag asks only in ar, de, en, es, ru: no scores of it in sw, zh, which corpus mc4 has, too",
        "mkqa asks only in ar, de, en, es, ru, zh: no scores of it in sw, which corpus mc4 has, too",
    ]
    assert said(settings, *paper, main=False) == []


def test_generated_questions_are_in_all_languages_of_the_demo() -> None:
    assert said(load_settings(shipped_config()), ("tiny-llama", "arc"), ("tiny-llama", "hellaswag")) == []


def test_a_benchmark_with_nothing_for_a_model_is_refused() -> None:
    swahili = edited_config(("languages: [de, en]", "languages: [sw]"), ("[de, de-en]", "[sw]"))
    with pytest.raises(SystemExit) as refused:
        said(load_settings(yaml.safe_load(swahili)), ("big", "arc"))
    assert str(refused.value) == (
        "error: arc is in none of big's languages (sw): arc asks only in ar, de, en, es, ru, zh"
    )


def test_answers_that_fill_all_positions_of_a_model_are_refused() -> None:
    """The tiny models have 256, of which a prompt needs one."""
    content = shipped_config()
    for n, asked in ((255, "mkqa"), (256, "arc")):
        content["evaluation"] |= {"mkqa": {"max_new_tokens": n}}
        assert said(load_settings(content), ("tiny-llama", asked)) == []
    with pytest.raises(SystemExit) as refused:
        said(load_settings(content), ("tiny-llama", "mkqa"))
    assert str(refused.value) == (
        "error: an answer of 256 tokens (evaluation.mkqa.max_new_tokens) leaves no room for a prompt in the 256 "
        "positions of tiny-llama; lower it"
    )
