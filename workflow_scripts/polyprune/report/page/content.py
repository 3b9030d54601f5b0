"""What a page is made from, and how files of results become it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from polyprune.artifacts import corpus
from polyprune.artifacts.identity import MODEL
from polyprune.artifacts.json_files import load_record
from polyprune.artifacts.measurements import FRAME
from polyprune.artifacts.pictures import load_picture
from polyprune.artifacts.tables import header_of, open_table, origin_of
from polyprune.grammar.titles import Titles

REVISIONS = ("revision", "commit")
CSS_PIXELS = 0.62
"""Of a picture's pixels, which are 200 an inch: letters of eight points are as large as the page's small ones."""


@dataclass(frozen=True)
class Study:
    """What the configuration says of a study; reaches the page by value."""

    name: str
    tables: Mapping[str, str]
    """Kinds of its tables, by name, in the order of the page; of its figures likewise."""
    figures: Mapping[str, str]
    methods: Mapping[str, str]
    """What each method does, in words, by name in print."""
    cells: int
    trained: bool
    """Whether its models are trained here."""
    titles: Titles


@dataclass(frozen=True)
class Shown:
    """A table or a figure on the page."""

    name: str
    kind: str
    content: Mapping[str, Any]
    """Of a table, `artifacts/sheets.py`; of a figure, title, caption and picture."""
    cells: tuple[int, int] | None = None
    """How many of how many cells are in it, where that is not all."""


@dataclass(frozen=True)
class Part:
    """How far a table or a figure is: `finished`, `outdated` (there, and to be made again) or `outstanding`."""

    name: str
    title: str
    state: str
    done: int
    """Of its cells, those of which all is there that it needs."""
    cells: int


@dataclass(frozen=True)
class Work:
    """How far a study is, and what it costs."""

    lines: Sequence[Mapping[str, Any]] = ()
    """Of `workflow/ledger.py`; the last is the total. None where nothing is outstanding."""
    parts: Sequence[Part] = ()
    """Its tables and figures, in their order."""
    made: int = 0
    """How many of its cells are compressed."""
    finish: str = ""
    """What to type to finish it."""


@dataclass(frozen=True)
class Content:
    study: Study
    tables: Sequence[Shown]
    figures: Sequence[Shown]
    answer: pd.DataFrame
    """Rows of `report/answers/answer.py`."""
    claims: pd.DataFrame
    """Rows of `report/paper/claims.py`, of the study alone."""
    sources: Sequence[Mapping[str, str]]
    """What the numbers were made from: `what`, `name`, `origin`, `revision`, `digest`, `with`."""
    work: Work = field(default_factory=Work)


def read_frame(path: Path) -> pd.DataFrame:
    with open_table(path, FRAME) as file:
        return file.read().to_pandas()


def read_claims(path: Path) -> pd.DataFrame:
    """Those that were judged on the study's numbers."""
    rows = read_frame(path)
    return rows[(rows["numbers"] == "study") & rows["verdict"].notna()]


def read_figure(path: Path, kind: str) -> Shown:
    """A picture with the texts that were drawn into it (`report/figures/drawing.py`), in CSS pixels."""
    picture = load_picture(path)
    content = {
        "title": picture.title,
        "caption": picture.caption,
        "picture": base64.b64encode(path.read_bytes()).decode("ascii"),
        "width": round(picture.width * CSS_PIXELS),
        "height": round(picture.height * CSS_PIXELS),
    }
    return Shown(path.stem, kind, content)


def table_sources(sheets: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    for sheet in sheets:
        yield _source("table", Path(sheet["place"] or "").stem, "", "", sheet["code"], sheet)


def model_source(path: Path) -> dict[str, str]:
    header = load_record(path, MODEL)
    source = header["source"]
    revision = next((str(source[name]) for name in REVISIONS if source.get(name)), "")
    origin = {"hub": source.get("id", ""), "folder": "a folder of this machine"}.get(source["kind"], "trained here")
    return _source("model", path.parent.name, origin, revision, header["digest"], header.get("provenance", header))


def corpus_source(path: Path) -> dict[str, str]:
    with open_table(path, corpus.SCHEMA) as file:
        header = header_of(file)
    origin = origin_of(path, corpus.SCHEMA)
    name = f"{path.parent.name}, {path.stem.upper()}"
    return _source("text", name, origin.get("dataset", ""), origin.get("revision", ""), header["code"], header)


def _source(what: str, name: str, origin: str, revision: str, digest: str, header: Mapping[str, Any]) -> dict[str, str]:
    made = ", ".join(f"{program} {header[program]}" for program in ("polyprune", "torch") if header.get(program))
    return {"what": what, "name": name, "origin": origin, "revision": revision, "digest": digest, "with": made}
