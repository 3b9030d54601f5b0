"""What `snakemake --profile slurm` submits, what its jobs ask for, and that they make what a run without a cluster makes."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml
from tests.checkout import ROOT
from tests.slurm.cluster import ACCOUNT
from tests.slurm.lab import CELL, PARTITIONS, STUDY, Workplace

from polyprune import resources
from polyprune.methods import artifact
from polyprune.settings import Settings, load_settings

LARGE = "llama-3-70b"
LARGE_CELL = f"results/{LARGE}/sparsegpt/0.50/de/seed0/weights.safetensors"

submitted = pytest.mark.xdist_group("submitted")
"""Tests of one run, whose results they share, run in one process."""


def megabytes(text: str) -> int:
    """Of Slurm's memory sizes: 1500M, 8G."""
    return int(text[:-1]) * {"M": 1, "G": 1024}[text[-1]]


def minutes(text: str) -> int:
    """Of Slurm's times: 01:30:00, 1-00:00:00."""
    days, _, clock = text.rpartition("-")
    hours, minutes, _ = map(int, clock.split(":"))
    return int(days or 0) * 24 * 60 + hours * 60 + minutes


def asked_for(job: dict[str, str]) -> dict[str, object]:
    """What a job has asked Slurm for."""
    assert job["NumNodes"] in ("1", "1-1"), job
    return {
        "partition": job["Partition"],
        "gpus": job.get("TresPerJob"),
        "mem_mb": megabytes(job["MinMemoryNode"]),
        "minutes": minutes(job["TimeLimit"]),
        "cpus": int(job["NumCPUs"]),
        "features": job["Features"].replace("(null)", ""),
        "account": job["Account"].replace("(null)", ""),
    }


def settings_of(folder: Path) -> Settings:
    files = [folder / "config.yaml", folder / STUDY]
    merged: dict[str, dict[str, object]] = {}
    for file in files:
        for section, values in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            merged.setdefault(section, {}).update(values)
    return load_settings(merged, files)


def declared(rule: str, file: str) -> dict[str, int]:
    """`mem_mb` and `runtime` that a rule declares as plain numbers."""
    text = (ROOT / "rules" / file).read_text(encoding="utf-8").partition(f"rule {rule}:")[2]
    return {name: int(value) for name, value in re.findall(r"(mem_mb|runtime)=(\d+),", text)[:2]}


def prune_needs(settings: Settings, model: str, method: str, attempt: int) -> dict[str, int]:
    entry = settings.models[model]
    flops = resources.compression_flops(entry, method)
    return {
        "mem_mb": attempt * resources.compression_memory_mb(entry, method),
        "minutes": attempt * resources.minutes(flops, settings.engine.planning_flops),
        "cpus": resources.cpus(entry),
    }


@submitted
def test_jobs_make_what_a_run_without_a_cluster_makes(everything: Workplace) -> None:
    everything.is_as_undisturbed()


@submitted
def test_a_job_is_submitted_for_each_cell_and_stage_and_none_for_what_is_short(everything: Workplace) -> None:
    settings = settings_of(everything.folder)
    study = settings.studies["fault"]
    cells, evaluated = study.all_cells(), study.cells("table2")
    artifacts = Counter(artifact(cell.method) for cell in cells)
    assert Counter(job["Comment"].split("_wildcards_")[0] for job in everything.jobs()) == {
        "rule_prune_model": artifacts["mask.safetensors"],
        "rule_reconstruct_model": artifacts["weights.safetensors"],
        "rule_dump_cell_pair": len(cells),
        "rule_evaluate_model": len(evaluated) * len(study.tables["table2"].benchmarks),
        "rule_dump_dense_pair": 1,
        "rule_evaluate_dense": 1,
        "rule_collect_documents": len(settings.corpora["pair"].languages),
        "rule_train_model": 1,
        "rule_build_calibration_set": len({cell.calibration for cell in cells}),
        "rule_build_evaluation_set_pair": 1,
        "rule_generate_benchmark": 1,
    }


