"""Problems of the configuration told to its author: where each stands, what is wrong, what is valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from polyprune.grammar.spelling import nearest
from polyprune.settings.base import Section
from polyprune.settings.yaml_lines import LineMap, Place

Problem = tuple[Place, str]
"""Where in the configuration (keys and indices from the top), and what is wrong."""


_TRUTHS = {False: "no and off", True: "yes and on"}
"""Words that YAML takes for truths where they have no quotes: `no` is a language."""
_SHOWN = 20
"""Problems. One mistake may bring many: a grid's name, all the tables that are of it."""


def explain(problems: Sequence[Problem], line_maps: Sequence[LineMap], elsewhere: str) -> str:
    """One line a problem, with the line of the last file that says it, or of the file that comes nearest to it.

    Of a problem that no file has a line for, `elsewhere` says where it is. Of many, those that are found first.
    """
    lines = []
    for place, message in problems[:_SHOWN]:
        nearest_first = [location for lines_of in reversed(line_maps) if (location := lines_of.locate(place))]
        _, found = max(nearest_first, key=lambda location: location[0], default=(0, elsewhere))
        lines.append(f"{found}: {'.'.join(map(str, place))}: {message}")
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the configuration"
    more = [f"and {len(problems) - _SHOWN} more, shown when these are mended"] if len(problems) > _SHOWN else []
    return "\n  ".join([count, *lines, *more])


def readable(item: Any, config: Mapping[str, Any], root: type[Section]) -> Problem:
    """A pydantic error as place and sentence."""
    *inner, last = item["loc"] or ("",)
    if item["type"] == "extra_forbidden":
        known = section_at(inner, root).model_fields
        return (*place_of(inner, config), last), f"unknown key; {last!r} is {nearest(str(last), known)}"
    if item["type"] == "missing":
        return (*place_of(inner, config), last), "this key is required"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] not in ("value_error", "union_tag_not_found", "union_tag_invalid"):
        message += f", got {item['input']!r}"
    if item["type"] in ("string_type", "literal_error") and isinstance(item["input"], bool):
        message += f", as which YAML reads {_TRUTHS[item['input']]}: write a language or a name in quotes"
    return place_of(item["loc"], config), message


def section_at(location: Sequence[str | int], root: type[Section]) -> type[Section]:
    """The section that an error's location leads to: by keys, indices and, in a union of sections, the kind."""
    at: Any = root
    for step in location:
        if get_origin(at) is Annotated:
            at, *_ = get_args(at)
        if isinstance(at, type) and issubclass(at, Section):
            at = _if_any(at.model_fields[str(step)].annotation)
        elif get_origin(at) in (dict, list):
            *_, at = get_args(at)
        else:
            (at,) = (kind for kind in get_args(at) if step in get_args(kind.model_fields["kind"].annotation))
    return at


def _if_any(kind: Any) -> Any:
    """What a value is of this type unless it is None."""
    others = [each for each in get_args(kind) if each is not type(None)]
    return others[0] if len(others) == 1 and type(None) in get_args(kind) else kind


def place_of(location: Sequence[str | int], config: Any) -> Place:
    """The error's location without what pydantic adds: tags of unions, types of alternatives and `[key]`."""
    place: list[str | int] = []
    node: Any = config
    tag_waits = False
    for key in location:
        if tag_waits and node.get("kind") == key:
            tag_waits = False
            continue
        has_places = isinstance(node, Mapping | list)
        if key == "[key]" or (place and not has_places):
            continue
        place.append(key)
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            node = None
        tag_waits = isinstance(node, Mapping) and "kind" in node
    return tuple(place)
