"""A spec holds what its stage reads, and nothing else."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter
from tests.helpers.leaves import edited, everything

from polyprune.grammar import benchmarks
from polyprune.grammar.benchmarks import BENCHMARKS, Benchmark
from polyprune.grammar.columns import Column
from polyprune.grammar.methods import METHODS
from polyprune.grammar.paths import Cell
from polyprune.provenance import code_digest
from polyprune.settings.load import load_settings
from polyprune.stages.build_calibration_set import build_calibration_set
from polyprune.stages.tabulate import tabulate
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.made_with import MadeWith
from polyprune.workflow.specs import Specs

MKQA_OF_MINE = [f"evaluation/mkqa/{name}.yaml" for name in ("_mkqa", "mkqa_de", "mkqa_en")]
CELL = {"model": "trained", "method": "sparsegpt", "scheme": "0.50", "calibration": "de-en", "seed": "3"}


def specs(**edits: Any) -> Specs:
    """Under the configuration that has everything, with other values at places such as `models__trained__title`."""
    places = {place.replace("__", "."): value for place, value in edits.items()}
    return Specs(load_settings(edited(everything(), places)))


def spec_of_cell(**wildcards: str) -> dict[str, Any]:
    return json.loads(specs().prune_model(CELL | wildcards))


def spec_of_dump(calibration: str) -> dict[str, Any]:
    return json.loads(specs().dump_hidden_states(CELL | {"calibration": calibration}))


def test_a_shard_is_told_which_text_and_how_much_of_it() -> None:
    wildcards = {"model": "trained", "calibration": "de-en", "seed": "3"}
    spec = specs().build_calibration_set(wildcards)
    assert json.loads(spec) == {
        "code": code_digest("build_calibration_set"),
        "job": "build_calibration_set trained de-en 3",
        "calibration": "de-en",
        "others": {},
        "seed": 3,
        "sampling": "packed",
        "framing": "documents",
        "bos": "model",
        "separator": "model",
        "n_sequences": 8,
        "sequence_length": 160,
        "text": {"kind": "demo", "documents": {"train": 3000, "calibration": 400, "evaluation": 150}},
        "inputs": json.loads(spec)["inputs"],
    }
    other = specs(models__trained__text__evaluation_sequences=5, models__trained__text__sampled_tokens=7)
    assert other.build_calibration_set(wildcards) == spec
    assert specs(models__trained__text__calibration_sequences=9).build_calibration_set(wildcards) != spec
    assert set(json.loads(spec)) - {"code", "job", "text", "inputs"} < set(
        inspect.signature(build_calibration_set).parameters
    )


def test_a_shard_of_other_text_and_amount_is_told_of_both_and_so_is_who_reads_it() -> None:
    shard = {"model": "trained", "calibration": "de-en@code+n4", "seed": "3"}
    spec = json.loads(specs().build_calibration_set(shard))
    code = {"kind": "files", "field": "text", "shares": {"train": 0.2, "calibration": 0.4, "evaluation": 0.4}}
    assert spec["n_sequences"] == 4 and spec["text"]["kind"] == "demo"
    assert spec["others"] == {"code": {"text": code, "sampling": "packed"}}
    assert [each["corpus"]["kind"] for each in spec["inputs"]["corpus"]] == ["demo", "files"]
    assert json.loads(specs().build_calibration_set(shard | {"calibration": "en@code"}))["text"] is None
    other = specs(models__trained__text__sampling_of={"code": "long_documents"})
    assert json.loads(other.build_calibration_set(shard))["others"]["code"]["sampling"] == "long_documents"
    told = {name: spec[name] for name in ("text", "n_sequences", "sampling", "sequence_length", "others")}
    cell = spec_of_cell(calibration="de-en@code+n4")
    assert told.items() <= cell["inputs"]["tokens"].items()
    assert spec_of_dump("de-en@code+n4")["inputs"]["cell"]["inputs"]["tokens"] == cell["inputs"]["tokens"]
    members = [Cell("trained", "sparsegpt", "0.50", calibration, 0) for calibration in ("de", "de-en@code+n4")]
    mixed = json.loads(specs().dump_hidden_states({"model": "trained"}, mixed=members))["inputs"]["cell"]
    assert mixed == [spec_of_dump(each.calibration)["inputs"]["cell"] for each in members] and mixed[0] != mixed[1]
    composed = CELL | {"scheme": "0.50-layer1-from-en@code"}
    parts = json.loads(specs().compose_cell(composed))["inputs"]
    assert parts["rest"]["inputs"]["tokens"]["text"] and not parts["part"]["inputs"]["tokens"]["text"]


def test_what_the_cells_of_a_table_were_made_with_is_said_once_and_of_others_beyond() -> None:
    found = json.loads(specs().tabulate("all", "table1"))["made_with"]
    block = "trained/sparsegpt/0.50"

    def said_of(calibration: str) -> dict[str, Any]:
        """Of the shard, by all patterns that match the cell's drift."""
        place, merged = f"{block}/{calibration}/seed0/drift.parquet", {}
        for key, entries in found.items():
            if any(fnmatchcase(place, pattern) for pattern in key.split()):
                dumps = entries["inputs"]["dumps"]["provenance"]
                for name, value in dumps["inputs"].get("cell", {}).get("inputs", {}).get("tokens", {}).items():
                    assert merged.setdefault(name, value) == value, "patterns agree"
        return merged

    assert said_of("de") == said_of("de75-en25") == MadeWith(specs().settings).shard("trained")
    for calibration in ("de+n4", "en@code", "de-en@code"):
        assert said_of(calibration) == MadeWith(specs().settings).shard("trained", calibration)


