"""Digests of code are remembered for the package as it is, and for no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polyprune.artifacts.known_digests import memory_of
from polyprune.provenance import PACKAGE, code_digest
from polyprune.workflow import known_codes


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """The stages whose digests are worked out; with a cache folder of the test's own."""
    worked_out: list[str] = []

    def code(stage: str, *plugins: str) -> str:
        worked_out.append(stage)
        return code_digest(stage, *plugins)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(known_codes, "code_digest", code)
    monkeypatch.setattr(known_codes.atexit, "register", lambda _: None)
    forget()
    yield worked_out
    forget()


def forget() -> None:
    """As another process begins."""
    known_codes._known.cache_clear()
    known_codes._keep_at_exit.cache_clear()


def test_they_are_worked_out_once_for_many_plans(asked: list[str]) -> None:
    for _ in range(2):
        assert known_codes.known_code_digest("tabulate") == code_digest("tabulate")
        assert known_codes.known_code_digest("prune_model", "methods/wanda.py") == code_digest(
            "prune_model", "methods/wanda.py"
        )
        known_codes._keep()
        forget()
    assert asked == ["tabulate", "prune_model"]


def test_those_of_another_package_are_not_taken(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    known_codes.known_code_digest("tabulate")
    known_codes._keep()
    forget()
    monkeypatch.setattr(known_codes, "package_digest", lambda: "another")
    known_codes.known_code_digest("tabulate")
    assert asked == ["tabulate", "tabulate"]


def test_a_package_that_is_edited_while_it_is_read_is_not_remembered(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known_codes.known_code_digest("tabulate")
    monkeypatch.setattr(known_codes, "package_digest", lambda: "another")
    known_codes._keep()
    memory = memory_of(PACKAGE)
    assert asked and memory and not memory.exists()


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data.replace(b"tabulate", b"tabulata")])
def test_a_damaged_memory_is_not_taken(asked: list[str], damage: Callable[[bytes], bytes]) -> None:
    known_codes.known_code_digest("tabulate")
    known_codes._keep()
    memory = memory_of(PACKAGE)
    assert memory
    memory.write_bytes(damage(memory.read_bytes()))
    forget()
    assert known_codes.known_code_digest("tabulate") == code_digest("tabulate")
    assert asked == ["tabulate", "tabulate"]
