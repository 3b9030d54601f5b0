"""Jobs that a killed run left, with stand-ins for Slurm's commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake_executor_plugin_slurm.utils import get_job_wildcards

from polyprune.cluster import slurm
from polyprune.errors import UserError
from polyprune.workflow import bundles

ROOT = Path(__file__).parents[2]
PRUNE = "rule_prune_model_wildcards_tiny_wanda_0.50_de_0"
DUMP = "rule_dump_cell_demo_wildcards_tiny_wanda_0.50_de_0"


class FakeSlurm:
    """`squeue` prints `queue`; `scancel` takes a job out of it; all calls are recorded."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.queue, self.calls = folder / "bin", folder / "queue", folder / "calls"
        self.bin.mkdir()
        self.queue.touch()
        self.calls.touch()
        self.command("squeue", f"cat {self.queue}")
        self.command("scancel", f'for job in "$@"; do sed -i "/^$job|/d" {self.queue}; done')

    def command(self, name: str, does: str) -> None:
        file = self.bin / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n{does}\n')
        file.chmod(0o755)

    def called(self, name: str) -> list[str]:
        return re.findall(rf"^{name} (.*)$", self.calls.read_text(), flags=re.MULTILINE)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    made = FakeSlurm(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    return made


def test_work_is_named_as_the_plugin_names_it():
    for wildcards in ([], ["tiny"], ["tiny", "wanda", "0.50", "de-en", "0"], ["a/b"]):
        job = SimpleNamespace(wildcards=wildcards)
        comment = f"rule_x_wildcards_{get_job_wildcards(job)}" if wildcards else "rule_x"  # pyright: ignore[reportArgumentType]
        assert bundles.work_of("x", wildcards) == comment


def test_only_our_jobs_of_this_folder_are_seen(fake: FakeSlurm, tmp_path: Path):
    here, link = tmp_path / "a|b", tmp_path / "link"
    here.mkdir()
    link.symlink_to(here)
    fake.queue.write_text(
        f"1|polyprune_0-1|{here}|N/A|{PRUNE}\n2|polyprune_0-1|{link}|N/A|{DUMP}\n3|polyprune_0-1|{tmp_path}|N/A|{PRUNE}\n"
        f"4|other_0-1|{here}|N/A|{PRUNE}\n"
    )
    assert slurm.queued_jobs(here) == [slurm.QueuedJob("1", PRUNE), slurm.QueuedJob("2", DUMP)]
    assert fake.called("squeue") == ["--me --noheader --array --format=%i|%j|%Z|%K|%k"]


def test_each_task_of_an_array_is_a_job_with_a_work_of_its_own(fake: FakeSlurm, tmp_path: Path):
    rows = [f"9_{task}|polyprune_0-1|{tmp_path}|{task}|{PRUNE};{DUMP}\n" for task in (1, 2)]
    fake.queue.write_text("".join(rows))
    assert slurm.queued_jobs(tmp_path) == [slurm.QueuedJob("9_1", PRUNE), slurm.QueuedJob("9_2", DUMP)]


def test_lines_that_are_no_job_of_ours_are_passed_over(fake: FakeSlurm, tmp_path: Path):
    """Comments of other jobs of this user are any text."""
    fake.queue.write_text(
        f"5|other|{tmp_path}|two\nlines|of|a|comment|\n\n6|polyprune_0-1|{tmp_path}\n7|polyprune_0-1|{tmp_path}|N/A|{PRUNE}\n"
    )
    assert slurm.queued_jobs(tmp_path) == [slurm.QueuedJob("7", PRUNE)]


def test_without_slurm_the_user_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"squeue is not found, .* start where Slurm's commands are.*--profile local"):
        slurm.queued_jobs(tmp_path)


