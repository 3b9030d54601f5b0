"""The workflow as its users meet it: a small run of the whole chain, what is in it, and what a failing job says.

Every test works in a copy of the repository, so that results of a developer's own runs are neither used nor touched.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pyarrow.parquet as pq
from tests.helpers.runs import CELL, QUICK, copy_with_table_1, planned, quick, replace, snakemake

LOST = ("sparsegpt/0.50/de", "sparsegpt/0.50/de-sw", "sparsegpt/0.50/zh", "wanda/0.50/zh")
"""Cells of one model whose dumps a test removes."""


def test_the_whole_chain_ends_in_a_table(finished: Path) -> None:
    table = pq.read_table(finished / QUICK).to_pandas()
    cells = table[table["method"] != "dense"]
    assert set(cells["model"]) == {"quick-llama", "quick-aya"} and set(cells["method"]) == {"wanda", "sparsegpt"}
    assert set(cells["calibration"]) == {"de", "de-sw", "zh"}
    perplexity = cells[cells["metric"] == "perplexity"]
    assert len(perplexity) == 2 * 2 * 3 * 7 and (perplexity["value"] > 1).all()
    assert (cells.loc[cells["metric"] == "snr", "value"] > 0).all()
    assert {"perplexity", "bits_per_byte"} == set(table.loc[table["method"] == "dense", "metric"])
    for suffix in (".md", ".png"):
        assert (finished / QUICK).with_suffix(suffix).stat().st_size > 1000


def test_dumps_say_what_they_are_of(finished: Path) -> None:
    dump = finished / "results/quick-aya/wanda/0.50/de-sw/seed0/hidden_states/demo/zh.h5"
    with h5py.File(dump) as file:
        found = dict(file.attrs)
    of_model = {"model", "model_digest", "architecture", "dtype", "n_layers", "d_model"}
    of_cell = {"method", "scheme", "calibration", "seed"}
    of_data = {"dataset", "split", "language", "data_digest", "tokenizer_digest", "template", "corpus"}
    of_file = {"schema", "place", "index", "seal", "provenance", "hooks", "tokens"}
    assert set(found) == of_model | of_cell | of_data | of_file
    assert (found["method"], found["calibration"], found["seed"], found["language"]) == ("wanda", "de-sw", 0, "zh")
    assert set(json.loads(str(found["provenance"]))) == {
        "code", "sampled_tokens", "inputs", "polyprune", "torch", "transformers", "cell", "data"
    }  # fmt: skip


def test_a_second_run_has_nothing_to_do(finished: Path) -> None:
    assert planned(finished, QUICK) == {}


def test_a_deleted_cell_comes_back_with_what_depends_on_it_and_the_same_bytes(finished: Path) -> None:
    cell = finished / CELL
    before = cell.read_bytes()
    cell.unlink()
    jobs = planned(finished, QUICK, CELL)
    assert jobs == {"reconstruct_model": 1, "dump_cell_demo": 1, "measure_drift": 1, "tabulate_quick_table1": 1}
    run = quick(finished, "--", QUICK, CELL)
    assert run.returncode == 0, run.stdout + run.stderr
    assert cell.read_bytes() == before


def test_deleted_results_come_back_byte_for_byte(finished: Path, tmp_path: Path) -> None:
    """All of one model's results, and the tables, made anew elsewhere."""
    folder = copy_with_table_1(tmp_path)
    wanted = "results/quick-aya/wanda/0.50/de-sw/seed0/drift.parquet"
    run = quick(folder, "--", wanted)
    assert run.returncode == 0, run.stdout + run.stderr
    made = [path.relative_to(folder) for path in (folder / "results").rglob("*") if path.is_file()]
    assert len(made) > 15
    for path in made:
        assert (folder / path).read_bytes() == (finished / path).read_bytes(), path


def test_a_failing_job_says_what_to_do_and_leaves_no_output(tmp_path: Path) -> None:
    folder = copy_with_table_1(tmp_path)
    (folder / "text").mkdir()
    (folder / "text" / "de.txt").write_bytes(b"gut\nschlecht \xff\n")
    (folder / "own.yaml").write_text(
        "corpora: {own: {kind: files, files: {de: text/de.txt}, shares: {calibration: 0.5, evaluation: 0.5}}}\n"
    )
    run = snakemake(folder, "--configfile", "own.yaml", "--", "results/corpora/own/de.parquet")
    output = run.stdout + run.stderr
    assert run.returncode != 0 and "text/de.txt:2: not UTF-8 (byte 0xff, column 10)" in output
    assert "Traceback (most recent call last)" not in output
    assert not (folder / "results/corpora/own/de.parquet").exists()


def test_dumps_have_the_same_bytes_however_they_are_bundled_and_are_not_made_again_for_it(
    finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, copy_function=shutil.copyfile)
    lost = [dump for cell in LOST for dump in sorted((folder / "results/quick-aya" / cell).rglob("*.h5"))]
    assert len(lost) == 4 * 7
    scores = [f"results/quick-aya/{cell}/seed0/drift.parquet" for cell in LOST]
    for file in [*lost, *(folder / score for score in scores)]:
        file.unlink()
    replace(folder / "config.yaml", "cells_per_dump: null", "cells_per_dump: 2")
    jobs = planned(folder, *scores)
    assert jobs == {"dump_cells_demo": 1, "dump_mixed_demo": 1, "measure_drift": 4}
    run = quick(folder, "--", *scores)
    assert run.returncode == 0, run.stdout + run.stderr
    logs = folder / "logs/quick-aya/sparsegpt/0.50"
    assert (logs / "de/seed0/hidden_states/demo-bundle.log").is_file()
    assert (logs / "zh/seed0/hidden_states/demo-mixed.log").is_file()
    assert planned(folder, *scores) == {}
    replace(folder / "config.yaml", "cells_per_dump: 2", "cells_per_dump: 1")
    assert planned(folder, *scores) == {}
    lost[0].unlink()
    again = str(lost[0].relative_to(folder))
    assert planned(folder, *scores, again) == {"dump_cell_demo": 1, "measure_drift": 1}
    run = quick(folder, "--", again)
    assert run.returncode == 0, run.stdout + run.stderr
    for dump in lost:
        assert dump.read_bytes() == (finished / dump.relative_to(folder)).read_bytes(), dump


def test_dumps_that_nobody_recorded_are_no_strangers_to_a_bundle_of_several_methods(
    finished: Path, tmp_path: Path
) -> None:
    """As whoever killed Snakemake right after such a job left them."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, copy_function=shutil.copyfile)
    shutil.rmtree(folder / ".snakemake")
    cells = [folder / "results/quick-aya" / cell / "seed0" for cell in (LOST[2], LOST[3])]
    for file in [file for cell in cells for file in (*sorted(cell.rglob("*.h5"))[1:], cell / "drift.parquet")]:
        file.unlink()
    run = quick(folder, "-n", "--", *(f"{cell.relative_to(folder)}/drift.parquet" for cell in cells))
    assert "dump_mixed_demo_" in run.stdout + run.stderr
    assert "was made with other settings" not in run.stdout + run.stderr


def test_a_finished_table_does_not_hide_a_deleted_cell(finished: Path) -> None:
    cell = finished / CELL
    content = cell.read_bytes()
    cell.unlink()
    try:
        assert planned(finished, QUICK) == {}  # Snakemake's own view of the table alone
        assert planned(finished, "quick")["reconstruct_model"] == 1
    finally:
        run = quick(finished, "--", "quick")
        assert run.returncode == 0 and cell.read_bytes() == content
