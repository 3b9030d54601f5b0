"""Every setting of the configuration, and for each another valid value."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from polyprune.settings.base import Section
from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings

EVERYTHING = Path(__file__).with_name("everything.yaml")
Config = dict[str, Any]

COMMIT = "0123456789abcdef0123456789abcdef01234567"

AT_HUB = {"models.converted.source.id": "org/converted", "models.converted.source.file": "converted.gguf"}
VALUES: dict[str, Any] = {
    "corpora (hub).dataset": "org/other",
    "corpora (hub).revision": COMMIT,
    "corpora (hub).files.calibration": "{language}/other-*.json.gz",
    "corpora (hub).files.evaluation": "{language}/other-*.json.gz",
    "corpora (hub).field": "body",
    "corpora (files).field": "body",
    "corpora (tmx).url": "https://example.org/later/",
    "corpora (tmx).licence": "CC-BY-4.0",
    "corpora (tmx).folder": "text/elsewhere",
    "corpora (tmx).files.name": "other.tmx.zip",
    "corpora (tmx).files.sha256": 64 * "e",
    "corpora (tmx).files.code": "other",
    "corpora (prompts).prompts": "my-prompts",
    "prompts (hub).dataset": "org/other",
    "prompts (hub).revision": COMMIT,
    "prompts (hub).file": "other/{language}.jsonl",
    "models.title": "Another title",
    "models.source (hub).id": "org/other",
    "models.source (hub).revision": COMMIT,
    "models.source (hub).gated": "a licence",
    "models.source (hub).dtype": "float16",
    "models.source (folder).path": "models/other",
    "models.source (folder).dtype": "float16",
    **{
        f"models.source ({kind}).{name}": value
        for kind in ("gguf", "pickles")
        for name, value in (("dtype", "float16"), ("gated", "a licence"), ("revision", COMMIT))
    },
    "models.source (gguf).path": "models/other.gguf",
    "models.source (pickles).id": "org/other",
    "models.shape.head": 32,
    "models.shape.experts": 8,
    "models.shape.expert_width": 32,
    "models.shape.experts_per_token": 2,
    "models.shape.shared_width": 32,
    "models.source (train).outlier_languages": {"sw": 0.5},
    "models.text.bos": "none",
    "models.text.framing": "published",
    "models.text.separator": "none",
    "models.text.sampling_of": {"code": "long_documents"},
    "models.text.self_written.top_p": 0.9,
    "models.shape.hidden": 128,
    "models.shape.heads": 8,
    "models.shape.kv_heads": 4,
    "benchmarks.title": "Another title",
    "benchmarks.metric": "acc_norm",
    "benchmarks.fewshot": 2,
    "benchmarks.folder": str(EVERYTHING.with_name("tasks")),
    "imports.table": str(EVERYTHING.with_name("theirs.csv")),
    "imports.without": ["org/other"],
    "evaluation.data_root": "elsewhere",
    "evaluation.mkqa.prompt": "{question}",
    "evaluation.mkqa.commit": COMMIT,
    "analysis.lape_without": ["sw"],
    "studies.tables.title": "Another title",
    "studies.figures.title": "Another title",
    "engine.cells_per_dump": 2,
}
"""By setting: what all its places in the configuration are set to, where its type alone does not say."""

EDITS: dict[str, dict[str, Any]] = {
    "corpora (demo).languages": {"corpora.made.languages": ["de", "en", "es", "sw"]},
    "corpora (hub).languages": {"corpora.web.languages": ["de", "en", "es", "sw"]},
    "corpora (files).files": {"corpora.mine.files.de": ["text/other.txt"]},
    **{
        f"corpora ({kind}).shares.{share}": {
            f"corpora.{corpus}.shares.{share}": more,
            f"corpora.{corpus}.shares.{other}": less,
        }
        for kind, corpus in (("files", "mine"), ("tmx", "memory"), ("prompts", "passages"))
        for share, more, other, less in (
            ("train", 0.3, "calibration", 0.3),
            ("calibration", 0.5, "evaluation", 0.3),
            ("evaluation", 0.5, "train", 0.1),
        )
    },
    "corpora (prompts).languages": {"corpora.passages.languages": ["de", "en", "sw"]},
    "prompts (demo).languages": {"prompts.made-prompts.languages": ["de", "en", "es", "sw"]},
    "prompts (hub).codes": {"prompts.web-prompts.codes.en": "other"},
    "prompts (files).files": {"prompts.my-prompts.files.en": "prompts/other.jsonl"},
    "models.source (gguf).id": {"models.converted.source.path": None, **AT_HUB},
    "models.source (gguf).file": {"models.converted.source.file": "other.gguf"},
    "models.source (pickles).path": {"models.pickled.source.path": "models/old", "models.pickled.source.id": None},
    "models.source (train).vocabulary": {
        "models.trained.source.vocabulary": 513,
        "models.trained.shape.vocabulary": 513,
    },
    "models.shape.vocabulary": {"models.local.shape.vocabulary": 513, "models.hubbed.shape.vocabulary": 513},
    "models.text.corpus": {
        "models.trained.text.corpus": "mine",
        "models.local.text.corpus": "web",
        "models.hubbed.text.corpus": "mine",
    },
    "corpora (hub).codes": {"corpora.web.codes": {"de": "deu_Latn"}},
    "benchmarks.tasks": {"benchmarks.added.tasks": {"de": "xnli_en"}},
    "benchmarks.languages": {"benchmarks.added.languages": ["de", "en"]},
    "imports.cells": {
        "imports.tool.cells": [
            {
                "model": "local",
                "method": method,
                "scheme": "0.50",
                "calibration": calibration,
                "seed": 0,
                "source": {"kind": "hub", "id": f"org/other-{method}-{calibration}"},
            }
            for method, calibration in (("sparsegpt", "de"), ("sparsegpt", "en"), ("wanda", "de"))
        ]
    },
    "models.prompts": {"models.trained.prompts": "my-prompts"},
    "studies.grids.models": {"studies.all.grids.gptq.models": ["trained", "local"]},
    "studies.grids.methods": {"studies.all.grids.main.methods": ["wanda", "sparsegpt", "magnitude"]},
    "studies.grids.schemes": {"studies.all.grids.main.schemes": ["0.50", "0.60"]},
    "studies.grids.calibrations": {"studies.all.grids.main.calibrations": ["de", "de-en"]},
    "studies.grids.seeds": {"studies.all.grids.main.seeds": [0, 1]},
    "studies.grids.only_listed": {"studies.all.grids.main.only_listed": True},
    "studies.tables.report": {"studies.all.tables.table3.report": "mask_iou_languages"},
    "studies.tables.grids": {"studies.all.tables.table1.grids": ["main", "owl", "gptq"]},
    "studies.tables.references": {"studies.all.tables.table2.references": ["masks"]},
    "studies.tables.benchmarks": {"studies.all.tables.table2.benchmarks": ["belebele"]},
    "studies.figures.draws": {"studies.all.figures.figure2.draws": "prompt_shift"},
    "studies.figures.grids": {"studies.all.figures.figure2.grids": ["of-local"]},
    "studies.figures.layers": {
        **{f"studies.all.figures.figure{number}.layers": [1, 2] for number in range(1, 12)},
        "studies.all.figures.figure12.layers": [2],
    },
    "studies.figures.matrix": {"studies.all.figures.figure12.matrix": "o_proj"},
    "studies.figures.rank": {"studies.all.figures.figure5.rank": 2, "studies.all.figures.figure6.rank": 1},
}
"""By setting: places and values, where only some places can have another, or several must change together."""

STARTS: dict[str, dict[str, Any]] = {
    "evaluation.data_root": {"evaluation.data_root": "benchmarks"},
    "benchmarks.languages": {"benchmarks.added.tasks": "xnli_{language}", "benchmarks.added.languages": ["de"]},
    "models.source (gguf).file": {"models.converted.source.path": None, **AT_HUB},
}
"""By setting: what the configuration differs in beforehand."""


def everything() -> Config:
    """A configuration in which every setting occurs, with every default written out."""
    return copy.deepcopy(_everything())


@cache
def _everything() -> Config:
    settings = load_settings(yaml.safe_load(EVERYTHING.read_text(encoding="utf-8")), [EVERYTHING])
    return settings.model_dump(mode="json")


def settings_of_types() -> list[str]:
    """Every setting that the types know, in their order."""
    return list(fields_of_types())


def fields_of_types() -> dict[str, tuple[type[Section], str]]:
    """By setting, in the order of the types: the section that has it, and its key there."""
    return dict(_of_type(Settings, ""))


def _of_type(kind: Any, name: str) -> Iterator[tuple[str, tuple[type[Section], str]]]:
    sections = list(_sections(kind))
    tagged = len(sections) > 1
    for section in sections:
        tag = f" ({_tag(section)})" if tagged else ""
        for key, field in section.model_fields.items():
            deeper = f"{name}{tag}.{key}".lstrip(".")
            if list(_sections(field.annotation)):
                yield from _of_type(field.annotation, deeper)
            elif not _is_tag(field):
                yield deeper, (section, key)


def _sections(kind: Any) -> Iterator[type[Section]]:
    """The sections that a value of this type may be, or hold by name."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Section):
        yield kind
    elif origin is Annotated:
        yield from _sections(arguments[0])
    elif origin is dict:
        yield from _sections(arguments[1])
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _sections(argument)


