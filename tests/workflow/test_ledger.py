"""What the ledger counts and where its estimates come from."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.shipped import shipped_config

from polyprune.errors import UserError
from polyprune.grammar.paths import Cell
from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings
from polyprune.workflow import costs
from polyprune.workflow.failures import failures_of
from polyprune.workflow.ledger import Line, cells_of, incomplete_outputs, ledger, show, total_in_words
from polyprune.workflow.prices import (
    GPU_RULES,
    benchmark_seconds,
    job_memory_mb,
    job_seconds,
    needed_mb,
    output_bytes,
)

ROOT = Path(__file__).parents[2]
WILDCARDS = {"model": "llama-3-8b", "method": "wanda", "scheme": "0.50", "calibration": "de", "seed": "0"}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(shipped_config())


def job(seed: int, rule: str = "prune_model") -> dict[str, Any]:
    output = f"results/llama-3-8b/wanda/0.50/de/seed{seed}/mask.safetensors"
    return {"rule": rule, "wildcards": WILDCARDS | {"seed": str(seed)}, "output": [output]}


def test_targets_are_studies_tables_figures_and_cells(settings: Settings) -> None:
    assert len(cells_of(settings, ["paper"])) == 362
    assert len(cells_of(settings, ["results/table12.parquet"])) == 21
    assert len(cells_of(settings, ["results/figure3.pdf"])) == 2
    assert len(cells_of(settings, ["results/table1.parquet", "results/table2.parquet"])) == 84
    assert len(cells_of(settings, [])) == len(cells_of(settings, ["paper", "demo"]))
    (cell,) = cells_of(settings, ["results/llama-3-8b/wanda/0.65/sw/seed7/perplexity.parquet"])
    assert cell == Cell("llama-3-8b", "wanda", "0.65", "sw", 7)
    with pytest.raises(UserError, match=r"did you mean 0\.50"):
        cells_of(settings, ["results/llama-3-8b/wanda/0.5/sw/seed7/perplexity.parquet"])
    with pytest.raises(UserError, match="is not a study, a table, a figure or a cell"):
        cells_of(settings, ["results/llama-3-8b/model.json"])


def test_benchmark_records_win_over_the_formula(settings: Settings, tmp_path: Path) -> None:
    formula = costs.compression_flops(settings.models["llama-3-8b"], "wanda") / settings.engine.planning_flops
    assert job_seconds(job(0), settings, {}) == (pytest.approx(formula), "formula")
    for seed, seconds in enumerate((100.0, 300.0, 170.0)):
        folder = tmp_path / f"logs/llama-3-8b/wanda/0.50/de/seed{seed}"
        folder.mkdir(parents=True)
        (folder / "prune_model.benchmark.jsonl").write_text(json.dumps({"s": seconds}) + "\n")
        (folder / "evaluation").mkdir()
        (folder / "evaluation/arc.benchmark.jsonl").write_text(json.dumps({"s": 7.0}) + "\n")
    records = benchmark_seconds(tmp_path / "logs")
    assert job_seconds(job(0), settings, records) == (170.0, "benchmark")
    evaluation = {"rule": "evaluate_model", "wildcards": WILDCARDS | {"benchmark": "arc"}, "output": []}
    assert job_seconds(evaluation, settings, records) == (7.0, "benchmark")
    evaluation["wildcards"] = WILDCARDS | {"benchmark": "mmlu"}
    assert job_seconds(evaluation, settings, records)[1] == "formula"


def test_a_bundle_of_dumps_costs_a_pass_of_the_dense_model_and_one_a_cell(settings: Settings) -> None:
    model, rate = settings.models["llama-3-8b"], settings.engine.planning_flops

    def dump(rule: str, wildcards: dict[str, str], variants: list[str]) -> dict[str, Any]:
        folders = [f"results/llama-3-8b/{variant}/hidden_states/mc4" for variant in variants]
        output = [f"{folder}/{language}.h5" for folder in folders for language in ("de", "en")]
        return {"rule": rule, "wildcards": wildcards, "output": output}

    some = {name: WILDCARDS[name] for name in ("model", "method", "scheme")}
    bundle = dump(
        "dump_cells_mc4_0f3a97c1", some, ["wanda/0.50/de/seed0", "wanda/0.50/en/seed0", "wanda/0.50/zh/seed0"]
    )
    mixed = dump("dump_mixed_mc4_9", {"model": "llama-3-8b"}, ["wanda/0.50/de/seed0", "ria/0.50/de/seed0"])
    alone = dump("dump_cell_mc4", WILDCARDS, ["wanda/0.50/de/seed0"])
    dense = dump("dump_dense_mc4", {"model": "llama-3-8b"}, ["dense"])
    one_pass = costs.dump_flops(model, 7, 0) / rate
    for job_of, passes in ((bundle, 4), (mixed, 3), (alone, 2), (dense, 1)):
        assert job_seconds(job_of, settings, {}) == (pytest.approx(passes * one_pass), "formula")


@pytest.mark.parametrize(
    ("folder", "log", "rule"),
    [
        ("dense", "hidden_states/mc4", "dump_dense_mc4"),
        ("dense", "hidden_states/belebele", "dump_dense_belebele"),
        ("dense", "evaluation/arc", "evaluate_dense"),
        ("dense", "activations/mc4/de", "count_activations_dense"),
        ("dense", "measure_routing_dense", "measure_routing_dense"),
        ("wanda/0.50/de/seed0", "measure_routing_cell", "measure_routing_cell"),
        ("dense", "measure_activation_ranges", "measure_activation_ranges"),
        ("wanda/0.50/de/seed0", "remove_experts", "remove_experts"),
        ("self_written/de+self/seed0", "write_text", "write_text"),
        ("wanda/0.50/de/seed0", "hidden_states/mc4", "dump_cell_mc4"),
        ("wanda/0.50/de/seed0", "hidden_states/mc4-bundle", "dump_cells_mc4_0f3a97c1"),
        ("wanda/0.50/de/seed0", "hidden_states/mc4-mixed", "dump_mixed_mc4_0f3a97c1"),
        ("wanda/0.50/de/seed0", "hidden_states/belebele", "dump_cell_belebele"),
        ("wanda/0.50/de/seed0", "activations/mc4/de", "count_activations_cell"),
        ("wanda/0.50/de/seed0", "prune_model", "prune_model"),
    ],
)
def test_the_record_of_every_job_on_a_gpu_is_found(
    folder: str, log: str, rule: str, settings: Settings, tmp_path: Path
) -> None:
    """For the same rule, model and method; and no other."""
    path = tmp_path / "logs/llama-3-8b" / folder / f"{log}.benchmark.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"s": 11.0}) + "\n")
    wildcards = {"model": "llama-3-8b"} if folder == "dense" or "mixed" in rule else WILDCARDS
    if folder.startswith("self_written"):
        wildcards = {name: WILDCARDS[name] for name in ("model", "calibration", "seed")}
    wildcards |= {"benchmark": "arc"} if "evaluation" in log else {}
    records = benchmark_seconds(tmp_path / "logs")
    assert job_seconds({"rule": rule, "wildcards": wildcards, "output": []}, settings, records) == (11.0, "benchmark")
    assert list(records.values()) == [11.0]
    job_of = {"rule": rule, "wildcards": wildcards, "output": []}
    assert job_memory_mb(job_of, settings, {}) > 1500
    path.with_name(f"{Path(log).name}.memory.json").write_text('{"needed_mb": 77.0, "peak_mb": 99.0}')
    assert job_memory_mb(job_of, settings, needed_mb(tmp_path / "logs")) == 77.0
    assert list(needed_mb(tmp_path / "logs").values()) == [77.0]


def test_records_of_other_jobs_do_no_harm(tmp_path: Path) -> None:
    for name in ("tiny-llama/train_model", "tiny-llama/wanda/0.50/de/seed0/export_model"):
        path = tmp_path / f"{name}.benchmark.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"s": 3.0}) + "\n")
    found = {("train_model", "tiny-llama", ""): 3.0, ("export_model", "tiny-llama", "wanda"): 3.0}
    assert benchmark_seconds(tmp_path) == found


def test_activations_cost_one_pass_over_their_tokens(settings: Settings) -> None:
    counting = {"rule": "count_activations_dense", "wildcards": {"model": "llama-3-8b"}, "output": ["de.h5"]}
    shape, n_tokens = settings.models["llama-3-8b"].sizes, settings.analysis.activation_tokens
    expected = costs.forward_flops(shape, n_tokens, 8192) / settings.engine.planning_flops
    assert job_seconds(counting, settings, {}) == (pytest.approx(expected), "formula")
    assert output_bytes(counting, settings) == 8 * 32 * (8 * 3 * 14336 + 2 * 2 * 4096)


def test_routing_costs_one_pass_over_the_same_tokens_in_every_language(settings: Settings) -> None:
    counting = {"rule": "measure_routing_dense", "wildcards": {"model": "llama-3-8b"}, "output": ["routing.parquet"]}
    shape, n_tokens = settings.models["llama-3-8b"].sizes, settings.analysis.activation_tokens
    n_languages = len(settings.languages_of("llama-3-8b"))
    expected = n_languages * costs.forward_flops(shape, n_tokens, 8192) / settings.engine.planning_flops
    assert job_seconds(counting, settings, {}) == (pytest.approx(expected), "formula")
    assert output_bytes(counting, settings) == 1e6


def test_every_rule_that_asks_for_a_gpu_keeps_a_record_and_is_in_the_ledger() -> None:
    """The ledger knows rules by the beginnings of their names."""
    names: list[str] = []
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^ *(?=rule\b)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            if "threads: needs.threads" in text:
                assert "benchmark.jsonl" in text, text[:100]
                names += re.findall(r'^rule (\w+):|name:\s+(?:f"(\w+)|(dump)\.rule)', text)[0]
    assert {name for name in names if name} and all(name.startswith(GPU_RULES) for name in names if name)


@pytest.mark.parametrize("rule", ["measure_outliers", "measure_correlations"])
def test_a_pass_for_layers_sparsities_costs_what_a_cell_of_the_same_passes_costs(
    rule: str, settings: Settings, tmp_path: Path
) -> None:
    place = {"model": "llama-3-8b", "calibration": "de", "seed": "0"}
    measuring = {"rule": rule, "wildcards": place, "output": ["x.json"]}
    assert job_seconds(measuring, settings, {}) == job_seconds(job(0), settings, {})
    assert 0 < output_bytes(measuring, settings) < 1e6
    folder = tmp_path / "logs/llama-3-8b/calibration/de/seed0"
    folder.mkdir(parents=True)
    (folder / f"{rule}.benchmark.jsonl").write_text(json.dumps({"s": 9.0}) + "\n")
    assert job_seconds(measuring, settings, benchmark_seconds(tmp_path / "logs")) == (9.0, "benchmark")


def test_a_composed_cell_takes_room_and_no_gpu(settings: Settings) -> None:
    composed = job(0, "compose_masks")
    composed["wildcards"] = WILDCARDS | {"scheme": "0.50-layer1-from-en"}
    composed["output"] = ["results/llama-3-8b/wanda/0.50-layer1-from-en/de/seed0/mask.safetensors"]
    cell = Cell("llama-3-8b", "wanda", "0.50-layer1-from-en", "de", 0)
    _, line, _ = ledger(settings, [cell], [composed], set())
    assert (line.outstanding, line.gpu_hours, line.sources) == (1, 0, set())
    assert line.gigabytes == pytest.approx(settings.models["llama-3-8b"].sizes.linear_weights / 8 / 1e9)


def test_cells_are_done_begun_or_outstanding(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = [Cell("llama-3-8b", "wanda", "0.50", "de", seed) for seed in range(3)]
    begun = job(1)["output"][0]
    marker = tmp_path / ".snakemake/incomplete" / base64.b64encode(begun.encode()).decode().rstrip("=")
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert incomplete_outputs(marker.parent) == {begun}
    _, line, total = ledger(settings, cells, [job(1), job(2)], incomplete_outputs(marker.parent))
    assert (line.done, line.incomplete, line.outstanding) == (1, 1, 1)
    one = costs.compression_flops(settings.models["llama-3-8b"], "wanda") / settings.engine.planning_flops / 3600
    assert line.gpu_hours == total.gpu_hours == pytest.approx(2 * one)
    assert line.gigabytes == pytest.approx(2 * settings.models["llama-3-8b"].sizes.linear_weights / 8 / 1e9)
    assert line.sources == {"formula"}


def later(seed: int) -> dict[str, Any]:
    """A job of the same cell that has not begun."""
    output = f"results/llama-3-8b/wanda/0.50/de/seed{seed}/drift.parquet"
    return {"rule": "measure_drift", "wildcards": WILDCARDS | {"seed": str(seed)}, "output": [output]}


@pytest.mark.parametrize("order", [1, -1], ids=["later job last", "later job first"])
def test_a_cell_is_begun_while_one_of_its_jobs_is_at_work(settings: Settings, order: int) -> None:
    """Whatever else of the cell is still to come."""
    cells = [Cell("llama-3-8b", "wanda", "0.50", "de", 0)]
    _, line, _ = ledger(settings, cells, [job(0), later(0)][::order], {job(0)["output"][0]})
    assert (line.done, line.incomplete, line.outstanding) == (0, 1, 0)


def test_an_uncompressed_model_that_still_costs_is_outstanding(settings: Settings) -> None:
    cells = [Cell("llama-3-8b", "wanda", "0.50", "de", 0)]
    dump = {
        "rule": "dump_dense_mc4",
        "wildcards": {"model": "llama-3-8b"},
        "output": ["results/llama-3-8b/dense/hidden_states/mc4/de.h5"],
    }
    counts = [
        (dense.method, dense.done, dense.incomplete, dense.outstanding, dense.gpu_hours > 0, total.done)
        for jobs, begun in (([], set()), ([dump], set()), ([dump], set(dump["output"])))
        for dense, _, total in [ledger(settings, cells, jobs, begun)]
    ]
    assert counts == [("dense", 1, 0, 0, False, 2), ("dense", 0, 0, 1, True, 1), ("dense", 0, 1, 0, True, 1)]


@pytest.mark.parametrize("at_work", [True, False])
def test_an_uncompressed_model_is_begun_while_it_is_trained_or_fetched(settings: Settings, at_work: bool) -> None:
    made = {"rule": "train_model", "wildcards": {"model": "tiny-llama"}, "output": ["results/tiny-llama/model.json"]}
    cells = [Cell("tiny-llama", "wanda", "0.50", "de", 0)]
    dense, *_ = ledger(settings, cells, [made], set(made["output"]) if at_work else set())
    assert (dense.done, dense.incomplete, dense.outstanding) == (0, at_work, not at_work)


def test_the_total_in_words_divides_hours_by_gpus(settings: Settings) -> None:
    *_, total = ledger(settings, [Cell("llama-3-8b", "wanda", "0.50", "de", 0)], [job(0)], set())
    total.gpu_hours, total.gigabytes = 960.0, 1234.5
    assert total_in_words(total) == (
        "cells and uncompressed models: 1 done, 0 begun, 1 outstanding; "
        "960.0 GPU-hours (40.0 days at 1 GPU, 5.0 days at 8 GPUs, at best), 1,234.5 GB"
    )
    total.gpu_hours = 0.0
    assert total_in_words(total).endswith("; no GPU needed, 1,234.5 GB")


def test_jobs_that_failed_say_why_and_what_to_type(tmp_path: Path) -> None:
    """Not those at work again, nor those whose log ends well; an unexpected error by its exception."""
    said = {
        0: "2026-11-28 10:00:00,123 INFO layer 1\n"
        "2026-11-28 10:00:01,000 ERROR error: the disk is full: free 3 GB\n  or name another\n",
        1: "2026-11-28 10:00:00,123 INFO done in 3 s\n",
        2: "2026-11-28 10:00:00,123 ERROR unexpected error, please report it with x.log:\n"
        "Traceback (most recent call last):\n  File ...\nValueError: odd\n",
        3: "2026-11-28 10:00:00,123 ERROR error: gone\n",
    }
    jobs = []
    for seed, text in said.items():
        log = tmp_path / f"{seed}.log"
        log.write_text(text, encoding="utf-8")
        jobs.append(job(seed) | {"log": [str(log)]})
    jobs.append(job(4) | {"log": [str(tmp_path / "none.log")]})
    found = failures_of(jobs, set(jobs[3]["output"]), ["--configfile", "mine.yaml"])
    assert [(each.rule, each.why) for each in found] == [
        ("prune_model", f"the disk is full: free 3 GB or name another ({tmp_path}/0.log)"),
        ("prune_model", f"unexpected error: ValueError: odd ({tmp_path}/2.log)"),
    ]
    output = jobs[0]["output"][0]
    assert found[0].command == f"snakemake --profile local --configfile mine.yaml -- {output}"


def test_names_are_whole_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    line = Line("llama-3.1-8b-instruct", "sparsegpt", "0.50-ends-from-dense", gigabytes=12345.6)
    show([line, Line()], [], 1e14)
    row = next(each for each in capsys.readouterr().out.splitlines() if "ends-from-dense" in each)
    words = [cell.strip() for cell in row.strip("│").split("│")]
    assert words[:3] == [line.model, line.method, line.scheme] and words[7] == "12,345.6"
