"""What can be put away on a page."""

from __future__ import annotations

import json
import re
from errno import EROFS
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from tests.helpers.page import STUDY, TITLES, blocks, columns

from polyprune.report.answers.answer import best_calibrations
from polyprune.report.page import __main__
from polyprune.report.page.content import Content, Shown
from polyprune.report.page.render import render
from polyprune.report.tables import heatmap
from polyprune.report.tables.sheet import sheet_of


def boxes(across: str, keys: list[str]) -> list[str]:
    """The languages that a page offers, of tables with such columns."""
    sheet: dict[str, Any] = sheet_of(heatmap.picture(blocks(columns(0.3)), "T", TITLES))
    for section in sheet["sections"]:
        for grid in section["grids"]:
            grid |= {"across": across, "keys": keys}
    page = render(
        Content(STUDY, [Shown("table1", "drift", sheet)], [], best_calibrations({}), pd.DataFrame(), []), [], []
    )
    return re.findall(r'name="language" value="([^"]*)"', page)


@pytest.mark.parametrize(
    ("across", "keys", "offered"),
    [
        ("evaluation language", ["ar", "de", "en-e", "en-c", "ru", "sw", "zh"], ["ar", "de", "en", "ru", "sw", "zh"]),
        ("two languages", ["ar-de", "de-en", "de", "en", "ru", "sw", "zh"], ["de", "en", "ru", "sw", "zh"]),
        ("", ["all", "first layer", "equal", "text", "a", "b", "c"], []),
    ],
)
def test_columns_that_are_no_languages_are_not_offered_as_such(across: str, keys: list[str], offered: list[str]):
    assert boxes(across, keys) == offered


def test_a_page_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(EROFS, "Read-only file system")

    study = SimpleNamespace(titles=SimpleNamespace(models={}))
    monkeypatch.setattr(__main__, "content_of", lambda *_: SimpleNamespace(study=study))
    monkeypatch.setattr(__main__, "render", lambda *_: "a page")
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr("sys.stdin", StringIO(json.dumps({"output": str(tmp_path / "quick/report.html")})))
    assert __main__.main() == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/quick/report.html cannot be written") and len(said.splitlines()) == 1