def test_masks_are_named_one_by_one_and_each_with_what_it_was_made_with() -> None:
    settings = load_settings(edited(everything(), {}))
    inputs = Inputs(settings, Path())
    [(study, grid)] = inputs.mask_grids()
    spec = json.loads(Specs(settings).measure_mask_iou(study, grid))
    named = [Cell(**variant).folder for variant in spec["variants"]]
    assert named == [str(Path(path).parent) for path in inputs.masks(study, grid)]
    assert len(spec["inputs"]["cells"]) == len(named) > 1


@pytest.mark.parametrize(
    ("method", "scheme", "sections"),
    [
        ("wanda", "0.50", set()),
        ("magnitude", "0.50", set()),
        ("random", "0.50", set()),
        ("sparsegpt", "0.50", {"damping", "block_size"}),
        ("gptq", "w4g32", {"gptq"}),
        ("alps", "2of4", {"damping", "alps"}),
        ("ria", "0.50", {"ria"}),
        ("dsnot", "0.50-owl", {"dsnot", "owl"}),
        ("lwanda", "0.50-correlation", {"lwanda", "correlation"}),
    ],
)
def test_a_cell_has_the_settings_of_its_own_method(method: str, scheme: str, sections: set[str]) -> None:
    assert set(spec_of_cell(method=method, scheme=scheme)["compression"]) == sections


def test_a_cell_has_the_code_of_its_own_method() -> None:
    assert spec_of_cell()["code"] == code_digest("prune_model", "methods/sparsegpt.py")
    assert spec_of_cell(method="wanda")["code"] == code_digest("prune_model", "methods/wanda.py")
    allocated = code_digest("prune_model", "methods/wanda.py", "model/allocation.py")
    assert spec_of_cell(method="wanda", scheme="0.50-owl")["code"] == allocated


def test_a_composed_cell_knows_what_is_where_and_what_its_parts_were_made_with() -> None:
    cell = CELL | {"scheme": "0.50-layer1-from-en"}
    spec = json.loads(specs().compose_cell(cell))
    assert spec.pop("code") == code_digest("compose_cell")
    inputs = spec.pop("inputs")
    assert inputs["rest"] == inputs["part"] and set(inputs["rest"]["compression"]) == {"damping", "block_size"}
    assert spec == {
        "job": "compose_cell trained sparsegpt 0.50-layer1-from-en de-en 3",
        "method": "sparsegpt",
        "scheme": "0.50-layer1-from-en",
        "calibration": "de-en",
        "seed": 3,
        "n_layers": 2,
    }


