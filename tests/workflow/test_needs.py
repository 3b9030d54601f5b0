"""Memory, time and GPU of jobs, as Snakemake is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings
from polyprune.workflow.needs import Needs

LARGE = {"model": "llama-3-8b", "method": "sparsegpt", "calibration": "de", "benchmark": "mmlu"}


@pytest.fixture(scope="module")
def settings() -> Settings:
    root = Path(__file__).parents[2]
    config: dict[str, Any] = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    tiny = config["models"]["llama-3-8b"] | {"shape": config["models"]["llama-3-8b"]["shape"] | {"layers": 1}}
    config["models"]["small"] = tiny | {
        "shape": tiny["shape"] | {"hidden": 64, "intermediate": 64, "heads": 4, "kv_heads": 4}
    }
    config["engine"] = {**config.get("engine", {}), "device": "cuda"}  # as on a cluster: no CPU chooses a dtype
    return load_settings(config)


@pytest.mark.parametrize("kind", ["compression", "dump", "evaluation", "small"])
def test_every_attempt_asks_for_more(settings: Settings, kind: str) -> None:
    needs = Needs(settings, None, None)
    resources = {
        "compression": needs.compression(),
        "dump": needs.dump("dump_cells_demo", 2),
        "evaluation": needs.evaluation(),
        "small": needs.small(1000, 60),
    }[kind]
    for name in ("mem_mb", "runtime"):
        first, second, third = (resources[name](LARGE, attempt) for attempt in (1, 2, 3))
        assert first > 0 and (second, third) == (2 * first, 3 * first)


def test_the_clusters_gpu_is_asked_for_by_jobs_that_want_one(settings: Settings) -> None:
    resources = Needs(settings, "a100", "nvlink").dump("dump_cell_demo", 1)
    small = LARGE | {"model": "small"}
    assert [resources[name](LARGE) for name in ("gpu", "gpu_model", "constraint")] == [1, "a100", "nvlink"]
    assert [resources[name](small) for name in ("gpu", "gpu_model", "constraint")] == [0, None, None]
    assert Needs(settings, None, None).threads(LARGE) == 4 and Needs(settings, None, None).threads(small) == 1


def test_more_cells_need_more_memory_and_time_and_grams_more_than_none(settings: Settings) -> None:
    needs = Needs(settings, None, None)
    for name in ("mem_mb", "runtime"):
        assert needs.dump("dump", 6)[name](LARGE, 1) > needs.dump("dump", 1)[name](LARGE, 1)
        assert needs.compression()[name](LARGE, 1) > needs.compression()[name](LARGE | {"method": "wanda"}, 1)
        more = LARGE | {"calibration": "de+n2048"}
        assert needs.compression()[name](more, 1) > needs.compression()[name](LARGE, 1)


@pytest.mark.parametrize("rule", ["measure_outliers", "measure_correlations"])
def test_what_layers_sparsities_follow_from_costs_like_wanda(rule: str, settings: Settings) -> None:
    needs = Needs(settings, None, None)
    without_method = {"model": "llama-3-8b", "calibration": "de"}
    for name in ("mem_mb", "runtime"):
        assert needs.allocation(rule)[name](without_method, 1) == needs.compression()[name](
            LARGE | {"method": "wanda"}, 1
        )


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("llama-3-8b/sparsegpt/0.50/de/seed0/reconstruct_model", "compression"),
        ("llama-3-8b/sparsegpt/0.50/de/seed0/hidden_states/mc4-bundle", "dump"),
        ("llama-3-8b/sparsegpt/0.50/de/seed0/evaluation/mmlu", "evaluation"),
    ],
)
def test_memory_is_what_such_jobs_needed_with_room(
    settings: Settings, log: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two seeds the most, a quarter more; of another method, model or kind of job the formula's."""
    monkeypatch.chdir(tmp_path)

    def asked() -> dict[str, Any]:
        needs = Needs(settings, None, None)
        return {"compression": needs.compression(), "dump": needs.dump("dump_cells_mc4_1a2b", 3),
                "evaluation": needs.evaluation()}  # fmt: skip

    def of(kinds: dict[str, Any], wildcards: dict[str, str]) -> dict[str, int]:
        without = {name: value for name, value in wildcards.items() if name != "benchmark"}
        return {
            name: found["mem_mb"](wildcards if name == "evaluation" else without, 1) for name, found in kinds.items()
        }

    others = [LARGE | {"method": "wanda"}, LARGE | {"model": "aya-23-8b"}]
    before, of_others = of(asked(), LARGE), [of(asked(), other) for other in others]
    for seed, needed in (("seed0", 40000.0), ("seed1", 50001.0)):
        record = Path(f"logs/{log.replace('seed0', seed)}.memory.json")
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"needed_mb": needed, "peak_mb": 90000.0, "mapped_mb": 80000.0, "s": 1.0}))
    assert of(asked(), LARGE) == before | {kind: 62502}
    assert [of(asked(), other) for other in others] == of_others
    assert asked()[kind]["mem_mb"](LARGE if kind == "evaluation" else dict(list(LARGE.items())[:3]), 2) == 125004


def test_records_of_less_than_the_formula_change_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be of the warm worker, which had the libraries in memory before."""
    monkeypatch.chdir(tmp_path)
    for model in ("small", "llama-3-8b"):
        wildcards = {"model": model, "method": "wanda", "calibration": "de"}
        formula = Needs(settings, None, None).compression()["mem_mb"](wildcards, 1)
        record = Path(f"logs/{model}/wanda/0.50/de/seed0/prune_model.memory.json")
        record.parent.mkdir(parents=True)
        record.write_text('{"needed_mb": 400.0}')
        assert Needs(settings, None, None).compression()["mem_mb"](wildcards, 1) == formula
