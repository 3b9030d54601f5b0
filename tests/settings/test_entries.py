"""What is right itself is compared with the rest, though something beside it is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.configuration import CORRECT, complaints, edited, merged

from polyprune.errors import UserError
from polyprune.settings.base import Section
from polyprune.settings.load import load_settings


def test_what_is_wrong_itself_is_known_by_name_and_nothing_is_asked_of_it(tmp_path: Path):
    """A model, a corpus, a grid: refused by their types, each named by others that are right."""
    text = edited(
        ("    languages: [de, sw]", "    languages: [de, de]"),
        ("    title: Big\n", ""),
        ("seeds: [0, 1]", "seeds: [0, -1]"),
    )
    assert {line.split(": ")[1] for line in complaints(text, folder=tmp_path)} == {
        "corpora.made.languages",
        "models.big.title",
        "studies.first.grids.main.seeds.1",
    }


def test_an_entry_with_an_unknown_key_is_still_compared_with_others(tmp_path: Path):
    text = edited(
        ("    title: Big\n", "    title: Big\n    colour: red\n    prompts: some\n"),
        ("        grids: [main]", "        grids: [mian]\n        colour: red"),
    )
    assert {line.split(": ", 1)[1] for line in complaints(text, folder=tmp_path)} == {
        "models.big.colour: unknown key; 'colour' is not one of prompts, shape, source, text, title",
        "models.big.prompts: 'some' is not one of ",
        "studies.first.tables.table1.colour: unknown key; 'colour' is not one of benchmarks, grids, references, "
        "report, title",
        "studies.first.tables.table1.grids.0: 'mian' is not one of main; did you mean main?",
    }


def test_an_item_of_a_list_is_compared_though_its_neighbour_is_refused(tmp_path: Path):
    text = edited(("[de, de-en]", "[en-de, de-fr]"), ('["0.50", 2of4]', "[0.5, 4of5]"))
    assert [line.split(": ")[1] for line in complaints(text, folder=tmp_path)] == [
        f"studies.first.grids.main.{item}" for item in ("schemes.0", "calibrations.0", "calibrations.1", "schemes.1")
    ]


@pytest.mark.parametrize(
    ("section", "value", "complaint"),
    [
        ("corpora", None, "config: corpora: Input should be a valid dictionary, got None"),
        ("models", "big", "config: models: Input should be a valid dictionary, got 'big'"),
        ("prompts", ["a"], "config: prompts: Input should be a valid dictionary, got ['a']"),
    ],
)
def test_without_a_section_no_name_is_called_unknown(section: str, value: Any, complaint: str):
    config = yaml.safe_load(CORRECT) | {section: value}
    with pytest.raises(UserError) as refused:
        load_settings(config)
    assert str(refused.value) == f"1 problem in the configuration\n  {complaint}"


def test_a_study_without_grids_is_told_only_that():
    config = yaml.safe_load(CORRECT)
    del config["studies"]["first"]["grids"]
    with pytest.raises(UserError) as refused:
        load_settings(config)
    assert str(refused.value) == "1 problem in the configuration\n  config: studies.first.grids: this key is required"


def test_of_many_problems_the_first_are_shown():
    config = yaml.safe_load(CORRECT)
    config["studies"]["first"] |= {f"table{n}": {} for n in range(25)}
    with pytest.raises(UserError) as refused:
        load_settings(config)
    count, *lines, more = str(refused.value).split("\n  ")
    assert count == "25 problems in the configuration" and len(lines) == 20
    assert lines[0].startswith("config: studies.first.table0: unknown key")
    assert more == "and 5 more, shown when these are mended"


def test_a_name_that_yaml_reads_as_no_text_is_refused():
    config = yaml.safe_load(CORRECT.replace("  made:", "  no:"))
    with pytest.raises(UserError) as refused:
        load_settings(config)
    count, *lines = str(refused.value).split("\n  ")
    assert count == "2 problems in the configuration"
    assert "Input should be a valid string, got False, as which YAML reads no and off" in lines[0]
    assert lines[1] == "config: models.tiny.text.corpus: 'made' is not one of mine, web"


def sections_of(node: Any, kind: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], set[str]]]:
    """Place and keys of each section in a valid configuration, from the objects that it becomes."""
    if isinstance(kind, Section):
        yield place, set(type(kind).model_fields)
        for name in type(kind).model_fields:
            if isinstance(node, Mapping) and name in node:
                yield from sections_of(node[name], getattr(kind, name), (*place, name))
    elif isinstance(kind, Mapping):
        for name, value in kind.items():
            yield from sections_of(node[name], value, (*place, name))


def test_an_unknown_key_is_told_with_the_keys_of_its_section_wherever_it_stands():
    config = merged(yaml.safe_load(CORRECT), {"compression": {"owl": {}}, "evaluation": {"mkqa": {}}})
    config = json.loads(json.dumps(config))  # sections that YAML shares become two
    sections = dict(sections_of(config, load_settings(config)))
    assert {("corpora", "mine", "shares"), ("models", "tiny", "source"), ("compression", "owl"), ()} <= set(sections)
    for *place, last in (((*place, "zzz")) for place in sections):
        wrong = copy.deepcopy(config)
        reduce(getitem, place, wrong)[last] = 1
        with pytest.raises(UserError) as refused:
            load_settings(wrong)
        known = ", ".join(sorted(sections[tuple(place)]))
        assert str(refused.value) == (
            "1 problem in the configuration\n  "
            f"config: {'.'.join([*place, last])}: unknown key; 'zzz' is not one of {known}"
        )
