"""Tables of benchmarks from score files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.helpers.headers import scored
from tests.helpers.pictures import read_table
from tests.helpers.titles import titles_of

from polyprune.artifacts.evaluations import ITEMS, ITEMS_SCHEMA, SCORES, SCORES_SCHEMA
from polyprune.artifacts.tables import save_table
from polyprune.errors import UserError
from polyprune.report.tables.benchmarks import report
from polyprune.report.tables.picture import draw_picture
from polyprune.report.tables.report import Report
from polyprune.settings.studies import Table

COLUMNS = {"arc": ["de", "en-c", "en-e", "sw"], "mkqa": ["de", "en"]}
VALUES = {None: 0.9, "de": 0.5, "en": 0.6, "de-en-sw": 0.7}


def score_file(path: Path, benchmark: str, calibration: str | None, seed: int | None, **changes: Any) -> Path:
    """Scores that are better in the calibration's language, and by the seed."""
    method, scheme = ("wanda", "0.50") if calibration else ("dense", "dense")
    rows = []
    for column in COLUMNS[benchmark]:
        for metric, headline in (("acc", True), ("acc_norm", False)):
            bonus = 0.1 if calibration == column.split("-")[0] else 0.0
            rows.append(
                {
                    "model": "tiny",
                    "method": method,
                    "scheme": scheme,
                    "calibration": calibration or "dense",
                    "seed": seed,
                    "benchmark": benchmark,
                    "eval_language": column,
                    "task": f"{benchmark}_{column}",
                    "metric": metric,
                    "value": VALUES.get(calibration, 0.0) + bonus + 0.02 * (seed or 0) if headline else 0.01,
                    "stderr": 0.1,
                    "unit": "1",
                    "n": 60,
                    "headline": headline,
                    "profile": "paper",
                }
                | changes
            )
    variant = {name: rows[0][name] for name in ("model", "method", "scheme", "calibration", "seed")}
    save_table(path, SCORES_SCHEMA, pa.Table.from_pylist(rows, schema=SCORES), scored(variant))
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    variants = [(None, None), *((calibration, seed) for calibration in ("de", "en", "de-en-sw") for seed in (0, 1))]
    return [
        score_file(tmp_path / f"{benchmark}-{calibration}-{seed}.parquet", benchmark, calibration, seed)
        for benchmark in COLUMNS
        for calibration, seed in variants
    ]


def made(
    files: list[Path],
    paper: list[Path],
    benchmarks: tuple[str, ...] = ("arc", "mkqa"),
    evidence: Sequence[Path] = (),
    references: Sequence[str] = (),
) -> Report:
    about = {"title": "Tasks", "report": "benchmarks", "grids": ["g"]}
    table = Table(**about, benchmarks=list(benchmarks), references=list(references))  # type: ignore[arg-type]
    return report(files, paper, table, titles_of({"tiny": "Tiny"}), evidence)


