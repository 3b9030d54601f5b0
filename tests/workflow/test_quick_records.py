"""Snakemake's records are read as it reads them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.persistence import file
from snakemake.persistence.file import FilePersistence

from polyprune.workflow import quick_records
from polyprune.workflow.quick_records import record_of


@pytest.fixture
def persistence(tmp_path: Path) -> Any:
    """One with a record of a file, of one with a long name, and of three that are damaged."""
    made: Any = FilePersistence.__new__(FilePersistence)
    made._max_len, made._metadata_path = None, str(tmp_path)
    for name in ("a.md", "b" * 400):
        made._io_write(str(tmp_path), {"rule": name, "endtime": 1.5, "params": ["'ü'"]}, name)
    for name, content in {"half": b'{"rule": "a', "empty": b"", "text": b"\xff"}.items():
        made._io_write(str(tmp_path), {}, name)
        Path(made._record_path(str(tmp_path), name)).write_bytes(content)
    return made


@pytest.mark.parametrize("name", ["a.md", "b" * 400, "none", "none/below", "half", "empty"])
def test_records_are_read_as_snakemake_does(
    persistence: Any, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    monkeypatch.setattr(file.logger, "warning", said.append)
    theirs = quick_records._THEIRS(persistence, str(tmp_path), name), list(said)
    said.clear()
    assert (quick_records._io_read(persistence, str(tmp_path), name), said) == theirs
    assert bool(theirs[1]) == (name in ("half", "empty"))
    assert bool(theirs[0]) == (name[0] in "ab")


def test_what_snakemake_cannot_read_it_says_itself(persistence: Any, tmp_path: Path) -> None:
    with pytest.raises(UnicodeDecodeError):
        quick_records._io_read(persistence, str(tmp_path), "text")


def test_entries_of_a_record_are_read_wherever_snakemake_keeps_it(persistence: Any) -> None:
    assert record_of(persistence, "a.md") == {"rule": "a.md", "endtime": 1.5, "params": ["'ü'"]}
    assert record_of(persistence, "none") is None
    elsewhere = SimpleNamespace(metadata=lambda output: {"rule": output})
    assert record_of(elsewhere, "a.md") == {"rule": "a.md"}
