"""YAML files: what they say, on which line a key stands, and which keys stand twice.

An alias may stand for what it stands in, or for aliases of aliases, of which a few lines make more than a machine can
hold. All readers here refuse such files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from polyprune.errors import UserError

Place = tuple[str | int, ...]
_MERGE = "tag:yaml.org,2002:merge"
_MOST_ENTRIES = 1_000_000
"""Of a file, with what its aliases stand for; the paper's study has a few thousand."""


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


def read_yaml(file: Path) -> Any:
    """What a YAML file says.

    Raises:
        OSError: it cannot be read.
        UserError: it is no YAML in UTF-8, or has no end; with its line.
    """
    node = _composed(file)
    with _explained(file):
        return yaml.SafeLoader("").construct_document(node) if node else None


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Raises as `read_yaml` does."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not in UTF-8: save it so") from error
    except RecursionError as error:
        raise UserError(f"{file} is nested too deeply to be read") from error
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        hint = "; indent with blanks alone" if "\\t" in str(error.problem) else ""
        raise UserError(f"{file}{line}: no YAML: {error.problem}{hint}") from error
    except (yaml.YAMLError, ValueError) as error:  # the latter of a date that is none
        raise UserError(f"{file}: no YAML: {' '.join(str(error).split())}") from error


def _composed(file: Path, loader: Any = yaml.SafeLoader) -> yaml.Node | None:
    """What a YAML file is made of; raises as `read_yaml` does, most plainly with YAML's slow loader."""
    with _explained(file):
        node = yaml.compose(file.read_text(encoding="utf-8"), loader)
        n_entries = _n_entries(node, {}, file) if node else 0
    if n_entries > _MOST_ENTRIES:
        raise UserError(f"{file} has more than {_MOST_ENTRIES:,} entries with what its aliases stand for: use fewer")
    return node


def _n_entries(node: yaml.Node, counted: dict[int, int | None], file: Path) -> int:
    """How many nodes it has; `counted` are those of nodes that were met before, None where it is being counted."""
    if id(node) not in counted:
        counted[id(node)] = None
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        below = parts if isinstance(node, yaml.CollectionNode) else []
        counted[id(node)] = 1 + sum(_n_entries(part, counted, file) for part in below)
    if (found := counted[id(node)]) is None:
        line = node.start_mark.line + 1
        raise UserError(f"{file}:{line}: what the anchor here names holds an alias of itself: it has no end")
    return found


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

    visit(_composed(file), ())
    return LineMap(file, lines)


def repeated_keys(file: Path) -> Iterator[tuple[Place, int, int]]:
    """Keys that a mapping of a YAML file has twice, of which YAML's readers take the last, and both lines."""
    waiting: list[tuple[yaml.Node | None, Place]] = [(_composed(file, yaml.CSafeLoader), ())]
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
