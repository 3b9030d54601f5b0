"""Figures in the configuration: what a figure cannot draw is refused at once, what is shipped is complete."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.helpers.pictures import LANGUAGES
from tests.helpers.shipped import shipped_config

from polyprune.errors import UserError
from polyprune.report.figures.drawing import COLOURS, MARKERS, colour_of, marker_of
from polyprune.settings.load import load_settings
from polyprune.workflow.targets import check_target

CONFIG = shipped_config()


def changed(figure: str, **values: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    config["studies"]["demo"]["figures"][figure] |= values
    return config


@pytest.mark.parametrize("study", ["paper", "demo"])
def test_every_figure_of_the_paper_is_there(study: str):
    figures = load_settings(CONFIG).studies[study].figures
    assert {f"figure{number}" for number in range(1, 14)} <= set(figures)


@pytest.mark.parametrize(
    ("figure", "values", "complaint"),
    [
        ("figure1", {"layers": [1, 5]}, "figure1.layers.1: tiny-llama has 4 layers, counted from 1"),
        ("figure1", {"grids": ["subspace"]}, "figure1.grids.0: 'subspace' is not one of"),
        ("figure1", {"grids": ["main"]}, "figure1.grids: a figure draws one model and one method"),
        ("figure6", {"rank": 7}, "figure6.rank: at most 6, one less than the languages"),
        ("figure4", {"grids": ["neurons"]}, "figure4.grids: token_shift draws one scheme"),
        ("figure8", {"grids": ["neurons"]}, "figure8.grids: neuron_entropy draws one scheme"),
        ("figure11", {"grids": ["neurons"]}, "figure11.grids: mean_activations draws one scheme"),
        ("figure8", {"grids": ["subspaces"]}, "figure8.grids: neuron_entropy draws one calibration language and one"),
        ("figure11", {"matrix": None}, "figure11.matrix: mean_activations draws one matrix, other figures none"),
        ("figure11", {"layers": [1, 2]}, "figure11.layers: mean_activations draws one layer"),
        ("figure5", {"draws": "promt_shift"}, "figure5.draws: 'promt_shift' is not one of"),
        ("figure5", {"colour": "red"}, "figure5.colour: unknown key"),
    ],
)
def test_what_cannot_be_drawn_is_refused(figure: str, values: dict[str, Any], complaint: str):
    with pytest.raises(UserError) as refused:
        load_settings(changed(figure, **values))
    assert f"studies.demo.figures.{complaint}" in str(refused.value)


@pytest.mark.parametrize(
    ("draws", "seeds", "most"),
    [
        ("mask_iou", [0, 1], "one scheme"),
        ("neuron_overview", [0], "at most 3 schemes"),
        ("neuron_output", [0], None),
    ],
)
def test_no_more_schemes_than_a_figure_tells_apart(draws: str, seeds: list[int], most: str | None):
    """Four of them: as one, their numbers would lie on one another. Figures of the dense model show neither them
    nor methods.
    """
    config = copy.deepcopy(CONFIG)
    study = config["studies"]["demo"]
    schemes = ["0.20", "0.30", "0.40", "0.50"]
    study["grids"]["four"] = study["grids"]["neurons"] | {"schemes": schemes, "seeds": seeds}
    study["figures"]["figure99"] = {"title": "Four", "draws": draws, "grids": ["four"]}
    if most is None:
        study["grids"]["four"]["methods"] = ["wanda", "sparsegpt"]
        assert load_settings(config)
    else:
        with pytest.raises(UserError, match=f"figure99.grids: {draws} draws {most}"):
            load_settings(config)


def test_models_without_prompts_have_no_subspaces():
    config = copy.deepcopy(CONFIG)
    config["models"]["tiny-llama"]["prompts"] = None
    with pytest.raises(UserError, match=r"figures.figure1.draws: shift_overview needs `prompts` of model tiny-llama"):
        load_settings(config)
    config["models"]["tiny-llama"]["prompts"] = "belebel"
    with pytest.raises(UserError, match=r"tiny-llama.prompts: 'belebel' is .*did you mean belebele"):
        load_settings(config)
    config = copy.deepcopy(CONFIG)
    config["prompts"]["mc4"] = config["prompts"]["demo-belebele"]
    with pytest.raises(UserError, match="'mc4' is also a corpus"):
        load_settings(config)


def test_targets_of_figures_are_known():
    settings = load_settings(CONFIG)
    for target in ("results/figure13.pdf", "results/demo/figure1.png", "results/mask_iou/masks.parquet",
                   "results/prompts/belebele/de.parquet", "results/demo/mask_iou/masks.parquet"):  # fmt: skip
        check_target(target, settings)
    for target, complaint in (
        ("results/demo/figur1.pdf", "did you mean figure1"),
        ("results/prompts/beleble/de.parquet", "did you mean belebele"),
        ("results/prompts/belebele/xx.parquet", r"'xx' is not one of .* \(prompts belebele\)"),
    ):
        with pytest.raises(UserError, match=complaint):
            check_target(target, settings)


def test_each_language_has_a_colour_and_marker_of_its_own():
    languages = ["ar", "de", "en", "es", "fr", "ja", "ru", "sw", "zh"]
    assert len({colour_of(each, languages) for each in languages}) == len(languages)
    assert len({marker_of(each, languages) for each in languages}) == len(languages)
    both = {(colour_of(each, LANGUAGES), marker_of(each, LANGUAGES)) for each in LANGUAGES}
    assert len(both) == len(LANGUAGES) == 20
    for few in (["de"], ["de", "zh"], languages):
        assert colour_of("de", few) == COLOURS["de"] and marker_of("de", few) == MARKERS["de"]
