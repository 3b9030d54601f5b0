"""Languages of the demo and their names in data sets, said once or held equal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from polyprune.corpora import demo
from polyprune.evaluation.mkqa import utils as mkqa
from polyprune.grammar.calibrations import CALIBRATION_PATTERN, LANGUAGE_PATTERN
from polyprune.grammar.languages import DEMO_LANGUAGES, FLORES_CODES, MKQA_CODES

ROOT = Path(__file__).parents[2]


def test_the_demo_has_phrases_for_its_languages_and_no_others() -> None:
    phrases = (Path(demo.__file__).parent / "phrases").glob("*.yaml")
    assert sorted(file.stem for file in phrases) == list(DEMO_LANGUAGES) == sorted(DEMO_LANGUAGES)


def test_the_shipped_belebele_prompts_are_fetched_by_the_names_of_its_tasks() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert config["prompts"]["belebele"]["codes"] == FLORES_CODES
    assert sorted(FLORES_CODES) == list(DEMO_LANGUAGES)


def test_the_folder_of_mkqa_tasks_which_runs_alone_names_languages_as_the_grammar_does() -> None:
    assert mkqa.KEYS == MKQA_CODES


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        *((text, True) for text in ("de", "fil", "zh_hant", "pt_br", "sr_latn", "zh_hant_hk")),
        *((text, False) for text in ("DE", "d", "dede", "zh_", "zh_Hant", "es_419", "_de")),
    ],
)
def test_a_language_is_two_or_three_small_letters_with_script_or_region_where_need_be(text: str, matches: bool) -> None:
    assert bool(re.fullmatch(LANGUAGE_PATTERN, text)) == matches
    assert bool(re.fullmatch(CALIBRATION_PATTERN, f"{text}-en")) == matches
