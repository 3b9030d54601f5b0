"""Commands that README and docs show: lines of fenced blocks of a shell, and what stands in backquotes in the text."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from tests.helpers.checkout import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_IN_TEXT = re.compile(r"`((?:snakemake|make|hf|(?:PYTHONPATH=\S+ )?python -m) [^`]+)`")
_PATTERN = re.compile(r"…|\{|\b[A-Z]{4,}\b(?!=)|<")
"""What stands for something else: no command to be typed as it is."""


@dataclass(frozen=True)
class Command:
    """`page` is the file's name; `words` are as a shell splits them, without comments."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def shown() -> list[Command]:
    """All of them, each once a page, in their order; of pages that are a log of what was, none."""
    found = [
        Command(page.name, tuple(words))
        for page in PAGES
        if page.name != "log.md"
        for line in _lines(page.read_text(encoding="utf-8"))
        for words in _split(line)
    ]
    return list(dict.fromkeys(found))


def _lines(text: str) -> list[str]:
    blocks = [body for language, body in _BLOCK.findall(text) if language in ("bash", "sh", "console")]
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    prose = " ".join(_BLOCK.sub("", text).split())
    return lines + [each for each in _IN_TEXT.findall(prose) if not _PATTERN.search(each)]


def _split(line: str) -> list[list[str]]:
    """Commands of a line, which `&&` joins."""
    parts: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]
