"""docs/configuration.md: every setting, as the types have it, with its unit and one example.

    PYTHONPATH=.:workflow_scripts python -m tests.helpers.configuration_page

writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from textwrap import fill
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from tests.helpers.checkout import ROOT
from tests.helpers.leaves import before_and_after, fields_of_types, places, value_at
from tests.helpers.shipped import shipped_config

from polyprune.settings.base import Section

PAGE = ROOT / "docs/configuration.md"
GENERATED = (
    "<!-- Generated from here on: PYTHONPATH=.:workflow_scripts python -m tests.helpers.configuration_page -->\n"
)
STUDIES = ("studies/tico19.yaml", "studies/published.yaml")
"""Whose values are examples, beside the shipped files'."""

UNITS = {
    "documents": "documents",
    "train": "documents",
    "calibration": "documents",
    "evaluation": "documents",
    "shares.train": "share of 1",
    "shares.calibration": "share of 1",
    "shares.evaluation": "share of 1",
    "n_prompts": "prompts",
    "seed": "1",
    "seeds": "1",
    "steps": "optimiser steps",
    "batch_sequences": "sequences",
    "sequence_length": "tokens",
    "calibration_sequences": "sequences",
    "evaluation_sequences": "sequences",
    "sampled_tokens": "tokens a language",
    "prefix_tokens": "tokens",
    "temperature": "1",
    "top_p": "share of 1",
    "dropped": "share of the texts",
    "vocabulary": "tokens",
    "max_positions": "tokens",
    "muon_learning_rate": "1",
    "adam_learning_rate": "1",
    "weight_decay": "1",
    "outlier_languages": "share of 1",
    "layers": "layers",
    "hidden": "features",
    "intermediate": "features",
    "head": "features",
    "experts": "experts",
    "expert_width": "features",
    "experts_per_token": "experts",
    "shared_width": "features",
    "heads": "heads",
    "kv_heads": "heads",
    "bytes_per_weight": "bytes",
    "damping": "share of 1",
    "block_size": "columns",
    "exponent": "1",
    "threshold": "1",
    "max_cycles": "cycles",
    "max_iterations": "iterations",
    "refit_iterations": "iterations",
    "outlier_factor": "1",
    "spread": "share of 1",
    "weight": "1",
    "demo_questions": "questions",
    "max_new_tokens": "tokens",
    "activation_tokens": "tokens a language",
    "lape_groups": "groups",
    "tokens_per_batch": "tokens",
    "planning_flops": "operations a second",
    "cells_per_dump": "cells",
    "chance": "share of 1",
    "questions": "questions",
    "fewshot": "examples",
    "tokens": "tokens",
    "rank": "dimensions",
}
"""By the last keys of a setting; `1` has none."""


def table() -> str:
    """Markdown: a heading and a table a section of the configuration, in the order of the types."""
    sections: dict[tuple[str, str], list[list[str]]] = {}
    for name, (section, key) in fields_of_types().items():
        about = _cell(section.__doc__ or "")
        sections.setdefault((name.rpartition(".")[0], about), []).append(_row(name, section, key))
    head = "| setting | may be | default | unit | example | |\n|-|-|-|-|-|-|\n"
    parts = [
        f"## `{heading}`\n\n{fill(about, 120, break_on_hyphens=False)}\n\n{head}"
        + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
        for (heading, about), rows in sections.items()
    ]
    return "\n".join(parts)


def _row(name: str, section: type[Section], key: str) -> list[str]:
    field, schemas = section.model_fields[key], section.model_json_schema()
    schema = schemas["properties"][key]
    kind = _kind(schema, schemas.get("$defs", {}))
    cells = [f"`{key}`", kind, _default(field), unit_of(name, schema), f"`{_yaml(_example(name))}`"]
    return [_cell(text) for text in (*cells, field.description or "")]


def unit_of(name: str, schema: Mapping[str, Any]) -> str:
    """Of a number; raises `LookupError` for one that `UNITS` does not know."""
    if not _is_number(schema):
        return ""
    last = name.split(".")
    for words in (".".join(last[-2:]), last[-1]):
        if words in UNITS:
            return "" if UNITS[words] == "1" else UNITS[words]
    raise LookupError(f"tests/helpers/configuration_page.py: no unit of {name}")


def _is_number(schema: Mapping[str, Any]) -> bool:
    nested = [*schema.get("anyOf", []), schema.get("items", {}), schema.get("additionalProperties") or {}]
    return schema.get("type") in ("integer", "number") or any(_is_number(each) for each in nested if each)


def _kind(schema: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema."""
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if "$ref" in schema:
        keys = named[schema["$ref"].rpartition("/")[2]]["properties"]
        return f"entries of {', '.join(f'`{key}`' for key in keys)}"
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if "anyOf" in schema:
        return ", or ".join(dict.fromkeys(_kind(each, named) for each in schema["anyOf"] if each.get("type") != "null"))
    match schema.get("type"):
        case "integer" | "number" as number:
            return ("whole number" if number == "integer" else "number") + _bounds(schema)
        case "array":
            return f"list of: {_kind(schema['items'], named)}"
        case "object":
            inner = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {"": {}}).values()))
            return f"by language: {_kind(inner, named)}"
        case "boolean":
            return "`true`, `false`"
    return "text"


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {schema[name]:g}" for name, sign in words.items() if name in schema and schema[name] < 1e9]
    return f" {', '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.get_default(call_default_factory=True)
    return "" if value is None else f"`{_yaml(value)}`"


def _example(name: str) -> Any:
    """A value that a shipped file gives it, else another valid one than the default."""
    said = next((value for file in _files() for value in _values(file, name)), None)
    if said not in (None, []):
        return said
    place = _places()[name][0][0]
    value = value_at(before_and_after(name)[1], place)
    if name == "benchmarks.folder":
        return "~/tasks"
    return value[:1] if name == "imports.cells" else value


_places = cache(places)


@cache
def _files() -> list[Mapping[str, Any]]:
    read = [yaml.safe_load((ROOT / study).read_text(encoding="utf-8")) for study in STUDIES]
    return [shipped_config(), *read]


def _values(node: Any, name: str) -> Iterator[Any]:
    """What a file has at a setting's name: entries by name between, and `(kind)` where sections are told apart."""
    first, _, rest = name.partition(".")
    key, _, kind = first.partition(" (")
    if not isinstance(node, Mapping):
        return
    for each in [node[key]] if key in node else [entry.get(key) for entry in node.values() if isinstance(entry, dict)]:
        if not rest and each is not None:
            yield each
        entries = [each, *(each.values() if isinstance(each, Mapping) else ())]
        for entry in entries:
            right = not kind or (isinstance(entry, Mapping) and entry.get("kind") == kind.removesuffix(")"))
            if rest and right:
                yield from _values(entry, rest)


def _yaml(value: Any) -> str:
    """On one line, as it may be written into the file."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if "\n" in value else value
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix("...\n").strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def page(text: str) -> str:
    """The text with its generated part, which is its end, made anew."""
    written, mark, _ = text.partition(GENERATED)
    assert mark, f"{PAGE} lacks the line {GENERATED}"
    return f"{written}{GENERATED}\n{table()}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
