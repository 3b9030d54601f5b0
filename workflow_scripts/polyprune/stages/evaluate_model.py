"""One variant on one benchmark in every language: the harness's tasks, our language model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval.api.metrics import pooled_sample_stderr
from lm_eval.evaluator import evaluate

from polyprune.artifacts.benchmark_data import load_manifest
from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.evaluations import is_finished, join_parts, save_part
from polyprune.benchmarks import Column, columns
from polyprune.errors import UserError
from polyprune.evaluation.language_model import SharedPrefixLM
from polyprune.evaluation.scoring import Weights
from polyprune.evaluation.tasks import PAPER, Prompting, brisk_harness, build_tasks, options_of
from polyprune.evaluation.vllm_backend import with_vllm
from polyprune.log import logger
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder, choose_device
from polyprune.model.source import locate, read_manifest
from polyprune.settings import Engine, Mkqa

_METRICS = {"mkqa": ("f1", "f1_ws", "em"), "mmlu": ("acc",)}
_CHOICE_METRICS = ("acc", "acc_norm")
"""What the harness reports for the other benchmarks."""
_STDERR_SAMPLES = 100
"""The harness computes standard errors only where it may bootstrap; those of means are closed-form all the same."""


def evaluate_model(
    model: Path,
    cell: list[Path],
    data: Path,
    benchmark: str,
    source: str,
    languages: list[str],
    profile: str,
    mkqa: Mkqa | None,
    generation: str | None,
    variant: dict[str, Any],
    scores: Path,
    items: Path,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `scores` and `items` (see `artifacts/evaluations.py`); finished languages stay beside until all are there.

    `cell` is the compressed weights, or empty for the dense model; `variant` holds the columns that name it. `mkqa` and
    `generation` are for that benchmark alone.
    """
    manifest = read_manifest(model)
    reader = CellReader(cell[0]) if cell else None
    if reader is not None and reader.metadata["model_digest"] != manifest["digest"]:
        raise UserError(
            f"{reader.path} was made from another version of this model than {model}; delete it and run again"
        )
    found = load_manifest(data)
    wanted = columns(benchmark, source, languages)
    if not wanted:
        raise UserError(f"{benchmark} has no task in {', '.join(languages)}")
    provenance = provenance | {
        "model_digest": manifest["digest"],
        "cell": None if reader is None else {key: value for key, value in reader.metadata.items() if key != "columns"},
        "data": dict(found.revisions),
        **{package: version(package) for package in ("lm_eval", "transformers", "datasets")},
    }
    parts = scores.with_name(scores.name + ".parts")
    missing = [column for column in wanted if not is_finished(parts, column.name, provenance)]
    if len(missing) < len(wanted):
        logger.info("%d of %d languages are finished from before", len(wanted) - len(missing), len(wanted))
    if missing:
        lm = _language_model(model, reader, generation, engine)
        asking = mkqa or Mkqa()
        prompting = Prompting(profile, asking.prompt, asking.max_new_tokens)
        facts = {
            "benchmark": benchmark,
            "profile": profile,
            "backend": generation or "own",
            "dtype": lm.weights.decoder.dtype_name,
            "harness": version("lm_eval"),
            "chat_template": lm.chat_template_digest,
            "unit": "1",
        }
        for column in missing:
            cache = data.parent / ".cache" / found.digest
            rows, answers = _evaluate_column(lm, benchmark, column, found.folder, cache, prompting)
            about = {"eval_language": column.name, "data_revision": found.revisions[column.dataset]}
            save_part(parts, column.name, [variant | facts | about | row for row in rows], answers, provenance)
            value = next(row for row in rows if row["headline"])
            logger.info(
                "%s: %s %.2f %% ± %.2f of %d questions",
                *(column.task, value["metric"], 100 * value["value"], 100 * value["stderr"], value["n"]),
            )
    join_parts(parts, [column.name for column in wanted], scores, items, provenance)


def _language_model(model: Path, reader: CellReader | None, generation: str | None, engine: Engine) -> SharedPrefixLM:
    weights = Weights(Decoder(open_model(model), choose_device(engine.device)), reader)
    lm = SharedPrefixLM(weights, locate(model), engine.tokens_per_batch)
    return with_vllm(lm) if generation == "vllm" else lm


def _evaluate_column(
    lm: SharedPrefixLM, benchmark: str, column: Column, folder: Path, cache: Path, prompting: Prompting
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Score rows and answers of one column."""
    tasks = build_tasks(column, folder, cache, prompting)
    with brisk_harness():
        results: Any = evaluate(
            lm,
            {"tasks": dict(tasks)},  # type: ignore[arg-type]
            bootstrap_iters=_STDERR_SAMPLES,
            apply_chat_template=lm.has_chat_template,
        )
        answers = [
            {"task": name, "eval_language": column.name} | item
            for name, task in tasks.items()
            for item in _items(task, results["samples"][name])
        ]
    headline = "acc" if benchmark != "mkqa" else "f1_ws" if prompting.profile == PAPER else "f1"
    rows = []
    for metric in _METRICS.get(benchmark, _CHOICE_METRICS):
        by_task = [
            {
                "task": name,
                "metric": metric,
                "value": float(results["results"][name][f"{metric},none"]),
                "stderr": _number(results["results"][name][f"{metric}_stderr,none"]),
                "n": len(results["samples"][name]),
                "task_version": str(results["versions"][name]),
            }
            for name in tasks
        ]
        rows += by_task if len(by_task) == 1 else [_pooled(column.task, by_task), *by_task]
    rows = [row | {"headline": row["task"] == column.task and row["metric"] == headline} for row in rows]
    return rows, answers


def _pooled(group: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All questions of the tasks as one, as the harness's groups weigh them."""
    sizes = [row["n"] for row in rows]
    value = sum(row["value"] * row["n"] for row in rows) / sum(sizes)
    stderr = float(pooled_sample_stderr([row["stderr"] for row in rows], sizes))
    return rows[0] | {"task": group, "value": value, "stderr": stderr, "n": sum(sizes)}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _items(task: Any, samples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The answers in the order of the documents."""
    for sample in sorted(samples, key=lambda sample: sample["doc_id"]):
        item = {"doc_id": sample["doc_id"], "doc_hash": sample["doc_hash"]}
        if task.OUTPUT_TYPE == "generate_until":
            yield item | {
                "correct": bool(sample["em"]),
                "f1": sample["f1"],
                "f1_ws": sample["f1_ws"],
                "answer": sample["filtered_resps"][0],
            }
            continue
        options, gold = options_of(task, sample["doc"])
        values = [float(value) for value, _ in sample["filtered_resps"]]
        yield item | {
            "gold": gold,
            "prediction": values.index(max(values)),
            "correct": bool(sample["acc"]),
            "log_likelihoods": values,
            "lengths": [len(option) for option in options],
        }
