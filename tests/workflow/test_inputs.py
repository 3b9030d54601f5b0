"""Which files a job reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.leaves import everything

from polyprune.settings.load import load_settings
from polyprune.workflow.inputs import Inputs

INPUTS = Inputs(load_settings(everything()), Path("root"))
DENSE, CELL = "results/trained/dense", "results/trained/sparsegpt/0.50/de/seed0"
REMOVED = "results/trained/reap/0.50/de/seed0"


def test_a_shard_reads_the_text_of_its_languages() -> None:
    found = INPUTS.calibration_text({"model": "local", "calibration": "de-sw", "seed": "0"})
    assert found == ["results/corpora/mine/de.parquet", "results/corpora/mine/sw.parquet"]


@pytest.mark.parametrize(
    ("calibration", "found"), [("de", []), ("de+self", []), ("de+n4+chat", ["results/trained/prompting.json"])]
)
def test_a_shard_in_chat_reads_where_the_template_is_registered(calibration: str, found: list[str]) -> None:
    assert INPUTS.template({"model": "trained", "calibration": calibration, "seed": "0"}) == found


def test_a_model_is_trained_on_all_languages_of_its_corpus() -> None:
    assert INPUTS.training_text({"model": "trained"}) == [
        f"results/corpora/made/{language}.parquet" for language in ("de", "en", "sw")
    ]


@pytest.mark.parametrize(
    ("scheme", "found"), [("0.50", []), ("0.50-owl", ["outliers.json"]), ("0.50-correlation", ["correlations.json"])]
)
def test_sparsities_of_layers_follow_from_a_pass(scheme: str, found: list[str]) -> None:
    wildcards = {"model": "trained", "method": "wanda", "scheme": scheme, "calibration": "de", "seed": "0"}
    folder = "results/trained/calibration/de/seed0/"
    assert INPUTS.allocation(wildcards) == [folder + name for name in found]


def test_a_cell_is_weights_where_its_method_changes_them() -> None:
    wildcards = {"model": "trained", "method": "gptq", "scheme": "w4g32", "calibration": "de", "seed": "0"}
    assert INPUTS.cell(wildcards) == ["results/trained/gptq/w4g32/de/seed0/weights.safetensors"]
    bundle = ["{model}/{method}/{scheme}/de/seed0", "{model}/{method}/{scheme}/en/seed1"]
    assert INPUTS.cells(bundle)(wildcards | {"method": "ria"}) == [
        f"results/{variant}/mask.safetensors" for variant in bundle
    ]


@pytest.mark.parametrize(
    ("scheme", "rest", "part"),
    [
        ("0.50-ends-from-dense", "0.50/de/seed3", None),
        ("2of4-layers1to2-from-en", "2of4/de/seed3", "2of4/en/seed3"),
        ("0.70-owl-layer1-from-en-sw", "0.70-owl/de/seed3", "0.70-owl/en-sw/seed3"),
    ],
)
def test_a_composed_cell_reads_those_it_is_made_of(scheme: str, rest: str, part: str | None) -> None:
    wildcards = {"model": "trained", "method": "sparsegpt", "scheme": scheme, "calibration": "de", "seed": "3"}
    folder = "results/trained/sparsegpt"
    assert INPUTS.rest(wildcards) == [f"{folder}/{rest}/weights.safetensors"]
    assert INPUTS.part(wildcards) == ([f"{folder}/{part}/weights.safetensors"] if part else [])


def test_benchmarks_are_generated_for_models_of_generated_text_only() -> None:
    assert INPUTS.benchmark({"model": "trained", "benchmark": "arc"}) == "results/benchmarks/demo/arc.json"
    assert INPUTS.benchmark({"model": "local", "benchmark": "arc"}) == "results/benchmarks/hub/arc.json"


def test_a_study_is_explained_by_its_drift_its_benchmarks_and_its_models_prompts() -> None:
    assert INPUTS.explained() == ["all"]
    drift, benchmarks = (INPUTS.scores("all", kind) for kind in ("drift", "evaluation"))
    assert f"{CELL}/drift.parquet" in drift and f"{DENSE}/perplexity.parquet" in drift
    assert drift == INPUTS.measurements("all", "table1") and benchmarks == INPUTS.measurements("all", "table2")
    assert INPUTS.prompt_sets("all")[0] == "results/trained/prompts/made-prompts/de.safetensors"
    assert len(INPUTS.prompt_sets("all")) == 3 * 3


def test_a_table_of_scores_has_the_dense_models_and_the_cells_each_on_every_benchmark() -> None:
    found = INPUTS.measurements("all", "table2")
    variants = [
        f"results/{model}/{variant}"
        for model in ("trained", "local", "hubbed")
        for variant in ("dense", "wanda/0.50/de/seed0", "sparsegpt/0.50/de/seed0")
    ]
    assert sorted(found) == sorted(
        f"{each}/evaluation/{name}.parquet" for each in variants for name in ("added", "belebele", "mkqa")
    )


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("table3", ["results/all/mask_iou/masks.parquet"]),
        ("table4", ["results/all/mask_iou/masks.parquet"]),
        ("figure1", ["results/all/mask_iou/masks.parquet"]),
        ("figure2", [f"{CELL}/lsar.parquet"]),
        ("figure7", [f"{CELL}/lsar.parquet"]),
        ("figure8", [f"{DENSE}/lape.parquet", f"{CELL}/lape.parquet"]),
        ("figure10", [f"{DENSE}/lape.parquet"]),
        ("table6", [f"{DENSE}/routing.parquet", *(f"{each}/routing.parquet" for each in (CELL, REMOVED))]),
        ("figure13", [f"{DENSE}/routing.parquet", f"{REMOVED}/routing.parquet"]),
        ("figure15", [f"{DENSE}/activation_ranges.parquet"]),
        ("figure12", [f"{CELL}/mean_activations/made/de.parquet"]),
    ],
)
def test_what_a_table_or_figure_of_each_kind_is_made_from(name: str, files: list[str]) -> None:
    assert INPUTS.measurements("all", name) == files


def test_masks_are_compared_once_for_all_that_show_them() -> None:
    assert INPUTS.mask_grids() == [("all", "masks")]
    assert INPUTS.masks("all", "masks") == [
        f"results/trained/sparsegpt/0.50/{language}/seed{seed}/weights.safetensors"
        for language in ("de", "en")
        for seed in (0, 1)
    ]


def test_a_model_without_prompts_reads_none() -> None:
    config = everything()
    wildcards = {"model": "trained"}
    assert INPUTS.prompt_dumps("{model}/dense")(wildcards) == [
        f"{DENSE}/hidden_states/made-prompts/{language}.h5" for language in ("de", "en", "sw")
    ]
    config["models"]["trained"]["prompts"] = None
    config["studies"]["all"]["figures"] = {}
    assert Inputs(load_settings(config), Path()).prompt_dumps("{model}/dense")(wildcards) == []


def test_lape_is_over_the_languages_that_are_not_left_out() -> None:
    config = everything()
    config["analysis"]["lape_without"] = ["en"]
    found = Inputs(load_settings(config), Path()).activations("{model}/dense")({"model": "trained"})
    assert found == [f"{DENSE}/activations/made/{language}.h5" for language in ("de", "sw")]


def test_a_study_asks_for_its_results_its_cells_and_every_score() -> None:
    """So that a deleted cell or score is made again where the tables are finished."""
    found = INPUTS.study("all")
    assert {"results/all/table1.parquet", "results/all/figure12.pdf", f"{CELL}/weights.safetensors"} < set(found)
    assert set(INPUTS.measurements("all", "table1")) < set(found)
    assert len(found) == len(set(found))


def test_the_papers_own_numbers_belong_to_its_study() -> None:
    assert INPUTS.printed("paper", "table1") == ["root/data/paper/table1.csv"]
    assert INPUTS.printed("all", "table1") == []
