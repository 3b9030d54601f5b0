"""The user's cluster in one file: which file counts, what it may say, and what of it reaches jobs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from tests.helpers.cluster_files import FULL, own_file, snakemake

from polyprune.cluster.site import TEMPLATE, Cluster, Partition, cluster_file, load_cluster
from polyprune.errors import UserError

pytestmark = pytest.mark.usefixtures("home")
ROOT = Path(__file__).parents[2]


def test_the_named_file_wins_over_the_one_at_home_and_that_over_the_template(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    assert cluster_file() == TEMPLATE == ROOT / "slurm/partitions.yaml"
    own = own_file(home, FULL)
    assert cluster_file() == own
    monkeypatch.setenv("POLYPRUNE_CLUSTER", "~/elsewhere.yaml")
    assert cluster_file() == home / "elsewhere.yaml"


def test_the_template_is_valid_and_names_no_site(home: Path):
    cluster = load_cluster()
    assert set(cluster.partitions) == {"cpu", "gpu"} and cluster.partitions["gpu"].max_gpu == 8
    assert {getattr(cluster, name) for name in ("account", "qos", "gpu_model", "constraint", "image")} == {None}
    assert cluster.modules == []
    optional = re.findall(r"^# (\w+): ", TEMPLATE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(optional) == set(Cluster.model_fields) - {"partitions"}
    own_file(home, TEMPLATE.read_text(encoding="utf-8").replace("# account:", "account:").replace("# gpu_m", "gpu_m"))
    assert (load_cluster().account, load_cluster().gpu_model) == ("my-project", "h100")


def test_all_that_the_file_may_say(home: Path):
    own_file(home, FULL)
    cluster = load_cluster()
    assert cluster.partitions["big"] == Partition(max_runtime="1-12:00:00", max_gpu=4)
    assert (cluster.account, cluster.qos, cluster.gpu_model, cluster.constraint) == (
        "proj-12", "high", "h100", "h100&ib"
    )  # fmt: skip
    assert (cluster.modules, cluster.image) == (["gcc/13", "cuda/12.6"], None)


def test_an_account_that_is_a_number_stays_as_it_is_written(home: Path):
    own_file(home, FULL.replace("proj-12", "12345"))
    assert load_cluster().account == "12345"


WRONG = [
    ("acount: x\n" + FULL, "{file}:1: acount: unknown key; 'acount' is not one of", "did you mean account?"),
    (FULL.replace("max_threads: 16", "max_thread: 16"), "{file}:2: partitions.short.max_thread: unknown key", "max_th"),
    (FULL.replace("4h", "12:00:00"), "{file}:2: partitions.short.max_runtime: 43200 has no unit", 'write e.g. "24h"'),
    (FULL.replace("4h", "4 hours"), "{file}:2: partitions.short.max_runtime: ", "got '4 hours'"),
    (FULL.replace("4h", '""'), "{file}:2: partitions.short.max_runtime: ", "got ''"),
    (FULL.replace("64000", "64G"), "{file}:2: partitions.short.max_mem_mb: ", "got '64G'"),
    (FULL.replace("gpu_model: h100", "gpu_model: gpu:h100"), "{file}:6: gpu_model: ", "got 'gpu:h100'"),
    (FULL.replace("gcc/13", "gcc; rm"), "{file}:8: modules.0: ", "got 'gcc; rm'"),
    (FULL + "image: env.sif\n", "{file}: ", "`modules` would be loaded inside the `image`"),
    ("account: x\n", "{file}: partitions: this key is required", ""),
    ("partitions: {}\n", "{file}:1: partitions: ", "at least 1 item"),
    ("", "{file}: ", "a valid dictionary"),
    ("partitions: [\n", "{file}:2: no YAML: ", "expected the node content, but found"),
]


@pytest.mark.parametrize(("text", "place", "hint"), WRONG, ids=[hint or place for _, place, hint in WRONG])
def test_what_is_wrong_is_refused_with_its_file_line_and_key(home: Path, text: str, place: str, hint: str):
    file = own_file(home, text)
    with pytest.raises(UserError) as refused:
        load_cluster()
    assert place.format(file=file) in str(refused.value) and hint in str(refused.value)


def test_a_file_that_is_named_but_missing_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POLYPRUNE_CLUSTER", str(home / "no.yaml"))
    with pytest.raises(UserError, match=rf"^{home}/no.yaml, which POLYPRUNE_CLUSTER names, cannot be read \(No such"):
        load_cluster()


def test_partitions_have_the_keys_of_the_plugin(home: Path):
    """It reads the same file, and refuses with a TypeError what it does not know."""
    from snakemake_executor_plugin_slurm.partitions import PartitionLimits, read_partition_file

    known = {field.name for field in dataclasses.fields(PartitionLimits)}
    assert set(Partition.model_fields) == known
    limits = {partition.name: partition.limits for partition in read_partition_file(own_file(home, FULL))}
    assert limits["big"].max_runtime == 36 * 60 and limits["big"].max_gpu == 4
    assert limits["short"].max_runtime == 4 * 60 and limits["short"].max_mem_mb == 64000


# What reaches sbatch, read from the plan: `snakemake --profile slurm`, literally, in a copy of the repository.


def resources(folder: Path, target: str, configfile: str = "config.yaml") -> dict[str, str]:
    """Resources of the jobs of a plan, by rule."""
    run = snakemake(folder, "--profile", "slurm", "-n", "--quiet", "reason", "--configfile", configfile, "--", target)
    assert run.returncode == 0, run.stdout + run.stderr
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", run.stdout, flags=re.MULTILINE)
    return {name: "".join(re.findall(r"resources: (.*)", block)) for name, block in blocks}


CELL = "results/llama-3-8b/wanda/0.50/de/seed0/mask.safetensors"
TINY = "results/quick-llama/wanda/0.50/de/seed0/mask.safetensors"


def test_account_reaches_every_job_model_and_constraint_only_those_with_a_gpu(home: Path, checkout: Path):
    own_file(home, FULL)
    jobs = resources(checkout, CELL)
    assert {"prune_model", "build_calibration_set"} <= set(jobs)
    assert "gpu=1, gpu_model=h100, constraint=h100&ib" in jobs["prune_model"]
    assert "gpu_model" not in jobs["build_calibration_set"] and "constraint" not in jobs["build_calibration_set"]
    assert all("slurm_account=proj-12" in text for text in jobs.values())
    tiny = resources(checkout, TINY, configfile="studies/quick.yaml")
    assert "gpu_model" not in tiny["prune_model"] and "constraint" not in tiny["prune_model"]


def test_without_a_file_of_ones_own_nothing_is_asked_for_by_name(checkout: Path):
    jobs = resources(checkout, CELL)
    assert not any(name in text for text in jobs.values() for name in ("account", "gpu_model", "constraint"))


def test_every_rule_that_may_get_a_gpu_asks_for_its_kind():
    for file in (ROOT / "rules").glob("*.smk"):
        text = file.read_text(encoding="utf-8")
        asks = re.findall(r"gpu=gpus,\s+gpu_model=gpu_model,\s+constraint=constraint,", text)
        assert len(asks) == text.count("gpu=gpus"), file


@pytest.mark.parametrize("profile", ["slurm", "local"])
def test_a_wrong_file_stops_snakemake_at_once(home: Path, checkout: Path, profile: str):
    file = own_file(home, "acount: x\n" + FULL)
    run = snakemake(checkout, "--profile", profile, "-n", "--", CELL)
    assert run.returncode != 0
    assert f"{file}:1: acount: unknown key; 'acount' is not one of" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
