"""What lets Snakemake plan with less memory and time: lighter files and lists of its jobs.

A plan of ten thousand cells holds 600,000 names of files. For each, Snakemake keeps the path twice and an empty set of
flags, searches the path for wildcards and for spellings that it warns of, and asks an abstract class whether flags are
possible. Here files without flags share their path, and what is plain is seen to be plain. Whatever is flagged, stored
elsewhere or oddly spelt is left to Snakemake. Plans are the same with it and without.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import snakemake.io
from snakemake.exceptions import WildcardError
from snakemake.io import WILDCARD_REGEX, _IOFile
from snakemake.iocontainers import AttributeGuard, Namedlist
from snakemake.jobs import Job

File = Any
"""Snakemake's `_IOFile`."""
_THEIRS: dict[str, Any] = {
    name: _IOFile.__dict__.get(name) for name in ("apply_wildcards", "check", "exists", "get_inventory_parent")
}
_NEW: Any = _IOFile.__new__
_LIST: Any = Namedlist.__init__
_MINTIME: Any = Job.__dict__["output_mintime"].fget
_PLAIN = re.compile(r"[\w.=+@~/-]+", re.ASCII)
"""Of what paths consist that have no braces, spaces or lines."""


class NoFlags(dict[str, Any]):
    """Flags of a file that has none; the first that is set makes them its own."""

    __slots__ = ("file",)

    def __init__(self, file: File) -> None:
        super().__init__()
        self.file = file

    def __setitem__(self, flag: str, value: Any) -> None:
        super().__setitem__(flag, value)
        self.file.set_flags(self)

    def update(self, *flags: Any, **more: Any) -> None:
        for flag, value in dict(*flags, **more).items():
            self[flag] = value


def filled(pattern: str, wildcards: Mapping[str, Any]) -> str:
    """Snakemake's `apply_wildcards`: values of wildcards put into a path.

    Raises:
        WildcardError: a wildcard has no value.
    """
    if "{" not in pattern:
        return sys.intern(str.__str__(pattern))
    texts, names = _parts(str.__str__(pattern))
    try:
        values = [str(wildcards[name]) for name in names]
    except KeyError as error:
        raise WildcardError(str(error)) from None
    return sys.intern("".join([text for pair in zip(texts, [*values, ""], strict=True) for text in pair]))


@cache
def _parts(pattern: str) -> tuple[list[str], list[str]]:
    """The texts of a path between its wildcards, one more than these, and the wildcards' names."""
    texts, names, end = [], [], 0
    for match in WILDCARD_REGEX.finditer(pattern):
        texts.append(pattern[end : match.start()])
        names.append(match.group("name"))
        end = match.end()
    return [*texts, pattern[end:]], names


def _new(kind: Any, file: Any, rule: Any) -> File:
    """A file of a rule, which is itself if it is one already."""
    if type(file) is kind and file.rule is rule and type(file._file) is str:
        return file
    if type(file) is not str or rule is None or file.endswith("/") or "<" in file:
        return _NEW(kind, file, rule)
    new = str.__new__(kind, file)
    new._is_callable, new._file, new.rule = False, file, rule
    new._regex = new._wildcard_constraints = None
    return new


def _eq(file: File, other: Any) -> bool:
    return file._file == (other._file if type(other) is _IOFile else other)


def _apply_wildcards(file: File, wildcards: Mapping[str, Any]) -> File:
    """Of a file without flags one whose path is held once."""
    if file._is_callable or file.flags:
        return _THEIRS["apply_wildcards"](file, wildcards)
    return _IOFile(filled(file._file, wildcards), rule=file.rule)


def _flags(file: File) -> dict[str, Any]:
    own = getattr(file._file, "flags", None)
    return NoFlags(file) if own is None else own


def _is_flagged(file: File, flag: str) -> bool:
    held = file._file
    return type(held) is not str and bool(getattr(held, "flags", {}).get(flag))


def _check(file: File) -> None:
    """Say what is odd about a path."""
    path = file._file
    if file._is_callable or not _PLAIN.fullmatch(path) or "//" in path or path.startswith("./"):
        _THEIRS["check"](file)


async def _exists(file: File) -> bool:
    known = file.rule.workflow.iocache
    if not known.active or file.is_storage:
        return await _THEIRS["exists"](file)
    there = known.exists_local
    if file not in there:
        there[file._file] = os.path.exists(file._file)  # noqa: PTH110
    return there[file._file]


def _get_inventory_parent(file: File) -> str | None:
    """The file's folder."""
    folder, slash, _ = file._file.rpartition("/")
    if file.is_storage or (slash and not folder) or folder.endswith("/"):
        return _THEIRS["get_inventory_parent"](file)
    return folder if folder not in ("", "..") else None


@cache
def _guard(name: str) -> AttributeGuard:
    """One for all lists: it has nothing but its name."""
    return AttributeGuard(name)


_GUARDED = ["index", "sort"]
"""Names of methods that files of a list may bear; nobody changes it."""


def _init(
    self: Any,
    toclone: Any = None,
    fromdict: Mapping[str, Any] | None = None,
    plainstr: bool = False,
    strip_constraints: bool = False,
    custom_map: Callable[[Any], Any] | None = None,
) -> None:
    """A list with names."""
    if plainstr or strip_constraints or custom_map is not None:
        _LIST(self, toclone, fromdict, plainstr, strip_constraints, custom_map)
        return
    list.__init__(self)
    self._names = {}
    self._allowed_overrides = _GUARDED
    self.index, self.sort = _guard("index"), _guard("sort")
    if toclone is not None:
        self.extend(toclone)
        if isinstance(toclone, Namedlist):
            self._take_names(toclone._get_names())
    for name, item in (fromdict or {}).items():
        self.append(item)
        self._add_name(name)


async def _output_mintime(job: Any) -> float | None:
    """When the oldest of a job's outputs and its benchmark was made, without a task for each output."""
    if any(file.is_storage for file in job.output):
        return await _MINTIME(job)
    files = [*job.output, *([job.benchmark] if job.benchmark else [])]
    times = [(await file.mtime()).local_or_storage() for file in files if await file.exists()]
    return min((time for time in times if time is not None), default=None)


REPLACED: list[tuple[Any, str, Any]] = [
    (snakemake.io, "apply_wildcards", filled),
    (_IOFile, "__new__", staticmethod(_new)),
    (_IOFile, "__eq__", _eq),
    (_IOFile, "apply_wildcards", _apply_wildcards),
    (_IOFile, "flags", property(_flags)),
    (_IOFile, "is_flagged", _is_flagged),
    (_IOFile, "is_storage", property(lambda file: _is_flagged(file, "storage_object"))),
    (_IOFile, "check", _check),
    (_IOFile, "exists", _exists),
    (_IOFile, "get_inventory_parent", _get_inventory_parent),
    (Namedlist, "__init__", _init),
    (Job, "output_mintime", property(_output_mintime)),
]
"""What of Snakemake is replaced: where, its name, and by what."""


def lighten() -> None:
    """Put what is above in the place of Snakemake's own."""
    for owner, name, ours in REPLACED:
        setattr(owner, name, ours)
