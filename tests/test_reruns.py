"""Rebuilt only when inputs change: one edit at a time in a finished study, read from a dry run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import yaml
from tests.helpers.runs import copy_with_table_1, planned, replace, snakemake


def test_a_new_seed_makes_only_its_cells_and_the_table(edited: Path) -> None:
    replace(edited / "studies/quick.yaml", "seeds: [0]", "seeds: [0, 1]")
    assert planned(edited, "quick") == {
        "build_calibration_set": 2 * 3,
        "prune_model": 2 * 3,
        "reconstruct_model": 2 * 3,
        "dump_mixed_demo": 2,
        "measure_drift": 2 * 2 * 3,
        "tabulate_quick_table1": 1,
        "quick": 1,
    }


def test_damping_concerns_sparsegpt_and_what_hangs_on_it(edited: Path) -> None:
    replace(edited / "config.yaml", "  damping: 0.01", "  damping: 0.02")
    assert planned(edited, "quick") == {
        "reconstruct_model": 2 * 3,
        "dump_cells_demo": 2,
        "measure_drift": 2 * 3,
        "tabulate_quick_table1": 1,
        "quick": 1,
    }


def test_words_and_order_concern_nothing(edited: Path) -> None:
    """A docstring reworded, a comment, config.yaml reordered, every file touched."""
    package = edited / "workflow_scripts/polyprune"
    replace(package / "maths/wanda.py", '"""Wanda:', '"""The method called Wanda:')
    replace(package / "model/decoder.py", "import torch\n", "import torch  # a comment\n")
    replace(edited / "rules/prune.smk", "# The cells", "# These are the cells")
    config = edited / "config.yaml"
    text = config.read_text(encoding="utf-8")
    start, end = text.index("compression:\n"), text.index("engine:\n")
    config.write_text(text[:start] + text[end:] + "\n" + text[start:end], encoding="utf-8")
    for path in [*package.rglob("*.py"), *(edited / "rules").iterdir()]:
        path.touch()
    assert planned(edited, "quick") == {}


def test_another_branch_and_back_concerns_nothing(edited: Path) -> None:
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@n", "-c", "init.defaultBranch=main"]
    (edited / ".gitignore").write_text("/results/\n/logs/\n/.snakemake/\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"], ["checkout", "-qb", "other"]):
        subprocess.run([*git, *words], cwd=edited, check=True)
    replace(edited / "workflow_scripts/polyprune/maths/wanda.py", ".sqrt()", ".square()")
    replace(edited / "config.yaml", "  damping: 0.01", "  damping: 0.02")
    for words in (["commit", "-qam", "two"], ["checkout", "-q", "main"]):
        subprocess.run([*git, *words], cwd=edited, check=True)
    assert planned(edited, "quick") == {}
    subprocess.run([*git, "checkout", "-q", "other"], cwd=edited, check=True)
    jobs = planned(edited, "quick")
    assert jobs["prune_model"] == jobs["reconstruct_model"] == 6
    subprocess.run([*git, "checkout", "-q", "main"], cwd=edited, check=True)
    shutil.rmtree(edited / ".git")


def test_results_on_another_machine_concern_nothing(finished: Path, tmp_path: Path) -> None:
    """Copied with fresh times; with and without Snakemake's own notes."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, copy_function=shutil.copyfile)
    assert planned(folder, "quick") == {}


def test_code_of_one_stage_concerns_it_and_what_hangs_on_it(edited: Path) -> None:
    replace(edited / "workflow_scripts/polyprune/stages/measure_drift.py", '"bit/byte"', '"bits/byte"')
    assert planned(edited, "quick") == {
        "measure_dense": 2,
        "measure_drift": 12,
        "tabulate_quick_table1": 1,
        "quick": 1,
    }


def test_code_of_one_method_concerns_its_cells(edited: Path) -> None:
    replace(edited / "workflow_scripts/polyprune/maths/wanda.py", ".sqrt()", ".square()")
    assert planned(edited, "quick") == {
        "prune_model": 6,
        "dump_cell_demo": 6,
        "measure_drift": 6,
        "tabulate_quick_table1": 1,
        "quick": 1,
    }


