"""A whole study by jobs of a cluster: what comes out, what is submitted, and what the jobs ask for."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm.accounting import ACCOUNT
from tests.slurm.asked import asked_for, compression_needs, declared
from tests.slurm.cluster import Cluster
from tests.slurm.lab import PARTITIONS, Workplace, rule_of

from polyprune.grammar.methods import artifact

ON_CPU = {"partition": "batch", "nodes": "1", "gpus": "", "features": "", "account": ACCOUNT}
"""Of all jobs here, whatever the user's file says about GPUs."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, undisturbed: Path) -> Iterator[Workplace]:
    """A working copy in which everything was made anew by jobs of the cluster."""
    workplace = Workplace(tmp_path_factory.mktemp("finished"), cluster, undisturbed)
    workplace.say_in_user_file(partitions=PARTITIONS, account=ACCOUNT, gpu_model="h100", constraint="fast")
    for made in ("results", "logs", ".snakemake"):
        shutil.rmtree(workplace.folder / made)
    workplace.start("--", "fault").succeed()
    yield workplace
    workplace.end()


def test_jobs_make_what_a_run_without_a_cluster_makes(finished: Workplace) -> None:
    finished.is_as_undisturbed()


def test_a_job_for_each_cell_and_stage_and_none_for_short_steps(finished: Workplace) -> None:
    study = finished.settings.studies["fault"]
    cells, evaluated = study.all_cells(), study.cells("table2")
    artifacts = Counter(artifact(cell.method) for cell in cells)
    rules = [re.sub(r"^(dump_mixed_pair)_[0-9a-f]{8}$", r"\1", rule_of(job)) for job in finished.jobs()]
    assert len(cells) == 3 and Counter(rules) == {
        "prune_model": artifacts["mask.safetensors"],
        "reconstruct_model": artifacts["weights.safetensors"],
        "dump_mixed_pair": 1,
        "evaluate_model": len(evaluated) * len(study.tables["table2"].benchmarks),
        "train_model": 1,
        "dump_dense_pair": 1,
        "evaluate_dense": 1,
    }


def test_cells_of_a_small_model_ask_for_what_their_size_needs_and_no_gpu(finished: Workplace) -> None:
    for rule, method in (("prune_model", "wanda"), ("reconstruct_model", "sparsegpt")):
        for job in finished.jobs(rule):
            assert asked_for(job) == ON_CPU | compression_needs(finished.settings, "mini", method, attempt=1)


def test_a_rule_without_gpu_asks_for_what_it_declares(finished: Workplace) -> None:
    (training,) = finished.jobs("train_model")
    assert asked_for(training) == ON_CPU | declared("models.smk", "train_model")
