"""Parallel prompts: a passage and a question on it, from wherever they come.

Belebele's layout is JSON lines with `link`, `question_number`, `flores_passage` and `question`; link and number
identify the question across languages. Prompts are sorted by them, so those on one passage are neighbours, in every
language. Passage and question are joined by a line break: the paper says "concatenating".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from polyprune.artifacts.prompts import Prompt
from polyprune.errors import UserError
from polyprune.settings import DemoPrompts, FilesPrompts, HubPrompts

_FIELDS = ("link", "question_number", "flores_passage", "question")
_SEED = "prompts"


def generated_prompts(settings: DemoPrompts, language: str) -> list[Prompt]:
    """Reading questions about the demo world; number i asks the same in every language."""
    from polyprune.corpora.demo import reading_questions

    readings = reading_questions(language, settings.n_prompts, _SEED)
    return [Prompt(f"{index:05d}", f"{each.passage}\n{each.question}") for index, each in enumerate(readings)]


def hub_prompts(settings: HubPrompts, language: str) -> tuple[list[Prompt], str]:
    """Prompts of a hub data set, and the commit they are from."""
    from datasets import load_dataset

    from polyprune.hub import dataset_file, explained, resolve_revision

    revision = resolve_revision("dataset", settings.dataset, settings.revision)
    file = settings.file.format(language=settings.codes[language])
    with explained("dataset", settings.dataset):
        url = dataset_file(settings.dataset, revision, file)
        rows = list(load_dataset("json", data_files={"prompts": [url]}, split="prompts", streaming=True))
    return parallel_prompts(rows, settings.n_prompts, f"dataset {settings.dataset}, {file}"), revision


def file_prompts(settings: FilesPrompts, language: str) -> list[Prompt]:
    """Prompts of a local file."""
    file = Path(settings.files[language]).expanduser()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read as JSON lines ({error})") from error
    return parallel_prompts(rows, settings.n_prompts, str(file))


def parallel_prompts(rows: Iterable[Mapping[str, Any]], n_prompts: int, where: str) -> list[Prompt]:
    """The first `n_prompts` of the sorted prompts.

    Raises:
        UserError: fewer rows, a field missing, or a prompt that is there twice.
    """
    keyed: dict[tuple[str, int], Prompt] = {}
    for number, row in enumerate(rows):
        if lacking := [field for field in _FIELDS if field not in row]:
            raise UserError(f"{where}: row {number} has no {', '.join(lacking)}: not Belebele's layout")
        key = (str(row["link"]), int(row["question_number"]))
        if key in keyed:
            raise UserError(f"{where}: question {key[1]} on {key[0]} is there twice")
        keyed[key] = Prompt(f"{key[0]}#{key[1]}", f"{row['flores_passage'].strip()}\n{row['question'].strip()}")
    if len(keyed) < n_prompts:
        raise UserError(f"{where} has {len(keyed)} prompts, {n_prompts} are wanted: lower `n_prompts`")
    return [keyed[key] for key in sorted(keyed)[:n_prompts]]
