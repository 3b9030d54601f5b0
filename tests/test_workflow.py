"""The workflow as its users meet it: lint, plans, refusals, a small run of the whole chain, and what reruns after what.

Every test works in a copy of the repository, so that results of a developer's own runs are neither used nor touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
import pyarrow.parquet as pq
import pytest
import yaml
from tests.helpers.checkout import ROOT, copy_repository

QUICK = "results/quick/table1.parquet"
CELL = "results/quick-llama/sparsegpt/0.50/de/seed0/weights.safetensors"


def copy_with_table_1(folder: Path) -> Path:
    """The repository's files; of the quick study only table 1, whose chain most tests here are about."""
    copy_repository(folder)
    only_table_1(folder / "studies/quick.yaml")
    return folder


def only_table_1(study: Path) -> None:
    text = study.read_text(encoding="utf-8")
    start, end = text.index("      table2:"), len(text)
    study.write_text(text[:start] + text[end:], encoding="utf-8")


def snakemake(folder: Path, *words: str, timeout: int = 600) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "POLYPRUNE_WORKER")}
    command = [sys.executable, "-m", "snakemake", "--profile", "local", "--cores", "2", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)


def quick(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return snakemake(folder, "--configfile", "studies/quick.yaml", *words)


def planned(folder: Path, *targets: str, configfile: str = "studies/quick.yaml") -> dict[str, int]:
    """Jobs by rule that a dry run lists; empty if there is nothing to be done."""
    run = snakemake(folder, "--configfile", configfile, "-n", "--", *targets)
    assert run.returncode == 0, run.stdout + run.stderr
    tables = run.stdout.split("Job stats:")
    if len(tables) == 1:
        assert "Nothing to be done" in run.stdout + run.stderr
        return {}
    rows = re.findall(r"^(\w+) +(\d+)$", tables[1].split("\n\n")[0], flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule != "total"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout without results, for plans only."""
    return copy_with_table_1(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout in which the quick study has run."""
    folder = copy_with_table_1(tmp_path_factory.mktemp("finished"))
    run = quick(folder, "--", QUICK)
    assert run.returncode == 0, run.stdout + run.stderr
    yield folder


def test_the_papers_table_1_plans_its_84_cells(clean: Path) -> None:
    jobs = planned(clean, "results/table1.parquet")
    assert jobs["prune_model"] == jobs["reconstruct_model"] == 2 * 7 * 3
    assert jobs["dump_cell_mc4"] == jobs["measure_drift"] == 84
    assert jobs["fetch_model"] == jobs["dump_dense_mc4"] == 2


def test_the_whole_study_plans_its_cells_and_no_others(clean: Path) -> None:
    """361 cells of the printed tables and one more of figure 3; five models; under 4,000 jobs."""
    jobs = planned(clean, "paper")
    assert jobs["prune_model"] + jobs["reconstruct_model"] == 361 + 1
    assert jobs["fetch_model"] == jobs["fetch_benchmark"] == 5
    assert jobs["fetch_documents"] == jobs["fetch_prompts"] == 7
    assert jobs["dump_cell_mc4"] == 84
    assert sum(jobs.values()) < 4000


def test_benchmarks_at_hand_are_registered_and_the_documented_fetch_still_plans(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    (folder / "at-hand.yaml").write_text("evaluation: {data_root: /data/benchmarks}\n")
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
        asks = "mem_mb=" in rule and "runtime=" in rule
        assert asks != ("localrule: True" in rule), rule


def test_no_more_than_two_steps_that_take_memory_run_on_the_login_node() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    rules = re.split(r"^ *rule\b", text, flags=re.MULTILINE)[1:]
    heavy = [rule for rule in rules if re.search(r"python -m polyprune (fetch|collect|build)_", rule)]
    assert len(heavy) == 9 and all("login_node=1," in rule for rule in heavy)
    profile = yaml.safe_load((ROOT / "slurm/profile.yaml").read_text(encoding="utf-8"))
    assert profile["resources"] == {"login_node": 2}


def test_the_papers_grid_is_one_submission_a_cell_and_stage(clean: Path) -> None:
    """Fetching, shards, metrics, tables and figures run where Snakemake runs."""
    jobs = submitted(clean, "paper")
    compressions, dumps = 163 + 199, 84 + 21
    evaluations, activations, subspaces_and_neurons = 1453, 13, 21 + 2
    cells = compressions + dumps + evaluations + activations + subspaces_and_neurons
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
    of_data = {"dataset", "split", "language", "data_digest", "tokenizer_digest", "template"}
    assert set(found) == of_model | of_cell | of_data | {"schema", "complete", "provenance", "hooks", "tokens"}
    assert (found["method"], found["calibration"], found["seed"], found["language"]) == ("wanda", "de-sw", 0, "zh")
    assert set(json.loads(str(found["provenance"]))) == {
        "code", "sampled_tokens", "polyprune", "torch", "transformers", "cell", "data"
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


def test_bundles_are_of_cells_whose_dumps_are_asked_for_and_others_are_dumped_alone(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    replace(folder / "config.yaml", "cells_per_dump: 1", "cells_per_dump: 6")
    jobs = planned(folder, "results/table1.parquet", "results/figure5.pdf")
    bundles = {rule for rule in jobs if rule.startswith("dump_cells")}
    assert len([rule for rule in bundles if "_mc4_" in rule]) == 4 * 4, "21 cells of each model and method: 6, 6, 6, 3"
    assert len([rule for rule in bundles if "_belebele_" in rule]) == 4
    assert not {"dump_cell_mc4", "dump_cell_belebele"} & set(jobs) and jobs["measure_drift"] == 84
    cell = "results/llama-3-8b/wanda/0.65/sw/seed7"
    assert planned(folder, f"{cell}/perplexity.parquet", f"{cell}/lsar.parquet") == {
        **dict.fromkeys(["fetch_model", "build_calibration_set", "prune_model", "build_evaluation_set_mc4"], 1),
        **dict.fromkeys(["dump_cell_mc4", "measure_drift", "build_prompt_set_belebele", "measure_lsar"], 1),
        **dict.fromkeys(["dump_dense_belebele", "dump_cell_belebele"], 1),
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
        replace(folder / "config.yaml", "cells_per_dump: 1", f"cells_per_dump: {cells_per_dump}")
        replace(folder / "studies/quick.yaml", "methods: [wanda, sparsegpt]", f"methods: [{methods}]")
        return {rule for rule in planned(folder, QUICK) if rule.startswith("dump_cells_demo_")}

    wanda, sparsegpt, both = bundles("wanda", 3), bundles("sparsegpt", 3), bundles("wanda, sparsegpt", 3)
    assert len(wanda) == len(sparsegpt) == 2 and wanda.isdisjoint(sparsegpt) and wanda | sparsegpt == both
    assert both.isdisjoint(bundles("wanda, sparsegpt", 2))


def test_dumps_of_a_bundle_have_the_bytes_of_single_ones(finished: Path, tmp_path: Path) -> None:
    """Snakemake makes dumps again when they are bundled otherwise, unless it is told that they are right."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, copy_function=shutil.copyfile)
    replace(folder / "config.yaml", "cells_per_dump: 1", "cells_per_dump: 3")
    jobs = planned(folder, QUICK)
    bundles = {rule: 1 for rule in jobs if re.fullmatch("dump_cells_demo_[0-9a-f]{8}", rule)}
    assert len(bundles) == 4 and jobs == bundles | {"measure_drift": 12, "tabulate_quick_table1": 1}
    cells = folder / "results/quick-aya/sparsegpt/0.50"
    run = quick(folder, "--", f"{(cells / 'de-sw/seed0/drift.parquet').relative_to(folder)}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (folder / "logs/quick-aya/sparsegpt/0.50/de/seed0/hidden_states/demo-bundle.log").is_file()
    dumps = sorted(cells.rglob("*.h5"))
    assert len(dumps) == 3 * 7
    for dump in dumps:
        assert dump.read_bytes() == (finished / dump.relative_to(folder)).read_bytes(), dump
    assert quick(folder, "--touch", "--", QUICK).returncode == 0
    assert planned(folder, QUICK) == {}


# Rebuilt only when inputs change: one edit at a time in a finished study, read from a dry run.


@pytest.fixture
def edited(finished: Path) -> Iterator[Path]:
    """The finished checkout; code and settings are put back afterwards."""
    yield finished
    for name in ("config.yaml", "studies", "workflow_scripts", "rules"):
        source, target = ROOT / name, finished / name
        if source.is_dir():
            shutil.rmtree(target)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    only_table_1(finished / "studies/quick.yaml")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_new_seed_makes_only_its_cells_and_the_table(edited: Path) -> None:
    replace(edited / "studies/quick.yaml", "seeds: [0]", "seeds: [0, 1]")
    assert planned(edited, "quick") == {
        "build_calibration_set": 2 * 3,
        "prune_model": 2 * 3,
        "reconstruct_model": 2 * 3,
        "dump_cell_demo": 2 * 2 * 3,
        "measure_drift": 2 * 2 * 3,
        "tabulate_quick_table1": 1,
        "quick": 1,
    }


def test_damping_concerns_sparsegpt_and_what_hangs_on_it(edited: Path) -> None:
    replace(edited / "config.yaml", "  damping: 0.01", "  damping: 0.02")
    assert planned(edited, "quick") == {
        "reconstruct_model": 2 * 3,
        "dump_cell_demo": 2 * 3,
        "measure_drift": 2 * 3,
        "tabulate_quick_table1": 1,
        "quick": 1,
    }


def test_words_and_order_concern_nothing(edited: Path) -> None:
    """A docstring reworded, a comment, config.yaml reordered, every file touched."""
    package = edited / "workflow_scripts/polyprune"
    replace(package / "maths/wanda.py", '"""Wanda:', '"""The method called Wanda:')
    replace(package / "model/decoder.py", "import copy", "import copy  # a comment\n")
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

    The dumps, which hold all languages, are; they give the table its new column.
    """
    folder = copy_with_table_1(tmp_path)
    (folder / "text").mkdir()
    for language in ("de", "sw", "zh"):
        documents = pq.read_table(finished / f"results/corpora/demo/{language}.parquet")["text"].to_pylist()
        lines = [text.replace("\n", " ") for text in documents[-300:]]
        (folder / f"text/{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    quick_study = yaml.safe_load((folder / "studies/quick.yaml").read_text(encoding="utf-8"))
    model = quick_study["models"]["quick-llama"]
    model |= {"source": {"kind": "folder", "path": str(finished / "results/quick-llama/checkpoint")}}
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
        "models": {"mine": model},
        "studies": {"own": {"grids": {"all": grid}, "tables": {"table1": table}}},
    }
    config = folder / "own.yaml"
    config.write_text(yaml.safe_dump(own))
    run = snakemake(folder, "--configfile", "own.yaml", "--", "own")
    assert run.returncode == 0, run.stdout + run.stderr
    assert planned(folder, "own", configfile="own.yaml") == {}

    own["corpora"]["own"]["files"]["zh"] = "text/zh.txt"
    grid["calibrations"].append("zh")
    config.write_text(yaml.safe_dump(own))
    assert planned(folder, "own", configfile="own.yaml") == {
        "collect_documents": 1,
        "build_calibration_set": 1,
        "build_evaluation_set_own": 1,
        "prune_model": 1,
        "dump_dense_own": 1,
        "dump_cell_own": 3,
        "measure_dense": 1,
        "measure_drift": 3,
        "tabulate_own_table1": 1,
        "own": 1,
    }


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
    assert (total["done"], total["outstanding"], total["incomplete"]) == (12, 12, 0)
    assert {(line["model"], line["method"], line["done"], line["outstanding"]) for line in lines} == {
        (model, method, 3, 3) for model in ("quick-llama", "quick-aya") for method in ("wanda", "sparsegpt")
    }
    assert total["gpu_hours"] == 0 and total["gigabytes"] > 0