def test_what_is_planned_is_cancelled_and_other_work_left_alone(fake: FakeSlurm, tmp_path: Path):
    other = f"8|polyprune_1-1|{tmp_path}|N/A|{DUMP}\n"
    fake.queue.write_text(f"7|polyprune_0-1|{tmp_path}|N/A|{PRUNE}\n{other}")
    said: list[str] = []
    slurm.end_orphans({PRUNE, "rule_paper"}, tmp_path, said.append)
    assert fake.called("scancel") == ["7"]
    assert fake.queue.read_text() == other
    assert len(said) == 1 and f"they are cancelled and run anew: 7 ({PRUNE})" in said[0]


def dumped(*variants: str) -> list[str]:
    return [f"results/{variant}/hidden_states/demo/{language}.h5" for variant in variants for language in ("de", "en")]


SHARED = ["tiny", "wanda", "0.50"]
MAY_WRITE_THE_SAME = [
    "rule_dump_cell_demo_wildcards_tiny_wanda_0.50_de-en_0",
    "rule_dump_cells_demo_0f3a97c1_wildcards_tiny_wanda_0.50",
    "rule_dump_cells_demo_93d0e81b_wildcards_tiny_wanda_0.50",
    "rule_dump_mixed_demo_5ad0e81b_wildcards_tiny",
]
WRITES_OTHERS = [
    "rule_dump_cell_demo_wildcards_tiny_wanda_0.50_sw_0",
    "rule_dump_cell_demo_wildcards_tiny_wanda_0.50_de-en_1",
    "rule_dump_cell_demo_wildcards_tiny_wanda_0.50-owl_de-en_0",
    "rule_dump_cells_demo_0f3a97c1_wildcards_tiny_wanda_0.50-owl",
    "rule_dump_cells_demo_0f3a97c1_wildcards_tiny_sparsegpt_0.50",
    "rule_dump_cells_demo_0f3a97c1_wildcards_tiny2_wanda_0.50",
    "rule_dump_cells_mc4_0f3a97c1_wildcards_tiny_wanda_0.50",
    "rule_dump_mixed_mc4_5ad0e81b_wildcards_tiny",
    "rule_dump_mixed_demo_5ad0e81b_wildcards_tiny2",
    "rule_dump_dense_demo_wildcards_tiny",
]


@pytest.mark.parametrize(
    ("rule", "wildcards", "output"),
    [
        ("dump_cell_demo", [*SHARED, "de-en", "0"], dumped("tiny/wanda/0.50/de-en/seed0")),
        ("dump_mixed_demo_77", ["tiny"], dumped("tiny/wanda/0.50/de-en/seed0")),
        ("dump_cells_demo_93d0e81b", SHARED, dumped("tiny/wanda/0.50/de-en/seed0", "tiny/wanda/0.50/zh/seed0")),
    ],
)
def test_a_dump_that_may_write_the_same_is_an_orphan_however_it_was_bundled(
    rule: str, wildcards: list[str], output: list[str], fake: FakeSlurm, tmp_path: Path
):
    works = MAY_WRITE_THE_SAME + WRITES_OTHERS
    rows = [f"{number}|polyprune_0-1|{tmp_path}|N/A|{work}\n" for number, work in enumerate(works, start=1)]
    fake.queue.write_text("".join(rows))
    slurm.end_orphans(bundles.works_like(rule, wildcards, output), tmp_path, lambda _: None)
    assert fake.called("scancel") == ["1 2 3 4"]
    assert fake.queue.read_text() == "".join(rows[4:])


def test_other_rules_are_known_by_their_own_name_and_wildcards():
    assert bundles.works_like("dump_dense_demo", ["tiny"], []) == {"rule_dump_dense_demo_wildcards_tiny"}
    assert bundles.works_like("prune_model", [*SHARED, "de", "0"], []) == {PRUNE}


def test_nothing_is_said_or_cancelled_where_there_are_no_orphans(fake: FakeSlurm, tmp_path: Path):
    fake.queue.write_text(f"8|polyprune_1-1|{tmp_path}|N/A|{DUMP}\n")
    said: list[str] = []
    slurm.end_orphans({PRUNE}, tmp_path, said.append)
    assert (said, fake.called("scancel")) == ([], [])


