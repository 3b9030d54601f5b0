"""Tables of benchmarks from score files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.helpers.headers import scored

from polyprune.artifacts.evaluations import SCORES, SCORES_SCHEMA
from polyprune.artifacts.tables import save_table
from polyprune.errors import UserError
from polyprune.report.tables.benchmarks import report
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
                    "value": VALUES[calibration] + bonus + 0.02 * (seed or 0) if headline else 0.01,
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


def made(files: list[Path], paper: list[Path], benchmarks: tuple[str, ...] = ("arc", "mkqa")) -> Report:
    table = Table(title="Tasks", report="benchmarks", grids=["g"], benchmarks=list(benchmarks))
    return report(files, paper, table, {"tiny": "Tiny"})


def test_table_by_hand(files: list[Path], tmp_path: Path) -> None:
    paper = tmp_path / "paper.csv"
    paper.write_text(
        "model,method,scheme,calibration,metric,eval_language,mean,std\n"
        "tiny,wanda,0.50,de,arc,en-e,48.5,0.3\ntiny,dense,dense,dense,arc,de,36.6,\n"
    )
    table = made(files, [paper])
    rows = table.rows.to_pandas()
    assert len(rows) == 7 * 6 and set(rows["unit"]) == {"%"}
    of_german = rows[(rows["calibration"] == "de") & (rows["metric"] == "arc")]
    assert of_german[of_german["eval_language"] == "de"]["value"].tolist() == pytest.approx([60.0, 62.0])
    assert of_german[of_german["eval_language"] == "en-e"]["paper_value"].tolist() == [48.5, 48.5]
    assert of_german[of_german["eval_language"] == "en-c"]["paper_value"].isna().all()
    text = table.page
    assert table.provenance == {"profiles": ["paper"]}
    assert "# Tasks; prompts: paper" in text
    assert "diagonal best in 3 of 3 ARC columns (MKQA 2/2)" in text  # en-c and en-e are English; Swahili has no row
    assert "all 3" in text  # the mix of all languages of all panels
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert lines[0] == ["ARC [%] ↑", "DE", "EN-E", "EN-C", "SW"]
    assert lines[2] == ["dense", "90.0 (36.6)", "90.0", "90.0", "90.0"]
    assert lines[3] == ["DE", "**61.0** ± 1.4", "51.0 ± 1.4 (48.5)", "51.0 ± 1.4", "51.0 ± 1.4"]


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
