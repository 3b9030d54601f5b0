"""On which line of a YAML file a key stands: for error messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class LineMap:
    """Lines (from 1) of all keys and list items of one file."""

    file: Path
    lines: dict[Place, int]

    def locate(self, place: Place) -> str | None:
        """`file:line` of a place or of the nearest section around it; None if the file does not speak of it."""
        for length in range(len(place), 0, -1):
            if (line := self.lines.get(place[:length])) is not None:
                return f"{self.file}:{line}"
        return None


def read_yaml_lines(file: Path) -> LineMap:
    """Lines of every key of a YAML file, merge keys and anchors included."""
    lines: dict[Place, int] = {}

    def visit(node: yaml.Node | None, place: Place) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*place, key.value)
                lines.setdefault(inner, key.start_mark.line + 1)
                visit(value, place if key.tag == "tag:yaml.org,2002:merge" else inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                lines.setdefault((*place, index), value.start_mark.line + 1)
                visit(value, (*place, index))

    visit(yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader), ())
    return LineMap(file, lines)
