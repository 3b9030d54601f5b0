"""On which line of a YAML file a key stands, and which keys stand twice: for error messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Place = tuple[str | int, ...]
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class LineMap:
    """Lines (from 1) of all keys and list items of one file."""

    file: Path
    lines: dict[Place, int]

    def locate(self, place: Place) -> tuple[int, str] | None:
        """`file:line` of a place or of the nearest section around it, and how many of its keys that has; else None."""
        for length in range(len(place), 0, -1):
            if (line := self.lines.get(place[:length])) is not None:
                return length, f"{self.file}:{line}"
        return None


def read_yaml_lines(file: Path) -> LineMap:
    """Lines of every key of a YAML file; what a merge key brings stands where it is written, if not overridden."""
    lines: dict[Place, int] = {}

    def visit(node: yaml.Node | None, place: Place) -> None:
        if isinstance(node, yaml.MappingNode):
            merged = [value for key, value in node.value if key.tag == _MERGE]
            for key, value in node.value:
                if key.tag != _MERGE:
                    lines.setdefault((*place, key.value), key.start_mark.line + 1)
                    visit(value, (*place, key.value))
            for value in merged:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    visit(source, place)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                lines.setdefault((*place, index), value.start_mark.line + 1)
                visit(value, (*place, index))

    visit(yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader), ())
    return LineMap(file, lines)


def repeated_keys(file: Path) -> Iterator[tuple[Place, int, int]]:
    """Keys that a mapping of a YAML file has twice, of which YAML's readers take the last, and both lines."""
    loader: Any = yaml.CSafeLoader
    waiting: list[tuple[yaml.Node | None, Place]] = [(yaml.compose(file.read_text(encoding="utf-8"), loader), ())]
    for node, place in waiting:
        if isinstance(node, yaml.SequenceNode):
            waiting += [(value, (*place, index)) for index, value in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if key.tag != _MERGE and key.value in lines:
                    yield (*place, key.value), lines[key.value], line
                lines[key.value] = line
                waiting.append((value, (*place, key.value)))
