"""Tables and score files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.helpers.headers import scored

from polyprune.artifacts import scores
from polyprune.artifacts.measurements import MASK_IOU, load_measurements, save_measurements
from polyprune.artifacts.scores import save_scores
from polyprune.artifacts.tables import open_table, save_table
from polyprune.errors import UserError
from polyprune.report.tables.rows import load_scores, notes, read_headers

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
        open_table(path, "scores/3")


def test_a_missing_table_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"x\.parquet does not exist"):
        open_table(tmp_path / "x.parquet", "scores/3")


VARIANT = {name: ROW[name] for name in ("model", "method", "scheme", "calibration", "seed")}


def save(path: Path, header: dict[str, Any], **changes: Any) -> Path:
    save_scores(path, [ROW, ROW | changes], scored(VARIANT) | header)
    return path


@pytest.mark.parametrize(("name", "value"), [("model", "m"), ("method", "ria"), ("calibration", "en"), ("seed", None)])
def test_rows_of_a_variant_that_the_header_does_not_name_are_refused(tmp_path: Path, name: str, value: object):
    load_scores([save(tmp_path / "x", {}, eval_language="sw")])
    save_scores(tmp_path / "none", [], scored(VARIANT))
    assert len(load_scores([tmp_path / "none"])) == 0
    with pytest.raises(UserError, match=r"x has rows of .*, which its header does not name; delete it and make it"):
        load_scores([save(tmp_path / "x", {}, **{name: value})])


def test_what_was_compared_is_named_by_model_method_and_scheme(tmp_path: Path):
    """Rows of two calibrations or of all seeds together are of no variant's name."""
    about = {"variants": [VARIANT], "sources": {"model tiny": "m"}}
    save_measurements(tmp_path / "x", [VARIANT | {"calibration": "de-en", "seed": None}], MASK_IOU, about)
    assert len(load_measurements([tmp_path / "x"], MASK_IOU)) == 1
    save_measurements(tmp_path / "x", [VARIANT | {"scheme": "0.20"}], MASK_IOU, about)
    with pytest.raises(UserError, match=r"x has rows of tiny/wanda/0\.20, which its header does not name"):
        load_measurements([tmp_path / "x"], MASK_IOU)


@pytest.mark.parametrize("name", ["model", "text de", "questions of arc de", "chat template for arc"])
def test_scores_of_one_model_from_different_things_do_not_share_a_table(tmp_path: Path, name: str):
    first = save(tmp_path / "first", {"sources": {"model": "m", name: "1"}})
    second = save(tmp_path / "second", {"sources": {"model": "m", name: "2"}})
    with pytest.raises(UserError, match=rf"second and .*first were made from different things \({name}: 2 and 1\)"):
        load_scores([first, second])
    other = {**VARIANT, "model": "other"}
    save_scores(tmp_path / "second", [ROW | {"model": "other"}], scored(other, sources={"model": "n", name: "2"}))
    assert len(load_scores([first, tmp_path / "second"])) == 0, "two models; rows of single layers are left out"


def test_what_is_to_be_said_of_a_cell_comes_from_its_header(tmp_path: Path):
    cell = {"allowances": {"model.layers.0.mlp.up_proj": "0.86 removed instead of 0.50"}}
    files = [save(tmp_path / "x", {"cell": cell}), save(tmp_path / "y", {"cell": cell}), save(tmp_path / "z", {})]
    assert notes(read_headers(files, scores.SCHEMA).values()) == [
        "tiny/wanda/0.50/de/1: model.layers.0.mlp.up_proj: 0.86 removed instead of 0.50"
    ]
