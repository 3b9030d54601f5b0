"""Folders in which a job takes away its output."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.taken_away import EXPORT, MASK, Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place("prune_model", MASK)


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A job that writes more than its output."""
    monkeypatch.chdir(tmp_path)
    place = Place("export_model", EXPORT)
    (place.output.parent / "weights").write_text("old weights")
    return place