def test_it_waits_until_they_are_gone(fake: FakeSlurm, tmp_path: Path):
    """A cancelled job is in the queue, completing, until its last process is dead."""
    fake.queue.write_text(f"7|polyprune_0-1|{tmp_path}|N/A|{PRUNE}\n")
    fake.command("scancel", f"(sleep 0.5; : > {fake.queue}) > /dev/null 2>&1 &")
    slurm.end_orphans({PRUNE}, tmp_path, lambda _: None, patience=20)
    assert fake.queue.read_text() == ""


def test_jobs_that_do_not_go_are_an_error_that_says_what_to_do(fake: FakeSlurm, tmp_path: Path):
    fake.queue.write_text(f"7|polyprune_0-1|{tmp_path}|N/A|{PRUNE}\n")
    fake.command("scancel", "exit 1")
    with pytest.raises(
        UserError, match=r"Slurm jobs 7 of a run that was killed are not gone 0.5 s after .* `squeue -j 7`"
    ):
        slurm.end_orphans({PRUNE}, tmp_path, lambda _: None, patience=0.5)


def test_a_queue_that_does_not_answer_is_an_error(fake: FakeSlurm, tmp_path: Path):
    fake.command("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(UserError, match=r"squeue does not answer, .*: slurm_load_jobs error: Unable to contact"):
        slurm.end_orphans({PRUNE}, tmp_path, lambda _: None)


# Why a job failed. The lines are Slurm 22.05's (two of them Slurm 23.11's), the messages the plugin's.


# In Snakemake: `--profile slurm` with a cluster that refuses every job.


@pytest.fixture
def checkout(fake: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "checkout"
    for name in ("rules", "workflow_scripts", "slurm", "envs", "studies"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder / name)
    monkeypatch.setenv("POLYPRUNE_CLUSTER", str(folder / "slurm/partitions.yaml"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    fake.command("sinfo", "echo 'cpu|(null)|(null)'; echo 'gpu|gpu:8|(null)'")
    fake.command("scontrol", "echo MinJobAge = 300 sec")
    fake.command("sacct", "exit 1")
    fake.command("sbatch", "echo 'Invalid account or account/partition combination specified' >&2; exit 1")
    return folder


def snakemake(folder: Path, *words: str) -> str:
    command = [str(Path(sys.executable).parent / "snakemake"), "--profile", "slurm", "--retries", "0"]
    words = ("--configfile", "studies/quick.yaml", *words, "--", "results/quick-llama/model.json")
    run = subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True, timeout=120)
    return run.stdout + run.stderr


def test_orphans_end_before_the_first_submission_and_refusals_are_shown(fake: FakeSlurm, checkout: Path):
    orphan = "rule_train_model_wildcards_quick-llama"
    fake.queue.write_text(f"7|polyprune_0-1|{checkout}|N/A|{orphan}\n8|polyprune_0-1|{checkout}|N/A|rule_x\n")
    output = snakemake(checkout)
    calls = [call.split()[0] for call in fake.calls.read_text().splitlines()]
    assert fake.called("scancel") == ["7"] and calls.index("scancel") < calls.index("sbatch")
    assert f"run anew: 7 ({orphan})" in output
    assert "Invalid account or account/partition combination specified" in output
    assert "it is not tried again, as it would be refused again. Logs: logs/" in output


def test_a_plan_asks_slurm_nothing(fake: FakeSlurm, checkout: Path):
    fake.queue.write_text(f"7|polyprune_0-1|{checkout}|N/A|rule_train_model_wildcards_quick-llama\n")
    assert "This was a dry-run" in snakemake(checkout, "-n")
    assert (fake.called("squeue"), fake.called("scancel")) == ([], [])


def test_the_profile_names_jobs_as_we_look_for_them():
    profile = yaml.safe_load((ROOT / "slurm/profile.yaml").read_text(encoding="utf-8"))
    assert profile["slurm-jobname-prefix"] + "_" == slurm.PREFIX