@submitted
def test_jobs_of_a_small_model_and_cpu_rules_ask_for_what_is_declared(everything: Workplace) -> None:
    settings = settings_of(everything.folder)
    common = {"partition": "batch", "gpus": None, "features": "", "account": ACCOUNT}
    for job in everything.jobs("prune_model"):
        assert asked_for(job) == common | prune_needs(settings, "mini", "wanda", 1)
    (shard, *_) = everything.jobs("build_calibration_set")
    said = declared("build_calibration_set", "calibrate.smk")
    assert asked_for(shard) == common | {"mem_mb": said["mem_mb"], "minutes": said["runtime"], "cpus": 1}


def test_jobs_of_a_large_model_ask_for_one_gpu_and_more_at_the_second_attempt(workplace: Workplace) -> None:
    workplace.say_in_user_file(partitions=PARTITIONS, account=ACCOUNT, gpu_model="h100", constraint="fast")
    for path in ("model.json", "calibration/de/seed0/tokens.safetensors"):
        placeholder = workplace.folder / f"results/{LARGE}" / path
        placeholder.parent.mkdir(parents=True, exist_ok=True)
        placeholder.touch()
    workplace.cluster.run("scontrol", "update", "partitionname=accelerated", "state=down")
    try:
        run = workplace.start("--", LARGE_CELL)
        (first,) = run.meanwhile(lambda: workplace.jobs("reconstruct_model"), "there was a job")
        workplace.cluster.run("scancel", first["JobId"])
        second = run.meanwhile(lambda: workplace.jobs("reconstruct_model")[1:], "there was a second job")[0]
        run.process.send_signal(signal.SIGINT)
        assert run.code() == 1
        assert [job["JobState"] for job in workplace.jobs()] == ["CANCELLED"] * 2
    finally:
        workplace.cluster.run("scontrol", "update", "partitionname=accelerated", "state=up")
    settings = settings_of(workplace.folder)
    common = {"partition": "accelerated", "gpus": "gres:gpu:h100:1", "features": "fast", "account": ACCOUNT}
    assert asked_for(first) == common | prune_needs(settings, LARGE, "sparsegpt", 1)
    assert asked_for(second) == common | prune_needs(settings, LARGE, "sparsegpt", 2)


def test_two_cells_on_a_node_see_a_gpu_each(workplace: Workplace) -> None:
    cells = [CELL, "results/mini/wanda/0.50/de/seed0"]
    for cell in cells:
        shutil.rmtree(workplace.folder / cell)
    workplace.cluster.run("scontrol", "update", "nodename=g2", "state=drain", "reason=test")
    try:
        run = workplace.start_held("--set-resources", "prune_model:gpu=1", "--", *(f"{c}/mask.safetensors" for c in cells))
        seen = list(workplace.held(run, 2).values())
        workplace.release()
        run.succeed()
    finally:
        workplace.cluster.run("scontrol", "update", "nodename=g2", "state=resume")
    assert {job["SLURMD_NODENAME"] for job in seen} == {"g1"}
    assert sorted(job["CUDA_VISIBLE_DEVICES"] for job in seen) == ["0", "1"]


def test_the_literal_command_needs_nothing_but_the_repository(workplace: Workplace) -> None:
    target = "results/corpora/demo/de.parquet"
    environment = workplace.cluster.environment(POLYPRUNE_CLUSTER=str(workplace.user_file))
    command = ["snakemake", "--profile", "slurm", target]
    run = subprocess.run(command, cwd=workplace.folder, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    (job,) = workplace.jobs()
    said = declared("collect_documents", "corpora.smk")
    common = {"partition": "batch", "gpus": None, "features": "", "account": ""}
    assert asked_for(job) == common | {"mem_mb": said["mem_mb"], "minutes": said["runtime"], "cpus": 1}
    assert (workplace.folder / target).stat().st_size > 10_000
