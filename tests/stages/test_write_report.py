"""The page of a study: what it says, from which files; the same bytes from the same files; nothing from elsewhere."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tests.helpers.page import STUDY, TITLES, blocks, columns, write_study

from polyprune.artifacts.measurements import save_frame
from polyprune.errors import UserError
from polyprune.grammar.reports import DRAWINGS, TABLES
from polyprune.report.figures.drawing import SHADES
from polyprune.report.page import explanations, machine
from polyprune.report.tables import heatmap
from polyprune.report.tables.picture import ink_on
from polyprune.stages.write_report import write_report


def written(folder: Path, gain: float = 0.3) -> str:
    write_report(**write_study(folder, gain), output=folder / "report.html", provenance={})
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("study"))


def text_of(page: str) -> str:
    plain = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", plain)))


def test_the_verdict_comes_first_and_says_what_the_numbers_say(page: str, tmp_path: Path):
    text = text_of(page)
    said = "average other language in 4 of 4 combinations of model, method and scheme (p < .05, one-sided exact"
    assert text.index(said) < text.rindex("Language by language") < text.index("Table 1.")
    turned = text_of(written(tmp_path, gain=-0.3))
    assert "in 0 of 4 combinations of model, method and scheme (p < .05" in turned and "the gain is −" in turned


def test_every_number_has_the_shade_the_letters_and_the_frame_of_the_picture(page: str):
    found = re.findall(
        r'<td tabindex="-1"( data-language="\w+")?( class="frame")?(?: style="background:(#\w+);color:(#\w+)")?'
        r'(?: data-n="[^"]*")?>([\d.]*)</td>',
        page,
    )
    picture = heatmap.picture(blocks(columns(0.3)), "", TITLES)
    cells = [
        (grid.texts[place], grid.shades[place], bool(grid.frames[place]))
        for section in picture.sections
        for grid in section.grids
        for place in [(row, column) for row in range(len(section.rows)) for column in range(len(grid.columns))]
    ]
    assert len(found) == len(cells) == 4 * 8 * 7
    for (_, frame, colour, ink, text), (wanted, shade, framed) in zip(found, cells, strict=True):
        assert (text, bool(frame)) == (wanted, framed)
        expected = ("", "") if shade != shade else (to_hex(SHADES(shade)), ink_on(SHADES, shade))
        assert (colour, ink) == expected


def test_what_stands_behind_a_number_is_there(page: str):
    """Value, spread, seeds, questions, the paper's number, and by how much it is worse than the best."""
    row = re.search(r'data-path="results/m/sparsegpt/0.50/en/seed\*/" data-language="en"><th scope="row">EN</th>'
                    r'<td[^>]* data-n="([^"]*)"', page)  # fmt: skip
    assert row
    value, std, seeds, n, paper, low, high = row[1].split("|")
    column = columns(0.3)["m", "sparsegpt", "0.50"]["arc", "ar"].values
    assert float(value) == pytest.approx(100 * column["en"].mean(), rel=1e-5)
    assert (std, seeds, n, paper) == ("1.25", "2", "200", "41.5")
    assert float(low) < 100 * (column["ar"].mean() - column["en"].mean()) < float(high)


def test_figures_have_their_texts_and_everything_says_what_it_does_not_show(page: str):
    text = text_of(page)
    assert "Figure 1. A figure's title" in text and "What its caption says, in full." in text
    assert text.count("Does not show:") == 2 and explanations.TABLES["drift"].not_shows in text
    assert set(explanations.TABLES) == set(TABLES) and set(explanations.FIGURES) == set(DRAWINGS)


def test_provenance_names_revisions_digests_versions_commit_and_machine(page: str):
    text = text_of(page)
    for word in (
        "org/m",
        "c0ffee",
        "feedface",
        "org/c",
        "abad1dea",
        "0123456789abcdef",
        "polyprune 0.1.0, torch 2.13.0",
    ):
        assert word in text, word
    for name, value in machine.described():
        assert name in text and value in text


def test_claims_are_those_of_the_study(page: str):
    text = text_of(page)
    assert (
        "half" in text[text.index("The paper’s claims") :]
        and " no " not in re.findall(r"claims, on.*?Methods", text)[0]
    )


def test_the_same_files_give_the_same_bytes(tmp_path: Path):
    assert written(tmp_path / "a") == written(tmp_path / "b")


def test_nothing_of_a_name_is_taken_for_html_and_nothing_is_fetched(page: str):
    assert "<script>alert(1)" not in page and "<b>one</b>" not in page
    assert page.count("<script") == page.count("</script>") == 4
    outside = re.findall(r"<(?:link|img|script|iframe|source)\b[^>]*?(?:src|href)=[\"'](?!data:)[^\"']*", page)
    assert outside == [] and "@import" not in page.split("</style>")[0] and "url(" not in page.split("</style>")[0]


def test_a_study_of_which_nothing_can_be_compared_has_a_page(tmp_path: Path):
    files = write_study(tmp_path)
    files["pictures"] = []
    rows = pd.read_parquet(files["answer"]).iloc[:0]
    files["answer"].unlink()
    save_frame(files["answer"], rows, {})
    write_report(**files, output=tmp_path / "report.html", provenance={})
    text = text_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Nothing can be said over all languages yet" in text and f"All {STUDY.cells} cells" in text


def test_a_damaged_sheet_is_refused(tmp_path: Path):
    files = write_study(tmp_path)
    sheet = files["sheets"][0]
    sheet.write_text(sheet.read_text(encoding="utf-8").replace('"41', '"14', 1).replace(" 1.25", " 1.26", 1))
    with pytest.raises(UserError, match=r"table1\.json"):
        write_report(**files, output=tmp_path / "report.html", provenance={})


def test_costs_are_sums_of_records(tmp_path: Path):
    for seconds, name in ((30.0, "m/prune_model"), (90.0, "m/wanda/prune_model"), (3600.0, "m/dense/evaluation/arc")):
        path = tmp_path / f"{name}.benchmark.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"s": {seconds}}}\n')
    rows = machine.spent(["m", "other"], tmp_path)
    assert [(row["what"], row["jobs"], row["hours"]) for row in rows] == [
        ("benchmarks", 1, "1.00"),
        ("compressing a model", 2, "0.03"),
        ("all", 3, "1.03"),
    ]