def lines_of(page: str) -> list[list[str]]:
    """Cells of the rows of a page's tables."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]


def test_table_by_hand(files: list[Path], tmp_path: Path) -> None:
    paper = tmp_path / "paper.csv"
    paper.write_text(
        "model,method,scheme,calibration,metric,eval_language,mean,std\n"
        "tiny,wanda,0.50,de,arc,en-e,48.5,0.3\ntiny,dense,dense,dense,arc,de,36.6,\n"
    )
    table = made(files, [paper])
    rows = table.rows.to_pandas()
    assert len(rows) == 7 * 6 and set(rows["unit"]) == {"%"}
    assert set(rows["score"]) == {"acc"}
    of_german = rows[(rows["calibration"] == "de") & (rows["metric"] == "arc")]
    assert of_german[of_german["eval_language"] == "de"]["value"].tolist() == pytest.approx([60.0, 62.0])
    assert of_german[of_german["eval_language"] == "en-e"]["paper_value"].tolist() == [48.5, 48.5]
    assert of_german[of_german["eval_language"] == "en-c"]["paper_value"].isna().all()
    text = table.page
    assert table.provenance == {"profiles": ["paper"]}
    assert "# Tasks; prompts: paper" in text
    won = "Tiny, Wanda 50 %: target best in 3 of 3 ARC columns (2.0 by chance, 2 alone), MKQA 2 of 2 (1.5, 1)"
    assert won in text and table.log == [won]  # en-c and en-e are English, German ties; Swahili has no row
    assert "all 3" in text  # the mix of all languages of all panels
    lines = lines_of(text)
    assert lines[0] == ["ARC [acc, %] ↑", "DE", "EN-E", "EN-C", "SW"]
    assert lines[2] == ["dense", "90.0 (36.6)", "90.0", "90.0", "90.0"]
    assert "± their standard deviation over seeds" in text
    assert lines[3] == ["DE", "**61.0** ± 1.4", "51.0 ± 1.4 (48.5)", "51.0 ± 1.4", "51.0 ± 1.4"]


def answers(folder: Path, calibration: str, right: dict[str, int], of: int = 60, seed: int = 0) -> Path:
    """Answers to four-way questions, of which the first so many of each column are right."""
    rows = [
        {
            "task": f"arc_{column}",
            "eval_language": column,
            "doc_id": index,
            "doc_hash": f"{column}{index}",
            "correct": index < count,
            "log_likelihoods": [0.0] * 4,
        }
        for column, count in right.items()
        for index in range(of)
    ]
    variant = {"model": "tiny", "method": "wanda", "scheme": "0.50", "calibration": calibration, "seed": seed}
    path = folder / f"items-{calibration}-{seed}.parquet"
    about = {"variant": variant, "benchmark": "arc", "profile": "paper", "sources": {"model": "0123456789abcdef"}}
    save_table(path, ITEMS_SCHEMA, pa.Table.from_pylist(rows, schema=ITEMS), about)
    return path


def test_bold_is_what_questions_cannot_tell_from_the_best(files: list[Path], tmp_path: Path) -> None:
    """Of 60 questions: 31 and 30 right are alike, 31 and 10 are not, and where all are alike nothing is bold."""
    right = {"de": {"de": 31, "en-c": 10, "en-e": 30, "sw": 9}, "en": {"de": 30, "en-c": 31, "en-e": 31, "sw": 9}}
    evidence = [answers(tmp_path, name, columns) for name, columns in right.items()]
    chosen = [file for file in files if file.name.startswith("arc") and "de-en-sw" not in file.name]
    page = made(chosen, [], ("arc",), evidence).page
    header, _, _, german, english = lines_of(page)
    assert header[1:] == ["DE", "EN-E", "EN-C", "SW"]
    assert ["**" in cell for cell in german[1:]] == [False, False, False, False]
    assert ["**" in cell for cell in english[1:]] == [False, False, True, False]
    assert "ARC: 60 questions, told apart from " in page and "chance 25." in page
    assert "what cannot be told from the best of the single-language calibrations" in page


def test_mixes_stand_beside_english_and_the_target(files: list[Path], tmp_path: Path) -> None:
    """Two mixes, of which one is better in German than German is and one worse than English everywhere."""
    for name, value in (("de-en", 0.65), ("de-sw", 0.3)):
        files.append(score_file(tmp_path / f"arc-{name}.parquet", "arc", name, 0, value=value))
    chosen = [file for file in files if file.name.startswith("arc") and "de-en-sw" not in file.name]
    right = {"de": 36, "en": 36, "de-en": 39, "de-sw": 18}
    evidence = [answers(tmp_path, name, dict.fromkeys(COLUMNS["arc"], count)) for name, count in right.items()]
    table = made(chosen, [], ("arc",), evidence, ("singles",))
    rows = {line[0]: line[1:] for line in lines_of(table.page)}
    assert list(rows) == ["ARC [acc, %] ↑", next(iter(list(rows)[1:])), "dense", "EN", "target", "DE+EN", "DE+SW"]
    assert rows["target"][:3] == ["**61.0** ± 1.4", "**71.0** ± 1.4", "**71.0** ± 1.4"] and rows["target"][3] == ""
    assert rows["EN"][0] == "**61.0** ± 1.4" and rows["DE+SW"][0] == "30.0"
    said = "better than target in so many of 3 columns (1.5 by chance), than English of 4 (2.0)"
    assert table.log == [f"Tiny, Wanda 50 %: {said}: DE+EN 1 / 2, DE+SW 0 / 0"]
    assert set(table.rows["calibration"].to_pylist()) == {"dense", "de-en", "de-sw"}
    assert "best of the rows of its column" in table.page and "target: in each column" in table.page
    labels = [cell.row for cell in read_table(lambda: draw_picture(table.picture))[0][0].column("DE")]
    assert labels == ["dense", "EN", "target", "DE+EN", "DE+SW"]


def test_what_is_missing_or_over_other_questions_is_refused(files: list[Path]) -> None:
    with pytest.raises(UserError, match=r"tiny/wanda/0\.50/de/seed1: arc of de is missing.*3 more"):
        made([file for file in files if file.name != "arc-de-1.parquet"], [])
    with pytest.raises(UserError, match="no scores of hellaswag"):
        made(files, [], ("arc", "mkqa", "hellaswag"))
    with pytest.raises(UserError, match="is there twice"):
        made([*files, files[0]], [])
    score_file(files[3], "arc", "en", 0, n=59)
    with pytest.raises(UserError, match=r"tiny/wanda/0\.50/en/seed0: arc of de is over fewer questions"):
        made(files, [])
