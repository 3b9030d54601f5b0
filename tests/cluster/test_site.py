"""The user's cluster in one file: which file counts, what it may say, and what of it reaches jobs."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from polyprune.cluster.site import TEMPLATE, Cluster, Partition, apptainer_arguments, cluster_file, load_cluster
from polyprune.errors import UserError

ROOT = Path(__file__).parents[2]
FULL = """\
partitions:
  short: {max_runtime: 4h, max_mem_mb: 64000, max_threads: 16}
  big: {max_runtime: 1-12:00:00, max_gpu: 4}
account: proj-12
qos: high
gpu_model: h100
constraint: h100&ib
modules: [gcc/13, cuda/12.6]
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of our own, without a file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("POLYPRUNE_CLUSTER", raising=False)
    return tmp_path


def own_file(home: Path, text: str) -> Path:
    file = home / ".config/polyprune/partitions.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


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
    ("partitions: [\n", "{file} is not YAML: ", "line 2"),
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


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("rules", "workflow_scripts", "slurm", "local", "envs", "studies"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "POLYPRUNE_WORKER")}
    command = [str(Path(sys.executable).parent / "snakemake"), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


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


# Where jobs find their Python: in a real run, with stand-ins for apptainer, module and conda that record their calls.

COLLECTED = "results/corpora/small/de.parquet"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that wins over the machine's, and their record."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def command(folder: Path, name: str, does: str) -> None:
    file = folder / name
    file.write_text(f'#!/bin/bash\necho "{name} $*" >> {folder}/record\n{does}\n')
    file.chmod(0o755)


def collect(folder: Path, profile: str, *words: str) -> str:
    """Run a small job anew."""
    (folder / COLLECTED).unlink(missing_ok=True)
    small = folder / "small.yaml"
    small.write_text(
        "corpora: {small: {kind: demo, languages: [de], documents: {train: 3, calibration: 3, evaluation: 3}}}"
    )
    run = snakemake(folder, "--profile", profile, "--configfile", str(small), *words, "--", COLLECTED)
    assert run.returncode == 0 and (folder / COLLECTED).exists(), run.stdout + run.stderr
    return run.stdout + run.stderr


def test_modules_are_loaded_before_every_job(home: Path, checkout: Path, commands: Path):
    """A stand-in as a command; the real one is a function of the shell, which jobs inherit."""
    own_file(home, FULL)
    command(commands, "module", "")
    collect(checkout, "local", "--cores", "1")
    assert (commands / "record").read_text() == "module load gcc/13 cuda/12.6\n"


INSIDE = f"""
[ -z "$POLYPRUNE_WORKER" ] || echo "this would be done by a worker outside" >&2
[ -z "$POLYPRUNE_WORKER" ] && exec {sys.executable} "$@"
"""
"""A Python that is not the one of Snakemake's environment."""
APPTAINER = """
if [ "$1" = --version ]; then echo apptainer version 1.3.4; exit; fi
while [ "$1" != sh ] && [ "$1" != bash ]; do shift; done
export HOME="$PWD"
PATH="{python}:/usr/bin:/bin" exec "$@"
"""


def test_an_image_runs_every_job_with_its_own_python(
    home: Path, checkout: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
):
    own_file(home, "partitions: {cpu: {}}\nimage: /images/env.sif\n")
    monkeypatch.setenv("HF_HOME", str(home / "hub"))
    inside = home / "inside"
    inside.mkdir()
    command(inside, "python", INSIDE)
    command(commands, "apptainer", APPTAINER.format(python=inside))
    image = home / "env.sif"
    image.touch()
    own_file(home, f"partitions: {{cpu: {{}}}}\nimage: {image}\n")
    collect(checkout, "slurm", "--executor", "local", "--cores", "1")
    (call,) = (line for line in (commands / "record").read_text().splitlines() if " exec " in line)
    hub = home / "hub"
    assert hub.is_dir()
    assert f" --nv --bind {hub} --env HF_HOME={hub} " in call and f" {image} " in call
    assert (inside / "record").read_text().startswith("python -m polyprune collect_documents ")
    own_file(home, "partitions: {cpu: {}}\n")
    for profile in ("slurm", "local"):
        plan = snakemake(checkout, "--profile", profile, "--configfile", "small.yaml", "-n", "--", COLLECTED)
        assert "Nothing to be done" in plan.stdout + plan.stderr, "a result does not depend on where it was made"


def test_an_image_sees_a_hub_cache_that_lies_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(home / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "big"))
    assert apptainer_arguments() == f"--nv --bind {home}/hub --bind {home}/big --env HF_HOME={home}/hub"
    assert (home / "hub").is_dir() and (home / "big").is_dir()


def test_no_image_no_container(checkout: Path, commands: Path):
    command(commands, "apptainer", APPTAINER)
    collect(checkout, "slurm", "--executor", "local", "--cores", "1")
    assert not (commands / "record").exists()


CONDA = """
case "$*" in
  --version) echo conda 24.11.3;;
  "info --json") echo '{{"conda_prefix": "{home}/conda", "platform": "linux-64"}}';;
  config*) echo '{{"get": {{"channel_priority": "strict"}}}}';;
  *create*) while [ $# -gt 1 ]; do
      case "$1" in
        --file*) cp "$2" {home}/given.yaml;;
        --prefix) mkdir -p "$2/conda-meta"; touch "$2/conda-meta/history";;
      esac; shift; done;;
esac
"""


def test_conda_makes_the_environment_of_envs_and_jobs_find_our_packages(home: Path, checkout: Path, commands: Path):
    activate = home / "conda/bin/activate"
    activate.parent.mkdir(parents=True)
    inside = home / "inside"
    inside.mkdir()
    command(inside, "python", INSIDE)
    activate.write_text(f'export PATH="{inside}:$PATH"\n')
    activate.chmod(0o755)
    command(commands, "conda", CONDA.format(home=home))
    collect(checkout, "local", "--cores", "1", "--sdm", "conda")
    assert (inside / "record").read_text().startswith("python -m polyprune collect_documents ")
    assert (home / "given.yaml").read_text() == (ROOT / "envs/polyprune.yaml").read_text()


def pins(lines: list[str]) -> dict[str, str]:
    return {
        name.lower().replace("_", "-"): version for name, _, version in (line.strip().partition("==") for line in lines)
    }


def test_the_conda_environment_has_the_same_versions():
    """Snakemake copies the file before conda reads it: a path in it would lead nowhere."""
    text = (ROOT / "envs/polyprune.yaml").read_text(encoding="utf-8")
    (pip,) = (entry["pip"] for entry in yaml.safe_load(text)["dependencies"] if isinstance(entry, dict))
    required = (ROOT / "envs/requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = pins([line for line in required if line and not line.startswith(("#", "snakemake"))])
    held = pins((ROOT / "envs/constraints.txt").read_text(encoding="utf-8").splitlines())
    assert pins(pip) == {name: held[name] for name in wanted} | {"torch": "2.13.0"}


def test_every_rule_that_runs_something_has_the_conda_environment():
    for file in (ROOT / "rules").glob("*.smk"):
        rules = re.split(r"^ *rule\b", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for rule in rules:
            assert '"../envs/polyprune.yaml"' in rule or "shell:" not in rule, rule
