"""A study's page as HTML: one text, with styles, scripts and pictures inside. Equal contents, equal bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.colors import to_hex

from polyprune.report.answers.answer_text import NOTES, REFERENCES, gain_text
from polyprune.report.figures.drawing import SHADES
from polyprune.report.page import explanations, progress, verdict
from polyprune.report.page.content import Content, Shown
from polyprune.report.tables.blocks import NUMBERS
from polyprune.report.tables.picture import ink_on

_HERE = Path(__file__).parent
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#16202a", "#56b4e9", "#b35c00", "#882255")
_STEPS = 16


def render(content: Content, machine: Sequence[tuple[str, str]], spent: Sequence[Mapping[str, Any]]) -> str:
    """The page. `machine` and `spent` are of `report/page/machine.py`."""
    answers = [_block(block) for block in verdict.blocks(content.answer, content.study.titles)]
    tables = [_table(shown) for shown in content.tables]
    figures = [_figure(shown) for shown in content.figures]
    claims = content.claims.to_dict("records")
    work = content.work
    total = work.lines[-1] if work.lines else None
    gains = _gains(answers)
    found = {line["by"] for each in answers for line in each["lines"]}
    template = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string((_HERE / "page.html").read_text(encoding="utf-8"))
    return template.render(
        title=f"Study {content.study.name}",
        study=content.study,
        version=_versions(content),
        total=total,
        states=list(progress.states(work.parts)),
        parts=[part for part in work.parts if part.state != "finished"],
        made=work.made,
        percent=math.floor(100 * work.made / content.study.cells),
        label=progress.label,
        finish=work.finish,
        lines=work.lines,
        sections=_sections(figures, claims),
        headline=verdict.headline(content.answer),
        verdict=list(verdict.sentences(content.answer))[1:],
        trained=explanations.TRAINED,
        notes=NOTES.replace("*", ""),
        toolbar=_toolbar(content, tables),
        answers=answers,
        gains=gains,
        by=[name for name in verdict.HEADINGS.values() if name in found],
        over=[name for name in REFERENCES.values() if any(name in each["over"] for each in answers)],
        tables=tables,
        scale=", ".join(to_hex(SHADES(step / _STEPS)) for step in range(_STEPS + 1)),
        figures=figures,
        claims=claims,
        methods=list(content.study.methods.items()),
        machine=machine,
        sources=content.sources,
        spent=spent,
        numbers=_json(NUMBERS),
        gains_json=_json(gains),
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        js=_script((_HERE / "page.js").read_text(encoding="utf-8")),
        plotly=_script(_plotly()) if gains["blocks"] else "",
    )


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _script(text: str) -> Markup:
    """A script that may stand within HTML: what would end it is escaped, as strings of JavaScript allow."""
    return Markup(text.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def _json(value: Any) -> Markup:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _versions(content: Content) -> str:
    made = sorted({str(row["with"]).removeprefix("polyprune ") for row in content.sources if row["with"]})
    return "; ".join(made)


def _sections(figures: Sequence[Any], claims: Sequence[Any]) -> list[tuple[str, str]]:
    found = [("verdict", "The answer"), ("answers", "Language by language"), ("tables", "Tables")]
    found += [("figures", "Figures")] if figures else []
    found += [("claims", "Claims")] if claims else []
    return [*found, ("methods", "Methods"), ("provenance", "Provenance"), ("work", "Outstanding and cost")]


def _toolbar(content: Content, tables: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Groups of boxes: name, legend, (value, label); those in which there is a choice."""
    sections = [section for table in tables for section in table["sections"]]
    codes = sorted({column["language"] for section in sections for grid in section["grids"]
                    for column in grid["columns"] if column["language"] and "-" not in column["language"]})  # fmt: skip
    titles = content.study.titles
    models = [(key, title) for key, title in titles.models.items() if any(s["model"] == key for s in sections)]
    methods = [(key, title) for key, title in titles.methods.items() if any(s["method"] == key for s in sections)]
    groups = [
        ("language", "Languages", [(code, code.upper()) for code in codes]),
        ("method", "Methods", methods),
        ("model", "Models", models),
    ]
    return [group for group in groups if len(group[2]) > 1]


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    over = [name for name in REFERENCES.values() if any(name in line["gains"] for line in block["lines"])]
    lines = [
        {**line, "texts": {name: gain_text(line["gains"][name]) if name in line["gains"] else "" for name in over}}
        for line in block["lines"]
    ]
    return {**block, "lines": lines, "over": over}


