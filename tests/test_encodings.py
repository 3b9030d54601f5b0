"""Text files are read and written as UTF-8 whatever the machine's locale: no text is opened without an encoding."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "workflow_scripts" / "polyprune"
TEXT = {"read_text", "write_text", "open"}


def without_encoding(code: str) -> list[str]:
    """Calls that open text in the encoding of the locale."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            modes = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            of_bytes = any(isinstance(mode, str) and "b" in mode for mode in modes)
            of_other_things = ast.unparse(node.func) in ("os.open", "gzip.open", "Image.open", "h5py.h5d.open")
            named = any(keyword.arg == "encoding" for keyword in node.keywords)
            if name in TEXT and not (named or of_other_things or (name == "open" and of_bytes)):
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_text_is_opened_with_an_encoding(file: Path) -> None:
    assert without_encoding(file.read_text(encoding="utf-8")) == []


def test_what_would_be_found() -> None:
    assert without_encoding("a.write_text(t)\na.read_text()\nopen(a)\na.open()") == [
        *("a.write_text(t)", "a.read_text()", "open(a)", "a.open()"),
    ]
    assert without_encoding("open(a, 'rb')\na.open('wb')\na.read_text(encoding='utf-8')\na.read_bytes()") == []
