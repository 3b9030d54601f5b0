"""The page in Chromium: wide, narrow and in print; what it complains of, what it asks for, keys, contrast."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.browser import CHROMIUM, Browser, browser
from tests.helpers.page import write_study

from polyprune.stages.write_report import write_report

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO CHROMIUM: pages are not looked at; on Debian: apt-get install chromium"
)
SHIFT = 8
CONTRAST = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *:not(script):not(style)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest("svg, option, #tip")) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML.slice(0, 120)]);
  }
  return found.sort((a, b) => a[0] - b[0]).slice(0, 3);
})()
"""
BEYOND = """
[...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > %d + 1
  && !each.closest(".wide") && !each.closest(".skip")).map((each) => each.outerHTML.slice(0, 100))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_report(**write_study(folder), output=folder / "report.html", provenance={})
    return folder / "report.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


def shots(page: Path) -> Path:
    """Where pictures of the page are left to be looked at: POLYPRUNE_SHOTS, or beside it."""
    folder = Path(os.environ.get("POLYPRUNE_SHOTS", page.parent / "shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("width", [1440, 390])
def test_it_fits_complains_of_nothing_and_asks_for_nothing(chromium: Browser, page: Path, width: int):
    chromium.complaints.clear()
    chromium.requests.clear()
    chromium.open(page, width)
    assert chromium.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    assert chromium.evaluate(BEYOND % width) == []
    assert chromium.evaluate("document.querySelectorAll('#gains .scatterlayer .trace').length") == 4
    chromium.screenshot(shots(page) / f"{width}.png", whole=True)
    assert chromium.complaints == []
    assert [url for url in chromium.requests if not url.startswith("data:")] == [page.resolve().as_uri()]


def test_a_complaint_and_a_request_would_be_seen(chromium: Browser, tmp_path: Path):
    bad = tmp_path / "bad.html"
    bad.write_text("<html data-ready=yes><img src='http://localhost:1/x.png'><script>nothing()</script></html>")
    chromium.open(bad, 390)
    assert any("nothing is not defined" in each for each in chromium.complaints)
    assert "http://localhost:1/x.png" in chromium.requests


def test_in_print_nothing_is_cut_and_controls_are_gone(chromium: Browser, page: Path):
    chromium.open(page, 700)
    chromium.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert chromium.evaluate("document.documentElement.scrollWidth") == 700
        assert (
            chromium.evaluate("[...document.querySelectorAll('.wide')].filter((e) => e.scrollWidth > 700).length") == 0
        )
        assert chromium.evaluate("document.querySelector('.toolbar').getClientRects().length") == 0
        chromium.screenshot(shots(page) / "print.png", whole=True)
    finally:
        chromium.call("Emulation.setEmulatedMedia", media="")
    closed = "document.querySelectorAll('details:not([open])').length"
    chromium.evaluate(f"addEventListener('beforeprint', () => {{ window.closedOnPaper = {closed}; }})")
    before = chromium.evaluate(closed)
    chromium.print(shots(page) / "page.pdf")
    assert chromium.evaluate("window.closedOnPaper") == 0
    assert chromium.evaluate(closed) == before > 0
    assert (shots(page) / "page.pdf").read_bytes().startswith(b"%PDF")


def test_letters_stand_out(chromium: Browser, page: Path):
    """WCAG AA: 4.5 to 1, numbers on shades included."""
    chromium.open(page, 1440)
    worst: list[Any] = chromium.evaluate(CONTRAST)
    assert worst[0][0] >= 4.5, worst


def test_a_column_is_sorted_best_first_then_worst_first_then_as_it_was(chromium: Browser, page: Path):
    chromium.open(page, 1440)
    column = "[...document.querySelectorAll('.heat')[0].tBodies[0].rows].map((row) => row.cells[2].textContent)"
    click = "document.querySelectorAll('.heat')[0].tHead.rows[0].cells[2].querySelector('button').click()"
    before = chromium.evaluate(column)
    chromium.evaluate(click)
    best = [float(text) for text in chromium.evaluate(column)]
    assert best == sorted(best, reverse=True) and before != chromium.evaluate(column)
    assert chromium.evaluate("document.querySelectorAll('th[aria-sort=descending]').length") == 1
    chromium.evaluate(click)
    assert [float(text) for text in chromium.evaluate(column)] == sorted(best)
    chromium.evaluate(click)
    assert chromium.evaluate(column) == before


def test_languages_and_methods_are_put_away_and_brought_back(chromium: Browser, page: Path):
    chromium.open(page, 1440)
    visible = "[...document.querySelectorAll('%s')].filter((e) => e.getClientRects().length).length"
    cells, sections = visible % ".heat td[data-language=de]", visible % "#tables section.block"
    toggle = "(box => { box.checked = !box.checked; box.dispatchEvent(new Event('change')) })"
    before = chromium.evaluate(cells), chromium.evaluate(sections)
    assert before == (4 * 8, 4)
    chromium.evaluate(f"{toggle}(document.querySelector('input[name=language][value=de]'))")
    assert chromium.evaluate(cells) == 0 and chromium.evaluate(visible % ".heat tr[data-language=de]") == 0
    chromium.evaluate(f"{toggle}(document.querySelector('input[name=method][value=wanda]'))")
    assert chromium.evaluate(sections) == 2
    assert chromium.evaluate("document.querySelectorAll('#gains .scatterlayer .trace').length") == 2
    for name in ("language][value=de", "method][value=wanda"):
        chromium.evaluate(f"{toggle}(document.querySelector('input[name={name}]'))")
    assert (chromium.evaluate(cells), chromium.evaluate(sections)) == before


def test_keys_reach_a_number_and_its_note(chromium: Browser, page: Path):
    chromium.open(page, 1440)
    chromium.press("Tab")
    assert chromium.evaluate("document.activeElement.className") == "skip"
    chromium.evaluate("document.querySelector('.heat td[tabindex=\"0\"]').focus()")
    chromium.press("ArrowDown")
    chromium.press("ArrowRight")
    note = chromium.evaluate("document.getElementById('tip').hidden ? '' : document.getElementById('tip').innerText")
    assert "AR, DE" in note and "95 %" in note and "n = 200" in note and "results/m/sparsegpt/0.50/ar/seed*/" in note
    assert "2 seeds" in note and "the paper prints 41.5" in note and "± 1.25" in note
    assert chromium.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    chromium.press("Escape")
    assert chromium.evaluate("document.getElementById('tip').hidden")
    chromium.press("Tab")
    assert chromium.evaluate("document.activeElement.closest('.heat') === document.querySelector('.heat')") is False
    chromium.press("Tab", SHIFT)
    assert chromium.evaluate("document.activeElement.textContent.length > 0")
