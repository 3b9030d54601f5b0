"""Belebele's layout of parallel prompts, a passage and a question on it.

It is JSON lines with `link`, `question_number`, `flores_passage` and `question`; link and number identify the question
across languages. Prompts are sorted by them, so those on one passage are neighbours, in every language. Passage and
question are joined by a line break: the paper says "concatenating".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from polyprune.artifacts.prompts import Prompt
from polyprune.errors import UserError

_FIELDS = ("link", "question_number", "flores_passage", "question")


def prompts_of_rows(rows: Iterable[Mapping[str, Any]], n_prompts: int, where: str) -> list[Prompt]:
    """The first `n_prompts` of the sorted prompts.

    Raises:
        UserError: fewer rows, a field missing or of another kind, or a prompt that is there twice.
    """
    keyed: dict[tuple[str, int], Prompt] = {}
    for number, row in enumerate(rows):
        if lacking := [field for field in _FIELDS if not isinstance(row, Mapping) or field not in row]:
            raise UserError(f"{where}: row {number} has no {', '.join(lacking)}: not Belebele's layout")
        for field in ("flores_passage", "question"):
            if not isinstance(row[field], str) or not row[field].strip():
                raise UserError(f"{where}: row {number}: {field} is {row[field]!r:.80}, not text")
        key = (str(row["link"]), _number_of(row["question_number"], f"{where}: row {number}"))
        if key in keyed:
            raise UserError(f"{where}: question {key[1]} on {key[0]} is there twice")
        keyed[key] = Prompt(f"{key[0]}#{key[1]}", f"{row['flores_passage'].strip()}\n{row['question'].strip()}")
    if len(keyed) < n_prompts:
        raise UserError(f"{where} has {len(keyed)} prompts, {n_prompts} are wanted: lower `n_prompts`")
    return [keyed[key] for key in sorted(keyed)[:n_prompts]]


def _number_of(value: Any, where: str) -> int:
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, str) and value.isdecimal())):
        raise UserError(f"{where}: question_number is {value!r:.80}, not a whole number")
    return int(value)
