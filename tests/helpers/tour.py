"""`docs/tour.md` as it is written: links to lines of code, examples by section, edits that they make.

`python -m tests.helpers.tour` writes the lines of the links anew, after code has moved.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.checkout import ROOT

PAGE = ROOT / "docs" / "tour.md"
_LINK = re.compile(r"\[`([\w.]+)`\]\(([\w./-]+)#L(\d+)\)")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Link:
    """`name` is a function, class, rule or key; `file` is seen from `docs/`."""

    name: str
    file: str
    line: int

    def lines_of_name(self) -> list[int]:
        """Where the name is defined, counted from 1."""
        text = (PAGE.parent / self.file).read_text(encoding="utf-8")
        if self.file.endswith(".py"):
            return [line for name, line in _definitions(ast.parse(text).body) if name == self.name]
        begins = re.compile(rf"rule {self.name}:" if self.file.endswith(".smk") else rf" *{self.name}:")
        return [number for number, line in enumerate(text.splitlines(), start=1) if begins.match(line)]


@dataclass(frozen=True)
class Block:
    """A fenced block: `language` stands behind the fence; `section` is the heading that it is under."""

    section: str
    language: str
    text: str


def links(text: str) -> list[Link]:
    return [Link(name, file, int(line)) for name, file, line in _LINK.findall(text)]


def blocks(text: str) -> list[Block]:
    """Those under the headings that begin with `###`."""
    sections = re.split(r"^### (.+)\n", text, flags=re.MULTILINE)[1:]
    pairs = zip(sections[::2], sections[1::2], strict=True)
    return [Block(heading, *found) for heading, body in pairs for found in _BLOCK.findall(body)]


def commands(found: list[Block]) -> list[list[str]]:
    """The words of each line of the blocks that are for a shell."""
    lines = [block.text.replace("\\\n", " ").splitlines() for block in found if block.language == "bash"]
    return [shlex.split(line) for of_block in lines for line in of_block]


def apply(block: Block, folder: Path) -> str:
    """Write the file of a block or edit it; its path below `folder`."""
    first, body = block.text.split("\n", 1)
    name = first.removeprefix("# ")
    path = folder / name
    if block.language == "diff":
        path.write_text(edited(path.read_text(encoding="utf-8"), body, name), encoding="utf-8")
    else:
        assert not path.exists(), f"{name} is there: its block should be a diff"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    return name


def edited(text: str, change: str, name: str) -> str:
    """The text after a change: a line that begins with `-` goes, one with `+` comes, one with a space stays."""
    for hunk in change.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] or line for line in lines if line[0] != "+")
        new = "".join(line[1:] or line for line in lines if line[0] != "-")
        assert text.count(old) == 1, f"{name} has this {text.count(old)} times instead of once:\n{old}"
        text = text.replace(old, new)
    return text


def _definitions(nodes: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, int]]:
    """Functions, classes, methods (`Class.method`) and constants, and their lines."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name, node.lineno
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, f"{node.name}.")
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.lineno) for target in node.targets if isinstance(target, ast.Name))


def with_lines_of_names(text: str) -> str:
    """The page with every link at the line of what it names."""

    def right(match: re.Match[str]) -> str:
        (line,) = Link(match[1], match[2], int(match[3])).lines_of_name()
        return f"[`{match[1]}`]({match[2]}#L{line})"

    return _LINK.sub(right, text)


if __name__ == "__main__":
    PAGE.write_text(with_lines_of_names(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