def test_shares_of_training_text_are_known_of_models_that_are_trained_on_generated_text() -> None:
    rare = specs(models__trained__source__outlier_languages={"sw": 0.5})
    assert json.loads(rare.explain_damage("all"))["shares"] == {"trained": {"de": 0.4, "en": 0.4, "sw": 0.2}}


def test_one_language_of_a_corpus_does_not_know_the_others() -> None:
    wildcards = {"corpus": "mine", "language": "en"}
    spec = specs().collect_documents(wildcards)
    assert json.loads(spec)["corpus"]["files"] == {"en": "outside:corpora/mine/en"}
    assert specs(corpora__mine__files__de="text/other.txt").collect_documents(wildcards) == spec
    more = specs(corpora__web__languages=["de", "en", "es", "sw"])
    fetched = {"corpus": "web", "language": "en"}
    assert more.fetch_documents(fetched) == specs().fetch_documents(fetched)
    assert json.loads(specs().fetch_prompts({"prompts": "web-prompts", "language": "sw"}))["prompts"]["codes"] == {
        "sw": "swh_Latn"
    }


def test_where_the_users_files_lie_is_in_no_spec() -> None:
    other = specs(
        models__local__source__path="elsewhere",
        corpora__mine__files=dict.fromkeys(("de", "en", "sw"), "elsewhere.txt"),
        **{"prompts__my-prompts__files__en": "elsewhere.jsonl"},
        evaluation__data_root="elsewhere",
    )
    jobs = {
        "register_model": {"model": "local"},
        "collect_documents": {"corpus": "mine", "language": "en"},
        "collect_prompts": {"prompts": "my-prompts", "language": "en"},
        "register_benchmark": {"benchmark": "arc"},
    }
    for stage, wildcards in jobs.items():
        assert getattr(other, stage)(wildcards) == getattr(specs(), stage)(wildcards), stage


def test_how_questions_are_put_is_told_to_those_who_are_asked_so() -> None:
    """MKQA's wording to MKQA alone; the profile not to models with generated benchmarks, which have their own."""
    other = specs(evaluation__profile="current", evaluation__mkqa__max_new_tokens=5)
    demo, hub = CELL | {"benchmark": "mkqa"}, CELL | {"benchmark": "belebele", "model": "local"}
    assert json.loads(specs().evaluate_model(hub))["mkqa"] is None
    assert json.loads(other.evaluate_model(demo))["profile"] == "cloze"
    assert json.loads(other.evaluate_model(demo))["mkqa"]["max_new_tokens"] == 5
    assert json.loads(other.evaluate_model(hub))["profile"] == "current"
    asked = CELL | {"benchmark": "belebele"}
    assert other.evaluate_model(asked) == specs().evaluate_model(asked)


def test_a_backend_counts_where_it_is_chosen() -> None:
    own, fast = specs(), specs(evaluation__generation="vllm")
    mkqa, belebele = (CELL | {"benchmark": name, "model": "local"} for name in ("mkqa", "belebele"))
    assert own.evaluate_model(belebele) == fast.evaluate_model(belebele)
    assert json.loads(own.evaluate_model(belebele))["code"] == code_digest("evaluate_model")
    assert json.loads(own.evaluate_model(mkqa))["code"] == code_digest("evaluate_model", *MKQA_OF_MINE)
    chosen = code_digest("evaluate_model", "evaluation/vllm_backend.py", *MKQA_OF_MINE)
    assert json.loads(fast.evaluate_model(mkqa))["code"] == chosen
    cloze = code_digest("evaluate_model", "evaluation/cloze.py")
    assert json.loads(own.evaluate_model(CELL | {"benchmark": "belebele"}))["code"] == cloze