def _tag(section: type[Section]) -> str:
    return get_args(section.model_fields["kind"].annotation)[0]


def _is_tag(field: FieldInfo) -> bool:
    """A `kind`, which with another value would have other settings beside it: another entry."""
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


@cache
def places() -> dict[str, list[tuple[str, FieldInfo]]]:
    """By setting: its places in `everything`, with dots between keys, and what the types say of it there."""
    found: dict[str, list[tuple[str, FieldInfo]]] = {}
    settings = load_settings(everything())
    for name, place, field in _of_value(settings, Settings, "", ""):
        found.setdefault(name, []).append((place, field))
    return found


def _of_value(section: Section, kind: Any, name: str, place: str) -> Iterator[tuple[str, str, FieldInfo]]:
    tag = f" ({_tag(type(section))})" if len(list(_sections(kind))) > 1 else ""
    for key, field in type(section).model_fields.items():
        value, deeper = getattr(section, key), f"{name}{tag}.{key}".lstrip(".")
        at = f"{place}.{key}".lstrip(".")
        if not list(_sections(field.annotation)):
            if not _is_tag(field):
                yield deeper, at, field
        elif isinstance(value, Mapping):
            for each, entry in value.items():
                yield from _of_value(entry, field.annotation, deeper, f"{at}.{each}")
        else:
            yield from _of_value(value, field.annotation, deeper, at)


def before_and_after(name: str) -> tuple[Config, Config]:
    """The configuration, and the same with another value of the setting; both valid.

    Raises:
        LookupError: neither its type nor a table above says which.
    """
    before = edited(everything(), STARTS.get(name, {}))
    edits = EDITS.get(name) or {
        place: _another(name, value_at(before, place), field) for place, field in places()[name]
    }
    after = edited(before, edits)
    load_settings(after)
    return before, after


def _another(name: str, value: Any, field: FieldInfo) -> Any:
    if name in VALUES:
        return VALUES[name]
    if get_origin(field.annotation) is Literal:
        return next(choice for choice in get_args(field.annotation) if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.5
    raise LookupError(f"tests/helpers/leaves.py does not say what else {name} could be than {value!r}")


def value_at(config: Config, place: str) -> Any:
    node: Any = config
    for key in place.split("."):
        node = node[key]
    return node


def edited(config: Config, edits: Mapping[str, Any]) -> Config:
    result = copy.deepcopy(config)
    for place, value in edits.items():
        folder, _, key = place.rpartition(".")
        value_at(result, folder)[key] = value
    return result
