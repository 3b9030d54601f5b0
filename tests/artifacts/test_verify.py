"""A whole results folder is checked: what is damaged is listed with how to make it again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.artifacts import READERS, SEED0, make_results

from polyprune.artifacts.evaluations import ITEMS_SCHEMA
from polyprune.artifacts.tables import header_of, open_table, save_table
from polyprune.artifacts.verify import artifacts, complaint, main


@pytest.fixture
def results(tmp_path: Path) -> Path:
    make_results(tmp_path / "results")
    return tmp_path / "results"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_every_artifact_is_found_and_nothing_else(results: Path):
    for name in ("tiny/checkpoint/config.json", f"{SEED0}/export/tokenizer.json", "benchmarks/demo/.cache/x.json"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("another program's")
    unfinished = ("mask.safetensors.layers/layer-000.safetensors", "evaluation/x.parquet.parts/a.parquet")
    for name in (f"{SEED0}/{part}" for part in unfinished):
        (results / name).parent.mkdir(parents=True)
        (results / name).write_text("unfinished")
    (results / "table1.md").write_text("a picture of it")
    found = [path.relative_to(results).as_posix() for path in artifacts(results)]
    assert sorted(found) == sorted(READERS)


def test_a_folder_without_damage_is_right(results: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(results), "--jobs", "2"]) == 0
    said = capsys.readouterr()
    assert said.out == "" and f"{len(READERS)} artifacts in {results} checked, 0 wrong" in said.err


def test_what_is_wrong_is_listed_with_the_remedy(results: Path, capsys: pytest.CaptureFixture[str]):
    damaged = [f"{SEED0}/mask.safetensors", f"{SEED0}/hidden_states/demo/de.h5", "table1.parquet", "tiny/model.json"]
    for place in damaged:
        flip(results / place, (results / place).stat().st_size * 3 // 4)
    (results / "figure1.parquet").rename(results / "figure2.parquet")
    (results / "benchmarks/demo/arc/org/arc/x.jsonl").write_text('{"changed": 1}\n')
    assert main([str(results), "--jobs", "2"]) == 1
    lines = capsys.readouterr().out.splitlines()
    wrong = [*damaged, "figure2.parquet", "benchmarks/demo/arc.json"]
    assert len(lines) == len(wrong)
    for place in wrong:
        (line,) = [line for line in lines if line.endswith(f"snakemake --profile local results/{place}")]
        assert "delete it and make it again" in line


def test_answers_to_other_questions_than_were_scored_are_found(results: Path):
    items = results / SEED0 / "evaluation/items/arc.parquet"
    whole = items.read_bytes()
    with open_table(items, ITEMS_SCHEMA) as file:
        table, header = file.read(), header_of(file)
    save_table(items, ITEMS_SCHEMA, table.slice(0, 3), header)
    assert "has answers to other questions than" in (complaint(items, results) or "")
    items.write_bytes(whole)
    assert complaint(items, results) is None


def test_a_folder_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "no")])
    assert "is not a folder" in capsys.readouterr().err
