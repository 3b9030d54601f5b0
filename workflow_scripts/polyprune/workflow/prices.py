"""What a planned job will cost: seconds on a GPU, memory, and bytes. No torch.

Of seconds the median of the benchmark records of jobs of the same rule, model and method where there are some; else a
formula: operations over `engine.planning_flops`. Of memory the most that such a job needed, by its own records
(`running/memory.py`); else the formulas of `costs.py`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from polyprune.grammar.calibrations import PLAIN
from polyprune.log import MEMORY_RECORD
from polyprune.settings.config import Settings
from polyprune.workflow import costs
from polyprune.workflow.as_used import as_used
from polyprune.workflow.bundles import MIXED, record_key, recorded_rule

GPU_RULES = (
    *(
        "measure_outliers",
        "measure_correlations",
        "prune_model",
        "reconstruct_model",
        "dump",
        "count_activations",
        "measure_routing",
    ),
    "measure_activation_ranges",
    "remove_experts",
    "write_text",
    "evaluate",
)
"""Beginnings of the names of rules that ask for a GPU."""
COMPOSING = "compose_"
"""Of those that need none and write cells."""
EVALUATION_BYTES = 2e6
"""Scores and items of one benchmark, a few megabytes."""
IN_EACH_LANGUAGE = ("measure_routing", "measure_activation_ranges")
"""Beginnings of those that send the first evaluation text of every language through a model."""
IN_EACH_LANGUAGE_BYTES = 1e6
"""Of what they write: a row an expert, or a few a matrix, of each layer and language."""
ALLOCATION_BYTES = 1e4
"""A fraction a layer."""


Key = tuple[str, str, str]
"""Rule, model and method, as `record_key` has them."""


def benchmark_seconds(logs: Path = Path("logs")) -> dict[Key, float]:
    """Median seconds of finished jobs by rule, model and method, from `{rule}.benchmark.jsonl` files."""
    seconds: dict[Key, list[float]] = {}
    for path in sorted(logs.rglob("*.benchmark.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            key = _key_of(path.relative_to(logs), ".benchmark.jsonl")
            seconds.setdefault(key, []).append(float(json.loads(line)["s"]))
    return {key: statistics.median(values) for key, values in seconds.items()}


def needed_mb(logs: Path = Path("logs")) -> dict[Key, float]:
    """The most memory that finished jobs needed by rule, model and method, from `{rule}.memory.json` files."""
    found: dict[Key, float] = {}
    for path in sorted(logs.rglob(f"*{MEMORY_RECORD}")):
        with suppress(ValueError, KeyError):  # a job was killed while it wrote its record
            needed = float(json.loads(path.read_text(encoding="utf-8"))["needed_mb"])
            key = _key_of(path.relative_to(logs), MEMORY_RECORD)
            found[key] = max(needed, found.get(key, 0.0))
    return found


def _key_of(record: Path, ending: str) -> Key:
    """Of the job that a record, seen from the folder of logs, is of."""
    parts = list(record.parts)
    is_cell = len(parts) > 4 and parts[4].startswith("seed")
    variant = "cell" if is_cell else "dense"
    rule = record.name.removesuffix(ending)
    if parts[-2:-1] == ["hidden_states"]:
        rule = recorded_rule(rule, variant)
    elif parts[-2:-1] == ["evaluation"]:
        rule = f"evaluate_{rule}"
    elif parts[-3:-2] == ["activations"]:
        rule = f"count_activations_{variant}"
    return rule, parts[0], parts[1] if is_cell and not rule.startswith(MIXED) else ""


def job_seconds(job: Mapping[str, Any], settings: Settings, records: Mapping[Any, float]) -> tuple[float, str]:
    """Seconds a job will take, and whether a `benchmark` or the `formula` says so."""
    key = record_key(job["rule"], job["wildcards"])
    if key in records:
        return records[key], "benchmark"
    model = settings.models[job["wildcards"]["model"]]
    if job["rule"].startswith("dump"):
        flops = costs.dump_flops(model, len(settings.languages_of(job["wildcards"]["model"])), _n_cells(job))
    elif job["rule"].startswith("count_activations"):
        flops = costs.forward_flops(model.sizes, settings.analysis.activation_tokens, model.text.sequence_length)
    elif job["rule"].startswith(IN_EACH_LANGUAGE):
        tokens = settings.analysis.activation_tokens * len(settings.languages_of(job["wildcards"]["model"]))
        flops = costs.forward_flops(model.sizes, tokens, model.text.sequence_length)
    elif job["rule"].startswith("evaluate"):
        flops = costs.evaluation_flops(model, settings.all_benchmarks[job["wildcards"]["benchmark"]])
    elif job["rule"] == "write_text":
        flops = costs.writing_flops(model, job["wildcards"]["calibration"])
    else:
        flops = costs.compression_flops(model, *_compression(job))
    return flops / settings.engine.planning_flops, "formula"


def job_memory_mb(job: Mapping[str, Any], settings: Settings, needed: Mapping[Key, float]) -> float:
    """What a job needs: the most that one like it did (`needed_mb`), or what the formula says."""
    recorded = needed.get(record_key(job["rule"], job["wildcards"]))
    if recorded is not None:
        return recorded
    model = as_used(settings, job["wildcards"]["model"])
    if job["rule"].startswith("dump"):
        return costs.dump_memory_mb(model, _n_cells(job))
    if job["rule"].startswith("count_activations"):
        return costs.dump_memory_mb(model, 0)
    if job["rule"].startswith(("evaluate", "write_text")):
        return costs.evaluation_memory_mb(model)
    return costs.compression_memory_mb(model, *_compression(job))


def _compression(job: Mapping[str, Any]) -> tuple[str, str]:
    """Method and calibration of a cell; what other jobs cost like where they have none."""
    return job["wildcards"].get("method", costs.ALLOCATION_COSTS_LIKE), job["wildcards"].get("calibration", PLAIN)


def _n_cells(job: Mapping[str, Any]) -> int:
    """Cells of a dump: the folders that it writes into, unless it is of the dense model."""
    return len({path.rpartition("/")[0] for path in job["output"]}) if "dense" not in job["rule"] else 0


def output_bytes(job: Mapping[str, Any], settings: Settings) -> float:
    """Estimated size of what a job will write."""
    model = as_used(settings, job["wildcards"]["model"])
    if job["rule"].startswith("dump"):
        return len(job["output"]) * costs.dump_bytes(model)
    if job["rule"].startswith(("evaluate", "write_text")):
        return EVALUATION_BYTES
    if job["rule"] in ("measure_outliers", "measure_correlations"):
        return ALLOCATION_BYTES
    if job["rule"].startswith(IN_EACH_LANGUAGE):
        return IN_EACH_LANGUAGE_BYTES
    if job["rule"].startswith("count_activations"):
        return costs.activation_bytes(model)
    return costs.cell_bytes(model, job["wildcards"]["method"], job["wildcards"]["scheme"])
