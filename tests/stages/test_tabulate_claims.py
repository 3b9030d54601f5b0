"""The paper's claims as files: verdicts and block tests, from the numbers in print, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from tests.helpers.titles import titles_of

from polyprune.report.paper.claim_list import CLAIMS
from polyprune.stages.tabulate_claims import tabulate_claims

PAPER = sorted((Path(__file__).parents[2] / "data" / "paper").glob("table*.csv"))


def test_every_claim_has_a_verdict_on_the_printed_numbers(tmp_path: Path) -> None:
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        claims, words, blocks, tests = (folder / name for name in ("c.parquet", "c.md", "b.parquet", "b.md"))
        tabulate_claims(PAPER, [], "Claims", titles_of({}), claims, words, blocks, tests, {"code": "x"})
        made.append([path.read_bytes() for path in (claims, words, blocks, tests)])
    assert made[0] == made[1]
    rows = pq.read_table(tmp_path / "a" / "c.parquet").to_pandas()
    assert len(rows) == len(CLAIMS) and set(rows["verdict"]) <= {"holds", "half", "no"}
    assert pq.read_table(tmp_path / "a" / "b.parquet").num_rows > 0
