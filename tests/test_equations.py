"""Every equation has one home, the docstring of the module that implements it, and at least one test that cites it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "workflow_scripts" / "polyprune"
METHODS = ROOT / "docs" / "methods.md"
DEFINITION = re.compile(r"^ *([A-Z]{2,}-\d+)  +\S", re.MULTILINE)
CITATION = re.compile(r"\b([A-Z]{2,})-(\d+)\b(?:(?: to |\.\.)(?:[A-Z]{2,}-)?(\d+)\b)?")


@cache
def definitions() -> dict[str, list[str]]:
    """Modules that define each equation: a line of the docstring that begins with its id."""
    found: dict[str, list[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        for name in DEFINITION.findall(ast.get_docstring(ast.parse(file.read_text())) or ""):
            found.setdefault(name, []).append(file.relative_to(PACKAGE).as_posix())
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
    for file in PACKAGE.rglob("*.py"):
        unknown = {name for name in cited(file.read_text()) if name.split("-")[0] in families} - known
        assert not unknown, f"{file.name} cites {', '.join(sorted(unknown))}, which no docstring defines"


def test_the_page_of_methods_lists_all_with_source_module_and_test():
    """Both ways: what is defined stands in its table, with its module and a test that cites it, and nothing else."""
    section = METHODS.read_text(encoding="utf-8").split("## Equations\n")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if ".py`" in line]
    listed: list[str] = []
    for equations, what, source, module, test in lines:
        names = cited(equations)
        listed += names
        assert what and source
        assert names <= cited((ROOT / test.strip("`")).read_text()), f"{test} cites not all of {equations}"
        assert names == {name for name, homes in definitions().items() if homes == [module.strip("`")]}, module
    assert len(listed) == len(set(listed))
    assert set(listed) == set(definitions())


def test_other_equations_of_the_page_are_defined():
    families = {name.split("-")[0] for name in definitions()}
    known = {name for name in cited(METHODS.read_text(encoding="utf-8")) if name.split("-")[0] in families}
    assert known <= set(definitions())
