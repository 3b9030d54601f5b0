"""`benchmarks`: tasks of the harness, or in its form, that are asked beside the five that are built in."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from polyprune.grammar.benchmarks import Benchmark
from polyprune.grammar.columns import Asked, Column
from polyprune.places import reference
from polyprune.provenance import digest
from polyprune.settings.base import Count, Language, Languages, Section
from polyprune.settings.harness import harness_folder, tasks_of

LANGUAGE = "{language}"
TASKS = "tasks"


class ConfiguredBenchmark(Section):
    """A benchmark: a task of the harness, or a group of tasks whose questions are pooled, for each language."""

    title: str = Field(description="name in tables")
    tasks: dict[Language, str] | str = Field(
        description="the harness's name of the task or group in each language; or one in which {language} is replaced "
        "by each of `languages`"
    )
    languages: Languages | None = Field(default=None, description="with {language} in `tasks`")
    metric: str = Field(
        default="acc",
        pattern=r"^\w+(,[\w-]+)?$",
        description="the harness's, a value in [0, 1] for each question; after a comma the filter of answers, if the "
        "task has several: exact_match,flexible-extract",
    )
    chance: float = Field(
        ge=0, lt=1, description="share of right answers by guessing; of options it is checked before anything is asked"
    )
    questions: Count | dict[Language, Count] | None = Field(
        default=None, description="in each language; another number is refused before anything is asked"
    )
    fewshot: int | None = Field(
        default=None, ge=0, description="examples before each question; if not given, as the task says"
    )
    tokens: Count = Field(default=2_000_000, description="that a model reads in all languages, to plan time by")
    folder: str | None = Field(
        default=None, description="of YAML files of your own, in the harness's form; else the harness's own"
    )

    @cached_property
    def names(self) -> dict[str, str]:
        """Tasks by language."""
        if isinstance(self.tasks, dict):
            return dict(sorted(self.tasks.items()))
        return {language: self.tasks.replace(LANGUAGE, language) for language in sorted(self.languages or ())}

    @model_validator(mode="after")
    def _names_its_tasks(self) -> Self:
        by_pattern = isinstance(self.tasks, str)
        if by_pattern != (self.languages is not None) or (by_pattern and LANGUAGE not in self.tasks):
            raise ValueError(f"`tasks` has an entry a language, or is one name with {LANGUAGE} beside `languages`")
        if isinstance(self.questions, dict) and (more := sorted(set(self.questions) - set(self.names))):
            raise ValueError(f"`questions` counts {more[0]}, and `tasks` has it not")
        self.made("")
        return self

    def made(self, name: str) -> Benchmark:
        """As the built-in ones are; `name` is its key. Raises `ValueError` for a task that is not there."""
        folder = harness_folder() if self.folder is None else Path.cwd() / Path(self.folder).expanduser()
        columns, generates = [], False
        for language, task in self.names.items():
            found = tasks_of(task, folder)
            datasets = sorted({each.dataset for each in found})
            if len(datasets) > 1:
                raise ValueError(f"{task} asks of several data sets ({', '.join(datasets)}): list its tasks apart")
            beside = "" if self.folder is None else reference(TASKS, name) + "/"
            columns.append(Column(language, task, "|".join(beside + each.file for each in found), datasets[0]))
            generates |= any(each.kind == "generate_until" for each in found)
        asked = Asked(
            self.metric, self.chance, self._counts, self.fewshot, None if self.folder is None else of_folder(folder)
        )
        return Benchmark(self.title, self.tokens, columns, [], self.chance, generates, asked)

    @property
    def _counts(self) -> dict[str, int]:
        if isinstance(self.questions, int):
            return dict.fromkeys(self.names, self.questions)
        return dict(sorted((self.questions or {}).items()))


def of_folder(folder: Path) -> str:
    """Identifies the user's files of tasks, by names and content."""
    files = sorted(file for pattern in ("*yaml", "*.yml", "*.py") for file in folder.rglob(pattern))
    named = {file.relative_to(folder).as_posix(): file for file in files if file.is_file()}
    return digest(*(text for name, file in sorted(named.items()) for text in (name, file.read_text(encoding="utf-8"))))
