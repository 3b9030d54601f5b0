"""Who a file is: one comparison for every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polyprune.artifacts.identity import (
    CONFIGFILES_VARIABLE,
    ForeignError,
    again,
    calibration_texts,
    introduced,
    place_of,
    require,
    require_agreement,
    sources_of,
)

PATH = Path("results/tiny/wanda/0.50/de/seed0/mask.safetensors")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("results/a/b.json", "a/b.json"),
        ("/home/results/x/results/a.json", "a.json"),
        ("/home/me/a.json", None),
        ("results", None),
        ("a/results", None),
    ],
)
def test_places_are_counted_from_the_last_results_folder(path: str, place: str | None):
    assert place_of(Path(path)) == place


def test_places_are_counted_from_the_root_if_there_is_one():
    assert place_of(Path("/copy/results/a.json"), Path("/copy")) == "results/a.json"


def test_what_is_made_again_is_named_as_snakemake_knows_it():
    assert again(Path("/elsewhere/results/a/b.h5")).endswith(" snakemake --profile local results/a/b.h5")


def test_what_is_made_again_is_asked_for_with_the_runs_own_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(CONFIGFILES_VARIABLE, "--configfile 'my study.yaml'")
    typed = " snakemake --profile local --configfile 'my study.yaml' -- results/a/b.h5"
    assert again(Path("/elsewhere/results/a/b.h5")).endswith(typed)


def test_a_header_that_is_as_expected_comes_back():
    header = introduced(PATH, "cell/2", {"method": "wanda", "seed": None, "text": {"corpus": "c", "n": 3}})
    wanted = {"method": "wanda", "seed": None, "text": {"corpus": "c"}}
    assert require(PATH, header, "cell/2", wanted) == header


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "cell/1"}, "is in version 1 of the format cell, this program reads 2"),
        ({"schema": "tokens/3"}, "is of kind tokens/3, expected cell/2"),
        ({"schema": None}, "is of kind unknown, expected cell/2"),
        ({"place": "tiny/ria/x"}, "was made as tiny/ria/x and lies in another's place"),
        ({"place": None}, "was made as none and lies in another's place"),
        ({"method": "ria"}, "(cell/2) has method ria, expected wanda"),
        ({"text": {"corpus": "d"}}, "(cell/2) has text.corpus d, expected c"),
        ({"text": None}, "(cell/2) has text.corpus none, expected c"),
    ],
)
def test_what_differs_is_named_with_both_values_and_the_remedy(changes: dict[str, Any], words: str):
    header = introduced(PATH, "cell/2", {"method": "wanda", "text": {"corpus": "c"}}) | changes
    with pytest.raises(ForeignError) as refused:
        require(PATH, header, "cell/2", {"method": "wanda", "text": {"corpus": "c"}})
    remedy = f"delete it and make it again: snakemake --profile local {PATH}"
    assert str(refused.value) == f"{PATH} {words}; {remedy}"


CELL = {"code": 1, "calibration": "de", "seed": 0, "calibration_digest": "c"}


def dump(language: str, **changes: Any) -> dict[str, Any]:
    about = {"model_digest": "m", "tokenizer_digest": "t", "data_digest": language, "language": language}
    return about | {"method": "wanda", "provenance": {"cell": CELL}} | changes


def test_inputs_of_one_job_that_agree_give_their_sources():
    headers = {
        Path("a"): dump("de"),
        Path("b"): dump("en"),
        Path("c"): dump("de", method="dense", provenance={"cell": None}),
    }
    calibration = {"calibration text de seed0": "c"}
    assert sources_of(headers) == {"model": "m", "text de": "de", "text en": "en"} | calibration


def test_a_composed_cell_was_calibrated_on_what_its_parts_were():
    other = {"calibration": "en", "seed": 0, "calibration_digest": "d"}
    both = {"calibration text de seed0": "c", "calibration text en seed0": "d"}
    assert calibration_texts([{"calibration": "de", "seed": 0, "rest": CELL, "part": other}]) == both
    assert calibration_texts([{"rest": CELL, "part": "dense"}]) == {"calibration text de seed0": "c"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_digest": "n"}, "b has model_digest n, but a has m"),
        ({"tokenizer_digest": "n"}, "b has tokenizer_digest n, but a has t"),
        ({"data_digest": "n"}, "b has data_digest n, but a has de"),
        (
            {"provenance": {"cell": "other"}},
            f"b has provenance.cell other, but a has {CELL}",
        ),
    ],
)
def test_inputs_of_one_job_that_do_not_agree_are_refused(changes: dict[str, Any], words: str):
    with pytest.raises(ForeignError) as refused:
        sources_of({Path("a"): dump("de"), Path("b"): dump("de", **changes)})
    assert str(refused.value).startswith(f"{words}: they were not made from the same; delete the older one")


def test_agreement_is_of_the_entries_asked_for():
    require_agreement({Path("a"): {"x": 1, "y": 1}, Path("b"): {"x": 1, "y": 2}}, ("x",))
