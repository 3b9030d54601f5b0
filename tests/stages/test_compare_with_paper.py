"""A study beside the paper, from files: a study with the paper's own numbers differs nowhere."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.helpers.titles import titles_of

from polyprune.artifacts.measurements import TABLE
from polyprune.artifacts.tables import save_table
from polyprune.report.printed import load_printed
from polyprune.stages.compare_with_paper import compare_with_paper

PAPER = Path(__file__).parents[2] / "data" / "paper" / "table9.csv"


def test_the_papers_own_numbers_differ_nowhere_and_others_do(tmp_path: Path) -> None:
    lines = PAPER.read_text(encoding="utf-8").splitlines(keepends=True)
    paper = tmp_path / "paper" / "table9.csv"
    paper.parent.mkdir()
    paper.write_text(
        "".join(line for line in lines if line.startswith(("model,", "llama-3-8b,wanda"))), encoding="utf-8"
    )
    printed = load_printed(paper)
    ours = printed.assign(value=printed["mean"], seed=0, n=900, unit="1").drop(columns=["mean", "std"])
    ours.loc[ours.index[0], "value"] += 2.5
    save_table(tmp_path / "table9.parquet", TABLE, pa.Table.from_pandas(ours, preserve_index=False), {})
    made = []
    for name in ("a", "b"):
        rows, page, pictures = tmp_path / f"{name}.parquet", tmp_path / f"{name}.md", tmp_path / name
        titles = titles_of({"llama-3-8b": "Llama-3 8B"})
        compare_with_paper([tmp_path / "table9.parquet"], [paper], "mine", titles, rows, page, pictures, {"code": "x"})
        assert [each.name for each in pictures.iterdir()] == ["table9.png"]
        made.append((rows.read_bytes(), page.read_bytes(), (pictures / "table9.png").read_bytes()))
    assert made[0] == made[1]
    differences = pq.read_table(tmp_path / "a.parquet").to_pandas()["difference"]
    assert len(differences) == len(printed) and differences[differences.abs() > 1e-9].to_list() == pytest.approx([2.5])
    assert made[0][1].decode().startswith("# mine, beside the paper")
