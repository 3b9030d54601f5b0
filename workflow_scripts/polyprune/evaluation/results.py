"""The harness's answers on one column of a benchmark, as rows of scores and of items (`artifacts/evaluations.py`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lm_eval.api.metrics import pooled_sample_stderr
from lm_eval.evaluator import evaluate

from polyprune.evaluation.language_model import SharedPrefixLM
from polyprune.evaluation.tasks import PAPER_PROFILE, Prompting, brisk_harness, build_tasks, options_of
from polyprune.grammar.columns import Column
from polyprune.provenance import digest

_METRICS = {"mkqa": ("f1", "f1_ws", "em"), "mmlu": ("acc",)}
_CHOICE_METRICS = ("acc", "acc_norm")
"""What the harness reports for the other benchmarks."""
_STDERR_SAMPLES = 100
"""The harness computes standard errors only where it may bootstrap; those of means are closed-form all the same."""


def evaluate_column(
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
    headline = "acc" if benchmark != "mkqa" else "f1_ws" if prompting.profile == PAPER_PROFILE else "f1"
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
        passage = sample["doc"].get("flores_passage")
        item = {
            "doc_id": sample["doc_id"],
            "doc_hash": sample["doc_hash"],
            "passage": None if passage is None else digest(passage),
        }
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
