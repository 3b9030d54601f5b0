"""The pages of docs/ become a site without a warning, with the package's docstrings; the README needs no glossary."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.checkout import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does; `strict` makes a warning an error."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "WARNING -" not in run.stdout + run.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = [file.with_suffix(".html").name for file in (ROOT / "docs").glob("*.md")]
    assert len(pages) > 15 and all((site / page).is_file() for page in pages)


def test_docstrings_are_on_the_pages_of_their_rooms(site: Path) -> None:
    page = (site / "api/polyprune.maths.html").read_text(encoding="utf-8")
    assert "wanda_keep" in page and "WANDA-2" in page
    rooms = {path.parent for path in (ROOT / "workflow_scripts/polyprune").rglob("[a-z]*.py")}
    assert len(list((site / "api").glob("*.html"))) == len(rooms)


def test_links_of_the_tour_lead_to_the_lines_of_the_site(site: Path) -> None:
    page = (site / "tour.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(source/[\w./-]+\.html)#(__codelineno-0-\d+)"', page)
    assert len(links) > 25
    assert all(f'id="{line}"' in (site / file).read_text(encoding="utf-8") for file, line in links)


def test_no_page_needs_an_address_outside(site: Path) -> None:
    for page in ("index.html", "tour.html"):
        text = (site / page).read_text(encoding="utf-8")
        assert re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="https?://', text) == []


def test_the_readme_does_without_words_of_ours() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").split("## Words of the field")[0]
    words = re.findall(r"^\| \*(\w+)\*", glossary, flags=re.MULTILINE)
    assert len(words) > 5
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|[\w/]+\.md", "", text, flags=re.DOTALL)
    assert [word for word in words if re.search(rf"\b{word}s?\b", prose, flags=re.IGNORECASE)] == []
    lines = text.splitlines()
    assert len(lines) < 150 and max(map(len, lines)) <= 120
