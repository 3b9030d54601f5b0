"""JSON files that other programs and people may have touched."""

from pathlib import Path

import pytest

from polyprune.artifacts.json_files import read_json, write_json
from polyprune.errors import UserError


def test_round_trip_and_same_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "ä"})
    write_json(tmp_path / "b.json", {"a": "ä", "b": 1})
    assert read_json(tmp_path / "a.json") == {"a": "ä", "b": 1}
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"a": ')
    with pytest.raises(UserError, match=r"c\.json is not JSON .*restore it"):
        read_json(tmp_path / "c.json")
    with pytest.raises(UserError, match=r"d\.json does not exist"):
        read_json(tmp_path / "d.json")
