"""A study beside the paper, from files: a study with the paper's own numbers differs nowhere."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyprune.artifacts.measurements import TABLE
from polyprune.artifacts.tables import save_table
from polyprune.report.printed import load_printed
from polyprune.stages.compare_with_paper import compare_with_paper

PAPER = Path(__file__).parents[2] / "data" / "paper" / "table9.csv"


def test_the_papers_own_numbers_differ_nowhere_and_others_do(tmp_path: Path) -> None:
    printed = load_printed(PAPER)
    ours = printed.assign(value=printed["mean"], seed=0).drop(columns=["mean", "std"])
    ours.loc[ours.index[0], "value"] += 2.5
    save_table(tmp_path / "table9.parquet", TABLE, pa.Table.from_pandas(ours, preserve_index=False), {})
    made = []
    for name in ("a", "b"):
        rows, page = tmp_path / f"{name}.parquet", tmp_path / f"{name}.md"
        compare_with_paper([tmp_path / "table9.parquet"], [PAPER], "Mine", rows, page, {"code": "x"})
        made.append((rows.read_bytes(), page.read_bytes()))
    assert made[0] == made[1]
    differences = pq.read_table(tmp_path / "a.parquet").to_pandas()["difference"]
    assert len(differences) == len(printed) and differences[differences.abs() > 1e-9].to_list() == pytest.approx([2.5])
    assert made[0][1].decode().startswith("# Mine, beside the paper")
