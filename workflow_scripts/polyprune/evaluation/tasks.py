"""Task objects of the harness for one column of a benchmark: its own YAML, our data folder, the profile's prompt.

paper     as harness 0.4.3, of July 2024, sent them: a space before the option also under a chat template, and in
          Belebele a full-width colon after "Answer"
current   as the installed harness sends them
cloze     for models that only continue text, such as the demo's: every option as text, after labels in the language
          of the question; the same data sets, documents and metrics
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import datasets
import lm_eval.api.task as harness_task
import lm_eval.tasks
import lm_eval.utils as harness_utils
from datasets.exceptions import DatasetGenerationError
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

from polyprune.artifacts.benchmark_data import MKQA_FILE
from polyprune.errors import UserError
from polyprune.evaluation.mkqa import ASKED, FOLDER, questions_in
from polyprune.grammar.columns import OWN_TASKS, Asked, Column
from polyprune.places import is_reference, path_at
from polyprune.settings.benchmarks import of_folder

CLOZE, CURRENT, PAPER_PROFILE = "cloze", "current", "paper"
HARNESS_TASKS = Path(lm_eval.tasks.__file__).parent
_SEED_OF_EXAMPLES = 1234
"""The harness's own."""
_ARC_OF_OKAPI, _LAST_OPTION = "alexandrainst/m_arc", "option_e"
_BELEBELE_ANSWER, _FULL_WIDTH_ANSWER = "\nAnswer:", "\nAnswer："


@dataclass(frozen=True)
class Prompting:
    """What of prompts is ours to choose. `mkqa` holds `{question}`; with `{question}?` none ends in two marks.

    `fewshot`: examples before each question, None for as many as the task says, drawn as the harness draws them.
    """

    profile: str
    mkqa: str
    mkqa_tokens: int
    fewshot: int | None = 0


class DelimitingTask(ConfigurableTask):
    """Puts the delimiter before the options also under a chat template, as harness versions before 0.4.6 did."""

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **kwargs: Any) -> Any:
        kwargs.pop("apply_chat_template", None)
        return super().construct_requests(doc, ctx, **kwargs)


def build_tasks(column: Column, data: Path, cache: Path, prompting: Prompting) -> dict[str, ConfigurableTask]:
    """The column's tasks by name, with their documents read from `data` (a folder in the hub's layout).

    Raises:
        UserError: `data` lacks the data set, a split or a field that the task reads.
    """
    tasks = {}
    for file in _yaml_files(column):
        config = task_config(column, file, data, prompting)
        config["dataset_kwargs"] = {**config.get("dataset_kwargs", {}), "cache_dir": str(cache)}
        kind = ConfigurableTask if prompting.profile == CURRENT else DelimitingTask
        with brisk_harness():
            try:
                task = kind(config=config)
            except (FileNotFoundError, KeyError, ValueError, DatasetGenerationError) as error:
                raise UserError(
                    f"task {config['task']} cannot read {data / column.dataset} ({type(error).__name__}: {error}); "
                    "it must have the layout of the hub's data set: README.md with its configurations, and the files"
                ) from error
        if prompting.fewshot is not None:
            task.set_config("num_fewshot", prompting.fewshot)
        task.set_fewshot_seed(_SEED_OF_EXAMPLES)
        tasks[str(config["task"])] = task
    return tasks


def _yaml_files(column: Column) -> list[Path]:
    if column.yaml.startswith(OWN_TASKS):
        return [FOLDER / column.yaml.removeprefix(OWN_TASKS)]
    return [file for name in column.yaml.split("|") for file in _named(name)]


def _named(name: str) -> list[Path]:
    """The harness's files of a pattern, or the user's file, in whose name `outside:tasks/{benchmark}` is its folder."""
    if is_reference(name):
        kind, benchmark, file = name.split("/", 2)
        return [path_at(f"{kind}/{benchmark}") / file]
    files = sorted(file for file in HARNESS_TASKS.glob(name) if not file.name.startswith("_"))
    if not files:
        raise UserError(f"the installed harness has no task {name}; install the version that envs/ pins")
    return files


def require_own_files(column: Column, asked: Asked) -> None:
    """Compare the user's files of tasks, where a column is of such, with what the run was planned with.

    Raises:
        UserError: they were edited meanwhile; what is asked would not be what the result is recorded as.
    """
    if asked.folder is None:
        return
    kind, benchmark, _ = column.yaml.split("/", 2)
    folder = path_at(f"{kind}/{benchmark}")
    if (found := of_folder(folder)) != asked.folder:
        raise UserError(
            f"the tasks in {folder} have digest {found}, this job was planned with {asked.folder}: take the edit back, "
            "or start Snakemake anew, which plans with it"
        )


def task_config(column: Column, file: Path, data: Path, prompting: Prompting) -> dict[str, Any]:
    """The harness's configuration of a task, with our data and the profile's prompt."""
    config = deepcopy(load_yaml(file))
    config.pop("tag", None)
    is_mkqa = column.dataset == "apple/ml-mkqa"
    if is_mkqa:
        config["dataset_kwargs"] = {"data_files": str(data / column.dataset / MKQA_FILE)}
        config["doc_to_text"] = prompting.mkqa.replace("{question}", "{{question}}").replace("{{question}}?", ASKED)
        config["generation_kwargs"]["max_gen_toks"] = prompting.mkqa_tokens
    else:
        config["dataset_path"] = str(data / column.dataset)
    if column.dataset == _ARC_OF_OKAPI:
        config["process_docs"] = _with_every_option(config["process_docs"])
    if column.part is not None:
        config["task"] = column.task
        if is_mkqa:
            config["process_docs"] = questions_in(column.part)
        else:
            config["dataset_name"] = column.part
    if prompting.profile == CLOZE:
        cloze = importlib.import_module("polyprune.evaluation.cloze")
        config |= cloze.as_cloze(column.task, column.language)
    if prompting.profile == PAPER_PROFILE and column.task.startswith("belebele"):
        config["doc_to_text"] = config["doc_to_text"].replace(_BELEBELE_ANSWER, _FULL_WIDTH_ANSWER)
    return config


def _with_every_option(process: Callable[[datasets.Dataset], datasets.Dataset]) -> Any:
    """The harness's reading of ARC's questions, also of a file in which none has a fifth option."""

    def processed(questions: datasets.Dataset) -> datasets.Dataset:
        if _LAST_OPTION not in questions.column_names:
            questions = questions.map(lambda _: {_LAST_OPTION: None})
        return process(questions)

    return processed


@contextmanager
def brisk_harness() -> Iterator[None]:
    """Within: the harness compiles each prompt template once, not for every question, and draws no progress bars."""
    bars, was_on = harness_task.tqdm, not datasets.utils.are_progress_bars_disabled()
    harness_task.tqdm = lambda iterable, **_: iterable  # type: ignore[assignment]
    datasets.disable_progress_bars()
    compile_template = harness_utils.env.from_string
    harness_utils.env.from_string = lru_cache(compile_template)  # type: ignore[method-assign]
    try:
        yield
    finally:
        harness_utils.env.from_string = compile_template  # type: ignore[method-assign]
        harness_task.tqdm = bars
        if was_on:
            datasets.enable_progress_bars()


def options_of(task: ConfigurableTask, doc: Any) -> tuple[list[str], int]:
    """The options of a question and the number of the right one."""
    options = task.doc_to_choice(doc)
    gold = task.doc_to_target(doc)
    return options, options.index(gold) if isinstance(gold, str) else int(gold)  # type: ignore[arg-type]
