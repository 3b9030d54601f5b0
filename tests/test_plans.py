"""What the workflow plans and what it refuses, read from dry runs; lint."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from tests.helpers.checkout import ROOT, copy_repository
from tests.helpers.outside import put_outside_things
from tests.helpers.runs import QUICK, copy_with_table_1, only_table_1, planned, planned_by_name, replace, snakemake


def test_the_papers_table_1_plans_its_84_cells(clean: Path) -> None:
    jobs = planned(clean, "results/table1.parquet")
    assert jobs["prune_model"] == jobs["reconstruct_model"] == 2 * 7 * 3
    assert jobs["dump_cell_mc4"] == jobs["measure_drift"] == 84
    assert jobs["fetch_model"] == jobs["dump_dense_mc4"] == 2 and "register_prompting" not in jobs


def test_the_causal_test_prunes_whole_cells_only(clean: Path) -> None:
    jobs = planned(clean, "results/which-layers/table1.parquet", configfile="studies/which-layers.yaml")
    assert jobs["reconstruct_model"] == jobs["build_calibration_set"] == 5 and "prune_model" not in jobs
    assert jobs["compose_weights"] == 6 * 4 and jobs["measure_drift"] == 5 + 24
    assert jobs["dump_mixed_demo"] == 4, "eight at a time, of a tiny model"


def test_the_whole_study_plans_its_cells_and_no_others(clean: Path) -> None:
    """361 cells of the printed tables and one more of figure 3; five models; under 4,000 jobs.

    Table 12's are those of table 13 with two layers restored: nothing is pruned for them.
    """
    jobs = planned(clean, "paper")
    pruned = jobs["prune_model"] + jobs["reconstruct_model"]
    assert (pruned, jobs["compose_weights"]) == (361 + 1 - 21, 21)
    assert jobs["fetch_model"] == jobs["register_prompting"] == jobs["fetch_benchmark"] == 5
    assert jobs["fetch_documents"] == jobs["fetch_prompts"] == 7
    assert jobs["dump_cell_mc4"] == 84
    assert sum(jobs.values()) < 4000


def test_benchmarks_at_hand_are_registered_and_the_documented_fetch_still_plans(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    put_outside_things({"evaluation": {"data_root": "at-hand"}}, folder)
    (folder / "at-hand.yaml").write_text("evaluation: {data_root: at-hand}\n")
    words = ["--configfile", "at-hand.yaml", "-n", "--quiet", "rules", "reason"]
    run = snakemake(folder, *words, "--", "results/table2.parquet")
    assert "register_benchmark" in run.stdout and "fetch_benchmark" not in run.stdout
    run = snakemake(folder, *words, "--until", "fetch_model", "fetch_benchmark", "--", "results/table2.parquet")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "fetch_model" in run.stdout and "register_benchmark" not in run.stdout


def submitted(folder: Path, target: str) -> Counter[str]:
    """Jobs of a plan that a cluster would be given, by rule: those that ask for time."""
    run = snakemake(folder, "-n", "--quiet", "reason", "--", target)
    assert run.returncode == 0, run.stdout + run.stderr
    blocks = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", run.stdout, flags=re.MULTILINE)
    return Counter(rule for rule, block in blocks if "runtime=" in block)


def test_rules_are_local_or_ask_for_memory_and_time() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    rules = [rule for rule in re.split(r"^ *rule\b", text, flags=re.MULTILINE)[1:] if "shell:" in rule]
    assert len(rules) > 30
    for rule in rules:
        asks = "**needs." in rule
        assert asks != ("localrule: True" in rule), rule


def test_no_more_than_two_steps_that_take_memory_run_on_the_login_node() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    rules = re.split(r"^ *rule\b", text, flags=re.MULTILINE)[1:]
    heavy = [rule for rule in rules if re.search(r"python -m polyprune (fetch|collect|build)_", rule)]
    assert len(heavy) == 11 and all("login_node=1," in rule for rule in heavy)
    profile = yaml.safe_load((ROOT / "slurm/profile.yaml").read_text(encoding="utf-8"))
    assert profile["resources"] == {"login_node": 2}


def test_the_papers_grid_is_one_submission_a_cell_and_stage(clean: Path) -> None:
    """Fetching, shards, metrics, tables and figures run where Snakemake runs."""
    jobs = submitted(clean, "paper")
    compressions, dumps = 163 + 178, 84 + 21
    evaluations, activations, subspaces_and_neurons = 1453, 13, 21 + 2
    cells = compressions + jobs["compose_weights"] + dumps + evaluations + activations + subspaces_and_neurons
    dense_models = 3 + 22 + 6 + 1
    assert jobs["prune_model"] + jobs["reconstruct_model"] == compressions
    assert jobs["evaluate_model"] == evaluations
    assert sum(jobs.values()) == cells + dense_models + jobs["measure_mask_iou_paper_masks"] == 1989


def test_a_cell_outside_every_study_is_a_target(clean: Path) -> None:
    jobs = planned(clean, "results/llama-3-8b/wanda/0.65/sw/seed7/perplexity.parquet")
    assert jobs["prune_model"] == 1 and jobs["dump_cell_mc4"] == 1


def test_cells_with_sparsities_by_layer_share_one_measurement_of_outliers(clean: Path) -> None:
    """Whatever their method and sparsity; other cells do without."""
    cells = ["wanda/0.50-owl/de/seed0/mask", "wanda/0.70-owl/de/seed0/mask", "sparsegpt/0.70-owl/de/seed0/weights"]
    jobs = planned(clean, *(f"results/llama-3-8b/{cell}.safetensors" for cell in cells))
    assert (jobs["measure_outliers"], jobs["prune_model"], jobs["reconstruct_model"]) == (1, 2, 1)
    jobs = planned(clean, *(f"results/llama-3-8b/{cell.replace('-owl', '')}.safetensors" for cell in cells))
    assert "measure_outliers" not in jobs and jobs["reconstruct_model"] == 1


def test_cells_with_sparsities_by_layer_share_one_measurement_of_languages(clean: Path) -> None:
    cells = ["wanda/0.50-correlation/de-sw/seed0/mask", "sparsegpt/0.70-correlation/de-sw/seed0/weights"]
    jobs = planned(clean, *(f"results/llama-3-8b/{cell}.safetensors" for cell in cells))
    assert (jobs["measure_correlations"], jobs["prune_model"], jobs["reconstruct_model"]) == (1, 1, 1)
    assert "measure_outliers" not in jobs


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("results/llama-3-8b/wanda/0.5/de/seed0/mask.safetensors", "did you mean 0.50"),
        ("results/llama-3-8b/wanda/0.50/en-de/seed0/mask.safetensors", "spelt 'de-en'"),
        ("results/llama-3-8b/wanda/0.50/de/seed01/mask.safetensors", "did you mean seed1"),
        ("results/lama-3-8b/wanda/0.50/de/seed0/mask.safetensors", "did you mean llama-3-8b"),
        ("results/llama-3-8b/wnada/0.50/de/seed0/mask.safetensors", "did you mean wanda"),
        ("results/llama-3-8b/wanda/2:4/de/seed0/mask.safetensors", "did you mean 2of4"),
        ("results/llama-3-8b/wanda/0.50/fr/seed0/mask.safetensors", "'fr' is not one of"),
        ("results/demo/table99.parquet", "'table99' is not one of"),
    ],
)
def test_misspelt_targets_are_refused_with_the_nearest_spelling(clean: Path, target: str, hint: str) -> None:
    run = snakemake(clean, "-n", "--", target)
    assert run.returncode != 0 and hint in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_the_wrong_artifact_of_a_method_is_no_target(clean: Path) -> None:
    run = snakemake(clean, "-n", "--", "results/llama-3-8b/wanda/0.50/de/seed0/weights.safetensors")
    assert run.returncode != 0 and "did you mean mask.safetensors?" in run.stdout + run.stderr


def test_a_wrong_key_is_refused_with_its_line(tmp_path: Path) -> None:
    folder = copy_with_table_1(tmp_path)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("  damping: 0.01", "  dampning: 0.01"))
    line = next(n for n, text in enumerate(config.read_text().splitlines(), 1) if "dampning" in text)
    run = snakemake(folder, "-n", "--", "results/table1.parquet")
    assert run.returncode != 0
    assert f"config.yaml:{line}: compression.dampning: unknown key" in run.stdout + run.stderr
    assert "did you mean damping?" in run.stdout + run.stderr


def test_lint_finds_nothing(clean: Path) -> None:
    run = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], cwd=clean, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_bundles_are_of_cells_whose_dumps_are_asked_for_and_others_are_dumped_alone(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    replace(folder / "config.yaml", "cells_per_dump: null", "cells_per_dump: 6")
    jobs = planned(folder, "results/table1.parquet", "results/figure5.pdf")
    assert jobs["dump_cells_mc4"] == 4 * 3, "of 21 cells of each model and method: 6, 6, 6"
    assert jobs["dump_mixed_mc4"] == 2, "of the 3 that are left of each method, 6 of each model"
    assert jobs["dump_cells_belebele"] == 4
    assert not {"dump_cell_mc4", "dump_cell_belebele"} & set(jobs) and jobs["measure_drift"] == 84
    cell = "results/llama-3-8b/wanda/0.65/sw/seed7"
    assert planned(folder, f"./{cell}/perplexity.parquet", f"{cell}/lsar.parquet") == {
        **dict.fromkeys(["fetch_model", "build_calibration_set", "prune_model", "build_evaluation_set_mc4"], 1),
        **dict.fromkeys(["dump_cell_mc4", "measure_drift", "build_prompt_set_belebele", "measure_lsar"], 1),
        **dict.fromkeys(["register_prompting", "dump_dense_belebele", "dump_cell_belebele"], 1),
        "fetch_documents": 7,
        "fetch_prompts": 7,
    }


def test_bundles_are_named_by_their_members(tmp_path: Path) -> None:
    """On Slurm, a job of the same name must be the same work, also with other settings."""
    folder = copy_with_table_1(tmp_path)

    def bundles(methods: str, cells_per_dump: int) -> set[str]:
        shutil.copy(ROOT / "config.yaml", folder)
        shutil.copy(ROOT / "studies/quick.yaml", folder / "studies")
        only_table_1(folder / "studies/quick.yaml")
        replace(folder / "config.yaml", "cells_per_dump: null", f"cells_per_dump: {cells_per_dump}")
        replace(folder / "studies/quick.yaml", "methods: [wanda, sparsegpt]", f"methods: [{methods}]")
        return {rule for rule in planned_by_name(folder, QUICK) if rule.startswith("dump_cells_demo_")}

    wanda, sparsegpt, both = bundles("wanda", 3), bundles("sparsegpt", 3), bundles("wanda, sparsegpt", 3)
    assert len(wanda) == len(sparsegpt) == 2 and wanda.isdisjoint(sparsegpt) and wanda | sparsegpt == both
    assert both.isdisjoint(bundles("wanda, sparsegpt", 2))
