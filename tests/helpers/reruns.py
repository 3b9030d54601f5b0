"""Which kinds of job a setting makes again: the table of docs/reruns.md, from plans.

    PYTHONPATH=.:workflow_scripts python -m tests.helpers.reruns

writes it into the page.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.helpers.checkout import ROOT, copy_repository
from tests.helpers.leaves import Config, before_and_after, settings_of_types
from tests.helpers.planner import PlannedJob, entries, plans

PAGE = ROOT / "docs/reruns.md"
EXPORTED = ("trained", "local", "hubbed")
TARGETS = (
    "all",
    *(f"results/all/{answer}.parquet" for answer in ("best_calibration", "versus_paper", "claims", "why")),
    "results/all/report.html",
    *(f"results/{model}/sparsegpt/0.50/de/seed0/export/config.json" for model in EXPORTED),
)

KINDS = {
    "text": ("collect_documents", "collect_passages", "fetch_documents", "fetch_translations"),
    "ask": ("collect_prompts", "fetch_prompts"),
    "model": ("train_model", "fetch_model", "convert_model", "register_model", "register_prompting"),
    "shard": ("build_calibration_set", "write_text"),
    "eval": ("build_evaluation_set",),
    "asked": ("build_prompt_set",),
    "layers": ("measure_outliers", "measure_correlations"),
    "cell": ("prune_model", "remove_experts", "compose_cell", "register_checkpoint", "import_cell"),
    "export": ("export_model",),
    "dump": ("dump_hidden_states",),
    "states": ("dump_prompts",),
    "acts": ("count_activations",),
    "drift": ("measure_drift",),
    "lsar": ("measure_lsar",),
    "lape": ("measure_lape",),
    "routes": ("measure_routing", "measure_activation_ranges"),
    "means": ("measure_mean_activations",),
    "iou": ("measure_mask_iou", "compare_masks"),
    "bench": ("generate_benchmark", "fetch_benchmark", "register_benchmark"),
    "score": ("evaluate_model",),
    "table": ("tabulate",),
    "figure": ("plot_figure",),
    "answer": ("answer_question", "compare_with_paper", "tabulate_claims", "explain_damage"),
    "page": ("write_report",),
}
"""Stages by the column of the table that they are in."""

GENERATED = "<!-- Generated from here on: PYTHONPATH=.:workflow_scripts python -m tests.helpers.reruns -->\n"

ITSELF, FOLLOWS, NEW = "●", "○", "+"
Marks = dict[str, str]
"""Kind of job and what the setting does to jobs of the kind."""


def kind_of(stage: str) -> str:
    return next(kind for kind, stages in KINDS.items() if stage in stages)


def marks(before: Iterable[PlannedJob], after: Sequence[PlannedJob]) -> Marks:
    """What is planned under settings `after` where all jobs of `before` are finished.

    As Snakemake decides: a job is made again that writes a file which was there, from another spec or other inputs, or
    one of whose inputs is made again.
    """
    finished = {file: job for job in before for file in job.outputs}
    made = {file: job for job in after for file in job.outputs}
    found = {job: mark for job in after if (mark := _by_itself(job, finished))}
    waiting = list(found)
    readers: dict[PlannedJob, list[PlannedJob]] = {}
    for job in after:
        for file in job.inputs & made.keys():
            readers.setdefault(made[file], []).append(job)
    while waiting:
        for reader in readers.get(waiting.pop(), []):
            if reader not in found:
                found[reader] = FOLLOWS
                waiting.append(reader)
    by_kind = {kind: {mark for job, mark in found.items() if kind_of(job.stage) == kind} for kind in KINDS}
    return {kind: _joined(marks) for kind, marks in by_kind.items() if marks}


def _by_itself(job: PlannedJob, finished: Mapping[str, PlannedJob]) -> str | None:
    known = [finished[file] for file in job.outputs if file in finished]
    if not known:
        return NEW
    asked = (own_entries(job), job.inputs)
    same = len(known) == len(job.outputs) and all(asked == (own_entries(was), was.inputs) for was in known)
    return None if same else ITSELF


def own_entries(job: PlannedJob) -> Any:
    """What of a spec is the job's own: not what its inputs are to be made with, which are then made again, too."""
    spec = entries(job.spec)
    of_inputs = OF_INPUTS - {"self_written"} if job.stage == "write_text" else OF_INPUTS
    return {name: entry for name, entry in spec.items() if name not in of_inputs} if isinstance(spec, dict) else spec


OF_INPUTS = frozenset({"inputs", "made_with", "made_with_digest", "text", "form", "self_written", "asked"})
"""Entries of specs that say what inputs are to be made with (how a text is written is its writer's own)."""


def _joined(found: set[str]) -> str:
    again = ITSELF if ITSELF in found else FOLLOWS if FOLLOWS in found else ""
    return again + (NEW if NEW in found else "")


def turned() -> dict[str, tuple[Config, Config]]:
    """By setting: the configuration before and after it is turned to another value."""
    return {name: before_and_after(name) for name in settings_of_types()}


Plans = dict[str, tuple[list[PlannedJob], list[PlannedJob]]]
"""By setting: all jobs before and after it is turned."""


def plans_of_settings(folder: Path) -> Plans:
    """`folder` is a copy of the repository, which is left changed."""
    pairs = turned()
    configs = {json.dumps(config): config for pair in pairs.values() for config in pair}
    requests = ((TARGETS, config) for config in configs.values())
    jobs = dict(zip(configs, plans(folder, requests), strict=True))
    return {name: (jobs[json.dumps(before)], jobs[json.dumps(after)]) for name, (before, after) in pairs.items()}


def measured(planned: Plans) -> dict[str, Marks]:
    """By setting, from its plans."""
    return {name: marks(*pair) for name, pair in planned.items()}


def table(rows: Mapping[str, Marks]) -> str:
    """Markdown: a row a setting, a column a kind of job."""
    lines = ["| |" + "".join(f"{kind}|" for kind in KINDS), "|-|" + ":-:|" * len(KINDS)]
    lines += [f"|{name}|" + "".join(f"{found.get(kind, '')}|" for kind in KINDS) for name, found in rows.items()]
    return "\n".join(lines) + "\n"


def legend() -> str:
    """Markdown: the stages of each kind of job."""
    lines = ["|kind of job|stages|", "|-|-|"]
    return "\n".join([*lines, *(f"|{kind}|{', '.join(stages)}|" for kind, stages in KINDS.items())]) + "\n"


def page(text: str, rows: Mapping[str, Marks]) -> str:
    """The text with its generated part, which is its end, made of these rows."""
    written, mark, _ = text.partition(GENERATED)
    assert mark, f"docs/reruns.md lacks the line {GENERATED}"
    return f"{written}{GENERATED}\n{table(rows)}\n{legend()}"


def read_table(text: str) -> dict[str, Marks]:
    """The rows of a page."""
    _, _, generated = text.partition(GENERATED)
    lines = [
        line.removeprefix("|").removesuffix("|").split("|")
        for line in generated.split("\n\n")[0].strip().splitlines()[2:]
    ]
    return {name: {kind: mark for kind, mark in zip(KINDS, cells, strict=True) if mark} for name, *cells in lines}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(plans_of_settings(copy_repository(Path(folder))))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