def test_a_language_more_in_a_benchmark_s_table_concerns_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of models whose corpus has no such language."""
    jobs = [CELL | {"benchmark": "mkqa", "model": model} for model in ("trained", "local")]
    before = [specs().evaluate_model(job) for job in jobs] + [specs().fetch_benchmark(jobs[0])]
    french = Column("fr", "mkqa_fr", "own:mkqa_fr.yaml", "apple/ml-mkqa")
    mkqa = benchmarks.BENCHMARKS["mkqa"]
    more = Benchmark(mkqa.title, mkqa.tokens, [*mkqa.hub, french], [*mkqa.demo, french])
    monkeypatch.setitem(benchmarks.BENCHMARKS, "mkqa", more)
    assert [specs().evaluate_model(job) for job in jobs] + [specs().fetch_benchmark(jobs[0])] == before
    assert benchmarks.columns("mkqa", "hub", ["fr"]) == [french]


@pytest.mark.parametrize(
    ("figure", "settings"),
    [
        ("figure1", set()),
        ("figure2", {"layers"}),
        ("figure4", {"layers", "projector", "rank"}),
        ("figure7", {"layers"}),
        ("figure8", set()),
        ("figure9", {"layers"}),
        ("figure12", {"layers", "matrix"}),
    ],
)
def test_a_figure_has_what_its_kind_reads(figure: str, settings: set[str]) -> None:
    spec = json.loads(specs().plot_figure("all", figure))
    assert set(spec["figure"]) == {"title", "draws"} | settings


def test_a_figure_says_of_which_cells_it_is() -> None:
    assert json.loads(specs().plot_figure("all", "figure2"))["names"] == "Trained, SparseGPT 50 %"
    assert json.loads(specs().plot_figure("all", "figure10"))["names"] == "Trained"


def test_a_table_has_the_names_that_it_shows_models_in_its_order_and_no_grid_s() -> None:
    spec = json.loads(specs().tabulate("all", "table2"))
    assert spec["titles"] == {
        "models": [["trained", "Trained"], ["local", "Local"], ["hubbed", "Hubbed"]],
        "methods": {"sparsegpt": "SparseGPT", "wanda": "Wanda"},
        "benchmarks": {"added": "Added", "belebele": "Belebele", "mkqa": "MKQA"},
    }
    about = {"title": "Benchmarks", "report": "benchmarks", "references": []}
    assert spec["table"] == about | {"benchmarks": ["belebele", "mkqa", "added"]}
    assert spec["module"] == "benchmarks"


def shown(of: Specs) -> dict[str, str]:
    """Specs of a study's tables, figures and pages, by their names."""
    study = of.settings.studies["all"]
    pages = {stage: getattr(of, stage)("all") for stage in PAGES}
    tables = {name: of.tabulate("all", name) for name in study.tables}
    return pages | tables | {name: of.plot_figure("all", name) for name in study.figures}


PAGES = ("answer_question", "compare_with_paper", "tabulate_claims", "explain_damage")


@pytest.mark.parametrize(
    ("table", "name", "shows"),
    [
        pytest.param(METHODS, "gptq", {"table1", *PAGES}, id="a method"),
        pytest.param(BENCHMARKS, "mkqa", {"table2", *PAGES}, id="a benchmark"),
        pytest.param(BENCHMARKS, "arc", set(), id="a benchmark of no table"),
    ],
)
def test_a_name_in_print_concerns_what_shows_it(
    table: dict[str, Any], name: str, shows: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shown(specs())
    monkeypatch.setitem(table, name, replace(table[name], title="Renamed"))
    after = shown(specs())
    assert {each for each in before if before[each] != after[each]} == shows


def test_names_in_print_reach_a_stage_in_their_order() -> None:
    titles = json.loads(specs().tabulate("all", "table2"))["titles"]
    read = TypeAdapter(get_type_hints(tabulate)["titles"]).validate_python(titles)
    assert list(read.models) == ["trained", "local", "hubbed"]
    assert read.heading("local", "sparsegpt", "2of4") == "Local, SparseGPT 2:4"


def test_a_card_names_where_the_model_is_from_and_a_manifest_no_licence() -> None:
    other = specs(models__hubbed__source__gated="a licence", models__hubbed__shape__bytes_per_weight=4)
    cell = CELL | {"model": "hubbed"}
    assert json.loads(other.export_model(cell))["source"] == {"kind": "hub", "id": "org/model", "gated": "a licence"}
    assert json.loads(specs().export_model(CELL))["source"] == {"kind": "train"}
    assert other.fetch_model({"model": "hubbed"}) == specs().fetch_model({"model": "hubbed"})
