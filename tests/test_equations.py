"""Every equation has one home, the docstring of the module that implements it, and at least one test that cites it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MATHS = ROOT / "workflow_scripts" / "polyprune" / "maths"
DEFINITION = re.compile(r"^ *([A-Z]{2,}-\d+)  +\S", re.MULTILINE)
CITATION = re.compile(r"\b([A-Z]{2,})-(\d+)\b(?:(?: to |\.\.)(?:[A-Z]{2,}-)?(\d+)\b)?")


def definitions() -> dict[str, list[str]]:
    """Modules that define each equation: a line of the docstring that begins with its id."""
    found: dict[str, list[str]] = {}
    for file in sorted(MATHS.glob("*.py")):
        for name in DEFINITION.findall(ast.get_docstring(ast.parse(file.read_text())) or ""):
            found.setdefault(name, []).append(file.name)
    return found


def cited(text: str) -> set[str]:
    """Ids in the text; `ALPS-1..3` and `ALPS-1 to ALPS-3` are three."""
    return {
        f"{family}-{number}"
        for family, first, last in CITATION.findall(text)
        for number in range(int(first), int(last or first) + 1)
    }


def test_ranges_are_read_as_all_their_members():
    assert cited("AB-1..3, CD-2 and EF-1 to EF-2; not float-32 or X-1") == {
        "AB-1",
        "AB-2",
        "AB-3",
        "CD-2",
        "EF-1",
        "EF-2",
    }


@pytest.mark.parametrize("equation", definitions())
def test_an_equation_is_defined_once_and_cited_by_a_test(equation: str):
    assert len(definitions()[equation]) == 1
    files = [file for file in (ROOT / "tests").rglob("test_*.py") if file.name != Path(__file__).name]
    assert any(equation in cited(file.read_text()) for file in files), f"no test cites {equation}"


def test_what_functions_cite_is_defined():
    known = set(definitions())
    families = {name.split("-")[0] for name in known}
    for file in MATHS.glob("*.py"):
        unknown = {name for name in cited(file.read_text()) if name.split("-")[0] in families} - known
        assert not unknown, f"{file.name} cites {', '.join(sorted(unknown))}, which no docstring defines"
