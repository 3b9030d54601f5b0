"""Single jobs: what they ask Slurm for, and what they get."""

from __future__ import annotations

import signal
import subprocess

import pytest
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence
from tests.slurm.accounting import ACCOUNT
from tests.slurm.asked import asked_for, compression_needs
from tests.slurm.lab import MASK, PARTITIONS, Workplace

LARGE = "llama-3-70b"


def test_a_cell_of_a_large_model_asks_for_one_gpu_and_more_at_the_second_attempt(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its jobs never run: the partition is down."""
    monkeypatch.chdir(workplace.folder)
    workplace.say_in_user_file(partitions=PARTITIONS, account=ACCOUNT, gpu_model="h100", constraint="fast")
    for made in ("model.json", "calibration/de/seed0/tokens.safetensors"):
        placeholder = workplace.folder / "results" / LARGE / made
        placeholder.parent.mkdir(parents=True, exist_ok=True)
        placeholder.touch()
        record = MetadataRecord(endtime=placeholder.lstat().st_mtime)  # as if Snakemake had made it
        FilePersistence()._write_record(f"results/{LARGE}/{made}", record)
    with workplace.cluster.set_back("partitionname=accelerated", "state=down", "state=up"):
        run = workplace.start("--", f"results/{LARGE}/sparsegpt/0.50/de/seed0/weights.safetensors")
        first = run.meanwhile(workplace.jobs, "there was a job")[0]
        workplace.cluster.run("scancel", first["JobId"])
        second = run.meanwhile(lambda: workplace.jobs()[1:], "there was a second job")[0]
        run.process.send_signal(signal.SIGINT)
        assert run.code() == 1
        assert [job["JobState"] for job in workplace.jobs()] == ["CANCELLED"] * 2
    expected = {"partition": "accelerated", "nodes": "1-1", "gpus": "gres:gpu:h100:1", "features": "fast"}
    for attempt, job in enumerate((first, second), 1):
        needs = compression_needs(workplace.settings, LARGE, "sparsegpt", attempt)
        assert asked_for(job) == expected | {"account": ACCOUNT} | needs


def test_two_cells_on_one_node_see_a_gpu_each(workplace: Workplace) -> None:
    cells = [f"results/mini/wanda/0.50/{calibration}/seed0" for calibration in ("de", "de-sw")]
    for cell in cells:
        (workplace.folder / cell / "mask.safetensors").unlink()
    with workplace.cluster.set_back("nodename=g2", "state=drain reason=test", "state=resume"):
        run = workplace.start_held(
            *("--set-resources", "prune_model:gpu=1", "--"), *(f"{cell}/mask.safetensors" for cell in cells)
        )
        seen = workplace.held(run, 2).values()
        workplace.release()
        run.succeed()
    assert [job["SLURMD_NODENAME"] for job in seen] == ["g1", "g1"]
    assert {job["CUDA_VISIBLE_DEVICES"] for job in seen} == {"0", "1"}


def test_the_literal_command_from_the_root_of_the_repository(workplace: Workplace) -> None:
    """At its own pace, where Slurm forgets finished jobs after 30 s, keeps no accounts and takes no arrays.

    The plugin would ask `sacct` then, which knows nothing, and would refuse to begin without arrays.
    """
    (workplace.folder / MASK).unlink()
    environment = workplace.cluster.environment(POLYPRUNE_CLUSTER=str(workplace.user_file))
    command = ["snakemake", "--profile", "slurm", MASK]
    said = {"capture_output": True, "text": True, "timeout": 300}
    with workplace.cluster.configured(MinJobAge=30, MaxArraySize=1):
        run = subprocess.run(command, cwd=workplace.folder, env=environment, **said)
    assert run.returncode == 0, run.stdout + run.stderr
    workplace.is_as_undisturbed()
