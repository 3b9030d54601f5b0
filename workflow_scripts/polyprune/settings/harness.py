"""Tasks of the harness by name, found in its folder, or in one of the user's, without importing it.

A task or group is what a YAML file says after `task:` or `group:`. Names are looked for in the folders that a name
begins with (`xcopa_zh` in `xcopa`), then everywhere, which takes a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

_NAMED = re.compile(r"^(?:task|group): *[\"']?([\w.-]+)[\"']?\s*$", re.MULTILINE)
KINDS = ("multiple_choice", "generate_until")
"""How questions may be put: options are weighed, or an answer is written."""


@dataclass(frozen=True)
class Task:
    """One YAML file of a task: where it is below its folder, whose data it asks, and how."""

    file: str
    dataset: str
    kind: str


class _Loader(yaml.CSafeLoader):
    """Plain YAML, with the harness's `!function` left unread."""


def _unread(*_: Any) -> None:
    return None


_Loader.add_multi_constructor("!", _unread)


def harness_folder() -> Path:
    """The installed harness's tasks."""
    found = find_spec("lm_eval")
    if found is None or found.origin is None:
        raise ValueError("the harness is not installed: make install")
    return Path(found.origin).parent / "tasks"


@lru_cache
def tasks_of(name: str, folder: Path) -> tuple[Task, ...]:
    """The files of a task, or of all tasks of a group, in its order.

    Raises:
        ValueError: there is no such task, or it does not ask questions as `KINDS` are.
    """
    file = _file_of(name, folder)
    said = _read(file, folder)
    if isinstance(said.get("task"), list):
        return tuple(task for member in said["task"] for task in tasks_of(_member(member, name), folder))
    kind = str(said.get("output_type", "generate_until"))
    if kind not in KINDS:
        raise ValueError(f"task {name} is of the kind {kind}; asked are {' and '.join(KINDS)}")
    if not isinstance(said.get("dataset_path"), str):
        raise ValueError(f"task {name} names no dataset_path in {file}")
    return (Task(file.relative_to(folder).as_posix(), said["dataset_path"], kind),)


def _member(member: Any, group: str) -> str:
    if not isinstance(member, str):
        raise ValueError(f"group {group} changes its tasks: list them by name, or write a YAML file of your own")
    return member


def _read(file: Path, folder: Path) -> Mapping[str, Any]:
    """What a file says, with what it includes."""
    said = yaml.load(file.read_text(encoding="utf-8"), _Loader) or {}
    included = said.get("include")
    names = included if isinstance(included, list) else [included] if included else []
    found: dict[str, Any] = {}
    for name in names:
        inner = file.parent / name
        if not inner.is_file():
            raise ValueError(f"{file} includes {name}, which is not there")
        found |= _read(inner, folder)
    return found | {key: value for key, value in said.items() if key != "include"}


def _file_of(name: str, folder: Path) -> Path:
    if not _is_folder(folder):
        raise ValueError(f"{folder} does not exist; it should have YAML files of tasks")
    words = name.split("_")
    for n in range(len(words), 0, -1):
        inner = folder / "_".join(words[:n])
        if _is_folder(inner) and name in (known := _names_in(inner)):
            return known[name]
    if name not in (known := _names_in(folder)):
        close = get_close_matches(name, known, n=1)
        raise ValueError(f"{folder} has no task {name}" + (f"; did you mean {close[0]}?" if close else ""))
    return known[name]


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  # of a name too long for any file, too, which a Path raises


@lru_cache
def _names_in(folder: Path) -> dict[str, Path]:
    return {name: file for file in sorted(folder.rglob("*.yaml")) for name in _names_of(file)}


def _names_of(file: Path) -> Iterator[str]:
    return (match[1] for match in _NAMED.finditer(file.read_text(encoding="utf-8", errors="replace")))
