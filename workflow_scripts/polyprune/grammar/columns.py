"""One column of a benchmark, as the workflow hands it to the stage that fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OWN_TASKS = "own:"
"""Prefix of YAML files that are ours (`evaluation/mkqa`), not the harness's."""
OWN_FOLDER = "evaluation/mkqa"
"""Where they are, from the package; each includes `_mkqa.yaml`."""


@dataclass(frozen=True)
class Column:
    """One column of a benchmark: `task` is its name in results, `dataset` the hub's name of its data.

    `yaml` is a file, or a pattern of files whose questions are pooled (English MMLU: 57 subjects); of tasks that the
    configuration names, files with "|" between them, which begin with a reference (`places.py`) if they are the user's.
    """

    name: str
    task: str
    yaml: str
    dataset: str
    part: str | None = None

    @property
    def own_yaml(self) -> str | None:
        """Its YAML file from the package, where that is ours."""
        return f"{OWN_FOLDER}/{self.yaml.removeprefix(OWN_TASKS)}" if self.yaml.startswith(OWN_TASKS) else None

    @property
    def language(self) -> str:
        return self.name.split("-")[0]


@dataclass(frozen=True)
class Asked:
    """How a benchmark of the configuration is asked; the built-in ones are asked as the paper was.

    `questions` are counted by language; `chance` is the share of right answers by guessing. `fewshot` None: as many
    examples as the task says. `folder` identifies the content of the user's files of tasks.
    """

    metric: str
    chance: float
    questions: Mapping[str, int]
    fewshot: int | None
    folder: str | None


def place_in_tables(column: str) -> tuple[str, bool]:
    """Key to sort names of columns by: alphabetical, and of English ARC's two parts Easy before Challenge."""
    return column.split("-")[0], column.endswith("-c")
