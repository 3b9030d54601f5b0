"""The harness's answers on one column of a benchmark, as rows of scores and of items (`artifacts/evaluations.py`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lm_eval.api.metrics import pooled_sample_stderr
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate

from polyprune.errors import UserError
from polyprune.evaluation.language_model import SharedPrefixLM
from polyprune.evaluation.tasks import (
    PAPER_PROFILE,
    Prompting,
    brisk_harness,
    build_tasks,
    options_of,
    require_own_files,
)
from polyprune.grammar.columns import Asked, Column
from polyprune.provenance import digest

_METRICS = {"mkqa": ("f1", "f1_ws", "em"), "mmlu": ("acc",)}
_CHOICE_METRICS = ("acc", "acc_norm")
"""What the harness reports for the other benchmarks."""
_CHOICE = "multiple_choice"
_RIGHT_OR_WRONG = ("acc", "acc_norm", "acc_mutual_info", "acc_bytes", "exact_match", "em")
"""The harness's metrics that are 0 or 1 for each question."""
_CHANCE_APART = 0.005
_STDERR_SAMPLES = 100
"""The harness computes standard errors only where it may bootstrap; those of means are closed-form all the same."""


def evaluate_column(
    lm: SharedPrefixLM,
    benchmark: str,
    column: Column,
    folder: Path,
    cache: Path,
    prompting: Prompting,
    asked: Asked | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Score rows and answers of one column; `asked` of a benchmark of the configuration.

    Raises:
        UserError: its metric is none of the harness's for the task, or not in [0, 1] for each question; or its files
            were edited.
    """
    tasks = build_tasks(column, folder, cache, prompting)
    if asked is not None:
        require_own_files(column, asked)
        return _configured(lm, column, tasks, asked)
    with brisk_harness():
        results = _answered(lm, tasks)
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


def require_asked(column: Column, folder: Path, cache: Path, prompting: Prompting, asked: Asked) -> None:
    """Look at a column's questions before anything is asked.

    Raises:
        UserError: they are more or fewer than the configuration counts, or their options leave another chance; or the
            task's files were edited.
    """
    tasks = build_tasks(column, folder, cache, prompting).values()
    require_own_files(column, asked)
    wanted = asked.questions.get(column.language)
    n = sum(len(task.eval_docs) for task in tasks)
    if wanted is not None and n != wanted:
        raise UserError(
            f"{column.task} has {n:,} questions in {folder / column.dataset}, and `questions` says {wanted:,}: the "
            "data are of another version or not whole; correct one of them"
        )
    chosen = [task for task in tasks if task.OUTPUT_TYPE == _CHOICE]
    shares = [1 / len(options_of(task, doc)[0]) for task in chosen for doc in task.eval_docs]
    if shares and abs((found := sum(shares) / len(shares)) - asked.chance) > _CHANCE_APART:
        raise UserError(
            f"{column.task}: guessing among its options is right in {found:.3f} of the questions, and `chance` says "
            f"{asked.chance:.3f}; correct it"
        )


def _answered(lm: SharedPrefixLM, tasks: dict[str, ConfigurableTask], **how: Any) -> Any:
    """What the harness has to say of all of them, question by question."""
    return evaluate(
        lm,
        {"tasks": dict(tasks)},  # type: ignore[arg-type]
        bootstrap_iters=_STDERR_SAMPLES,
        apply_chat_template=lm.has_chat_template,
        **how,
    )


def _configured(
    lm: SharedPrefixLM, column: Column, tasks: dict[str, ConfigurableTask], asked: Asked
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The same of a benchmark of the configuration: one metric, under one of the task's filters of answers."""
    metric, _, chosen = asked.metric.partition(",")
    key = f"{metric},{chosen or 'none'}"
    with brisk_harness():
        results = _answered(lm, tasks, fewshot_as_multiturn=lm.has_chat_template)  # as the harness's command does
        rows, answers = [], []
        for name, task in tasks.items():
            found = results["results"][name]
            if key not in found:
                known = sorted(each.removesuffix(",none") for each in found if "," in each and "_stderr," not in each)
                raise UserError(f"task {name} has no metric {asked.metric}, only {', '.join(known)}: correct `metric`")
            samples = [each for each in results["samples"][name] if each["filter"] == (chosen or "none")]
            values = [float(sample[metric]) for sample in samples]
            if any(not 0 <= value <= 1 for value in values) or not math.isclose(
                sum(values) / len(values), found[key], abs_tol=1e-9
            ):
                raise UserError(
                    f"{metric} of task {name} is no mean of values in [0, 1], one a question; choose another"
                )
            row = {"task": name, "metric": metric, "value": float(found[key]), "n": len(samples)}
            stderr = _number(found[f"{metric}_stderr,{chosen or 'none'}"])
            rows.append(row | {"stderr": stderr, "task_version": str(results["versions"][name])})
            graded = metric not in _RIGHT_OR_WRONG
            answers += [
                {"task": name, "eval_language": column.name} | item for item in _items(task, samples, metric, graded)
            ]
    rows = rows if len(rows) == 1 else [_pooled(column.task, rows), *rows]
    return [row | {"headline": index == 0} for index, row in enumerate(rows)], answers


def _pooled(group: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All questions of the tasks as one, as the harness's groups weigh them."""
    sizes = [row["n"] for row in rows]
    value = sum(row["value"] * row["n"] for row in rows) / sum(sizes)
    stderr = float(pooled_sample_stderr([row["stderr"] for row in rows], sizes))
    return rows[0] | {"task": group, "value": value, "stderr": stderr, "n": sum(sizes)}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _items(
    task: Any, samples: list[dict[str, Any]], metric: str | None = None, graded: bool = False
) -> Iterator[dict[str, Any]]:
    """The answers in the order of the documents; `metric` of a benchmark of the configuration, `graded` if its values
    are shares.
    """
    for sample in sorted(samples, key=lambda sample: sample["doc_id"]):
        passage = sample["doc"].get("flores_passage")
        item = {
            "doc_id": sample["doc_id"],
            "doc_hash": sample["doc_hash"],
            "passage": None if passage is None else digest(passage),
        }
        if metric is not None:
            item |= {"correct": sample[metric] == 1, **({"f1": float(sample[metric])} if graded else {})}
        if metric is not None and task.OUTPUT_TYPE != _CHOICE:
            yield item | {"answer": str(sample["filtered_resps"][0])}
            continue
        if task.OUTPUT_TYPE == "generate_until":
            yield item | {
                "correct": bool(sample["em"]),
                "f1": sample["f1"],
                "f1_ws": sample["f1_ws"],
                "answer": sample["filtered_resps"][0],
            }
            continue
        options, gold = options_of(task, sample["doc"])
        values = [float(value) for value, _ in sample["filtered_resps"][: len(options)]]
        yield item | {
            "gold": gold,
            "prediction": values.index(max(values)),
            "correct": bool(sample["acc"]) if metric is None else item["correct"],
            "log_likelihoods": values,
            "lengths": [len(option) for option in options],
        }