def _gains(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the chart is drawn from; a gain without an interval stands in the list alone."""
    blocks = []
    for block in answers:
        lines = [
            {
                "language": line["language"],
                "by": line["by"],
                "gains": {name: gain for name, gain in line["gains"].items() if all(map(_finite, gain.values()))},
            }
            for line in block["lines"]
        ]
        lines = [line for line in lines if line["gains"]]
        if lines:
            blocks.append({**{name: block[name] for name in ("heading", "model", "method")}, "lines": lines})
    languages = sorted({line["language"] for block in blocks for line in block["lines"]})
    return {"blocks": blocks, "languages": languages, "colours": list(COLOURS)}


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _table(shown: Shown) -> dict[str, Any]:
    sheet = shown.content
    said = explanations.TABLES.get(shown.kind, explanations.UNKNOWN)
    return {
        "name": shown.name,
        "label": progress.label(shown.name),
        "title": sheet["title"],
        "caption": sheet["caption"],
        "ends": sheet["ends"],
        "shows": said.shows,
        "not_shows": said.not_shows,
        "cells": shown.cells,
        "sections": [_section(section) for section in sheet["sections"]],
    }


def _section(section: Mapping[str, Any]) -> dict[str, Any]:
    model, method, scheme = section["block"]
    by_calibration = section["down"].startswith("calibration")
    root = f"results/{model}/{method}/{scheme}"
    rows = []
    for place, (label, key) in enumerate(zip(section["rows"], section["keys"], strict=True)):
        known = by_calibration and key not in ("dense", "target")
        path = f"results/{model}/dense/" if key == "dense" else f"{root}/{key}/seed*/" if known else ""
        rows.append({"label": label, "language": key if known else "", "path": path, "rule": place == section["rule"]})
    grids = [_grid(grid, rows) for grid in section["grids"]]
    return {"heading": section["heading"], "model": model, "method": method, "grids": grids}


def _grid(grid: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = [
        {"label": label, "language": _language(key, grid["across"])}
        for label, key in zip(grid["columns"], grid["keys"], strict=True)
    ]
    filled = [
        {**row, "cells": [_cell(grid, at, column, columns[column]["language"]) for column in range(len(columns))]}
        for at, row in enumerate(rows)
        if any(text.strip() for text in grid["texts"][at])
    ]
    arrow = {True: " ↑", False: " ↓", None: ""}[grid["larger_is_better"]]
    return {
        "title": grid["title"] if grid["title"].endswith(("↑", "↓")) else grid["title"] + arrow,
        "note": grid["note"],
        "larger": "false" if grid["larger_is_better"] is False else "true",
        "columns": columns,
        "rows": filled,
    }


def _language(key: str, across: str) -> str:
    """What a column is put away with; nothing where columns are no languages."""
    return key.split("-")[0] if across == "evaluation language" else key if "language" in across else ""


def _cell(grid: Mapping[str, Any], row: int, column: int, language: str) -> dict[str, Any]:
    shade = grid["shades"][row][column]
    known = [grid["numbers"].get(name) for name in NUMBERS]
    numbers = ["" if each is None else _plain(each[row][column]) for each in known]
    return {
        "text": grid["texts"][row][column],
        "colour": "" if shade is None else to_hex(SHADES(shade)),
        "ink": "" if shade is None else ink_on(SHADES, shade),
        "frame": grid["frames"][row][column],
        "numbers": "|".join(numbers) if any(numbers) else "",
        "language": language,
    }


def _plain(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.6g}"


def _figure(shown: Shown) -> dict[str, Any]:
    said = explanations.FIGURES.get(shown.kind, explanations.UNKNOWN)
    return {
        **shown.content,
        "name": shown.name,
        "label": progress.label(shown.name),
        "shows": said.shows,
        "not_shows": said.not_shows,
    }