def test_a_language_added_concerns_its_shards_cells_and_columns(finished: Path, tmp_path: Path) -> None:
    """A model in a folder and the user's own text: nothing is trained, no other language's text or cell made again.

    The dumps, which hold all languages, are; they give the table its new column. Before that, files that are moved or
    copied concern nothing, those that have another content all that depends on it.
    """
    folder = copy_with_table_1(tmp_path)
    (folder / "text").mkdir()
    for language in ("de", "sw", "zh"):
        documents = pq.read_table(finished / f"results/corpora/demo/{language}.parquet")["text"].to_pylist()
        lines = [text.replace("\n", " ") for text in documents[-300:]]
        (folder / f"text/{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    quick_study = yaml.safe_load((folder / "studies/quick.yaml").read_text(encoding="utf-8"))
    model = quick_study["models"]["quick-llama"]
    shutil.copytree(finished / "results/quick-llama/checkpoint", folder / "model")
    model |= {"source": {"kind": "folder", "path": "model"}}
    model["text"] |= {"corpus": "own"}
    grid = {"models": ["mine"], "methods": ["wanda"], "schemes": ["0.50"], "calibrations": ["de", "sw"], "seeds": [0]}
    table = {"title": "Own", "report": "drift", "grids": ["all"]}
    own = {
        "corpora": {
            "own": {
                "kind": "files",
                "files": {language: f"text/{language}.txt" for language in ("de", "sw")},
                "shares": {"train": 0.0, "calibration": 0.5, "evaluation": 0.5},
            }
        },
        "prompts": quick_study["prompts"],
        "models": {"mine": model},
        "studies": {"own": {"grids": {"all": grid}, "tables": {"table1": table}}},
    }
    config = folder / "own.yaml"
    config.write_text(yaml.safe_dump(own))
    run = snakemake(folder, "--configfile", "own.yaml", "--", "own")
    assert run.returncode == 0, run.stdout + run.stderr
    (folder / "model").rename(folder / "moved")
    model["source"]["path"] = "moved"
    shutil.copytree(folder / "text", folder / "copy")
    own["corpora"]["own"]["files"] = {language: f"copy/{language}.txt" for language in ("de", "sw")}
    config.write_text(yaml.safe_dump(own))
    assert planned(folder, "own", configfile="own.yaml") == {}

    replace(folder / "copy/sw.txt", "\n", "\nMstari mmoja zaidi\n")
    of_swahili = {
        "collect_documents": 1,
        "build_calibration_set": 1,
        "build_evaluation_set_own": 1,
        "prune_model": 1,
        "dump_dense_own": 1,
        "dump_cell_own": 2,
        "measure_dense": 1,
        "measure_drift": 2,
        "tabulate_own_table1": 1,
        "own": 1,
    }
    assert planned(folder, "own", configfile="own.yaml") == of_swahili
    shutil.copy(folder / "text/sw.txt", folder / "copy/sw.txt")
    (folder / "moved/generation_config.json").write_text('{"eos_token_id": 2}', encoding="utf-8")
    assert planned(folder, "own", configfile="own.yaml") == {}, "nobody asks it anything"
    (folder / "moved/added_tokens.json").write_text("{}", encoding="utf-8")
    of_the_model = of_swahili | {"register_model": 1, "build_calibration_set": 2, "prune_model": 2}
    del of_the_model["collect_documents"]
    assert planned(folder, "own", configfile="own.yaml") == of_the_model
    (folder / "moved/added_tokens.json").unlink()

    own["corpora"]["own"]["files"]["zh"] = "text/zh.txt"
    grid["calibrations"].append("zh")
    config.write_text(yaml.safe_dump(own))
    assert planned(folder, "own", configfile="own.yaml") == {
        "collect_documents": 1,
        "build_calibration_set": 1,
        "build_evaluation_set_own": 1,
        "prune_model": 1,
        "dump_dense_own": 1,
        "dump_cells_own": 1,
        "measure_dense": 1,
        "measure_drift": 3,
        "tabulate_own_table1": 1,
        "own": 1,
    }


def test_the_ledger_counts_what_is_done_and_what_is_not(edited: Path) -> None:
    replace(edited / "studies/quick.yaml", "seeds: [0]", "seeds: [0, 1]")
    environment = os.environ | {"PYTHONPATH": str(edited / "workflow_scripts")}
    command = [
        sys.executable,
        "-m",
        "polyprune.workflow.ledger",
        "quick",
        "--configfile",
        "studies/quick.yaml",
        "--json",
    ]
    run = subprocess.run(command, cwd=edited, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    *lines, total = json.loads(run.stdout)
    assert (total["done"], total["outstanding"], total["incomplete"]) == (14, 12, 0), "12 cells and 2 dense models"
    assert {(line["model"], line["method"], line["done"], line["outstanding"]) for line in lines} == {
        *((model, method, 3, 3) for model in ("quick-llama", "quick-aya") for method in ("wanda", "sparsegpt")),
        *((model, "dense", 1, 0) for model in ("quick-llama", "quick-aya")),
    }
    assert total["gpu_hours"] == 0 and total["gigabytes"] > 0
