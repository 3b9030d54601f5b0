"""Braces of command lines, put apart here and not by a shell: what a shell makes of them is in the arguments of the
program that it starts, of which Linux allows 2 MB, and the files behind a table of three thousand cells are more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator


def expanded(word: str) -> list[str]:
    """`a/b/d` and `a/c/d` for `a/{b,c}/d`, in bash's order; any depth. For what `workflow/braces.py` makes of paths.

    A comma outside braces is a comma, as of a folder's name.
    """
    texts, _ = _until(iter(re.split("([{},])", word)), ())
    return texts


def _until(parts: Iterator[str], ends: tuple[str, ...]) -> tuple[list[str], str]:
    """All texts up to one of the ends, or to the last part; and which end that was."""
    texts = [""]
    for part in parts:
        if part in ends:
            return texts, part
        following = _alternatives(parts) if part == "{" else [part]
        texts = [before + after for before in texts for after in following]
    return texts, ""


def _alternatives(parts: Iterator[str]) -> list[str]:
    found: list[str] = []
    end = ","
    while end == ",":
        texts, end = _until(parts, (",", "}"))
        found += texts
    return found
