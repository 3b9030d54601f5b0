"""Tables and score files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyprune.artifacts import scores
from polyprune.artifacts.scores import save_scores
from polyprune.artifacts.tables import open_table, save_table
from polyprune.errors import UserError

ROW = {
    "model": "tiny", "method": "wanda", "scheme": "0.50", "calibration": "de", "seed": 1, "corpus": "demo",
    "metric": "snr", "eval_language": "en", "layer": "L_normed", "value": 13.979400086720377, "unit": "dB", "n": 4770,
}  # fmt: skip


def test_a_table_keeps_its_columns_and_gets_provenance(tmp_path: Path):
    table = pa.table({"a": [1, 2], "b": ["x", None]}).replace_schema_metadata({"pandas": "{}"})
    save_table(tmp_path / "x", "test/1", table, {"z": 1, "a": "语"})
    loaded = pq.read_table(tmp_path / "x")
    assert loaded.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert loaded.schema.metadata == {b"polyprune": '{"a":"语","place":null,"schema":"test/1","z":1}'.encode()}
    assert pq.ParquetFile(tmp_path / "x").metadata.row_group(0).column(0).compression == "ZSTD"


def test_same_rows_same_bytes(tmp_path: Path):
    save_scores(tmp_path / "x", [ROW], {"b": 1, "a": 2})
    save_scores(tmp_path / "y", [dict(reversed(list(ROW.items())))], {"a": 2, "b": 1})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_scores_have_the_documented_columns_and_exact_values(tmp_path: Path):
    dense = {key: value for key, value in ROW.items() if key not in ("seed", "layer")} | {"value": float("inf")}
    save_scores(tmp_path / "x", [ROW, dense], {})
    table = pq.read_table(tmp_path / "x")
    assert table.schema.remove_metadata() == scores.COLUMNS
    assert table.to_pylist() == [ROW, {**dense, "seed": None, "layer": None}]
    assert scores.__doc__
    documented = [word.strip(",") for line in scores.__doc__.splitlines() for word in line[:37].split()]
    assert set(scores.COLUMNS.names) <= set(documented)


def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path):
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        save_scores(tmp_path / "x", [{**ROW, "value": "high"}], {})
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_table_is_named_with_what_to_do(tmp_path: Path, share: float):
    path = tmp_path / "x.parquet"
    save_scores(path, [ROW], {})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"x\.parquet has no seal: .* delete it and make it again"):
        open_table(path, "scores/2")


def test_a_missing_table_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"x\.parquet does not exist"):
        open_table(tmp_path / "x.parquet", "scores/2")
