"""What the user's cluster is like: one small file, read by `slurm/profile.yaml` and by the rules.

`slurm/partitions.yaml` is the documented template. The user's own file outside the repository wins: the one that
`POLYPRUNE_CLUSTER` names, else `~/.config/polyprune/partitions.yaml`. Its `partitions` are those of the Slurm plugin,
which reads the same file and ignores the other keys.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from polyprune.errors import UserError
from polyprune.settings.base import Count, Section
from polyprune.settings.problems import explain, readable
from polyprune.settings.yaml_lines import read_yaml, read_yaml_lines

FILE_VARIABLE = "POLYPRUNE_CLUSTER"
TEMPLATE = Path(__file__).parents[3] / "slurm" / "partitions.yaml"


def _with_unit(text: Any) -> Any:
    """YAML reads an unquoted 12:00:00 as the number 43200, so numbers are not trusted to be minutes."""
    if isinstance(text, int | float):
        raise ValueError(f'{text!r} has no unit; write e.g. "24h" or "2d"')
    return text


WallTime = Annotated[
    str,
    BeforeValidator(_with_unit),
    Field(pattern=r"^((\d+d)?(\d+h)?(\d+m)?|(\d+-)?\d+(:\d\d){0,2})$", min_length=1),
]


ModuleName = Annotated[str, Field(pattern=r"^[\w./+-]+$")]


class Partition(Section):
    """What a job of a partition may ask for; the keys are those of snakemake-executor-plugin-slurm.

    But for `cluster`, where one sbatch serves several: the plugin gives such partitions only to jobs that name one.
    """

    max_runtime: WallTime | None = Field(default=None, description='e.g. "24h", "2d", "1-12:00:00"')
    max_mem_mb: Count | None = None
    max_mem_mb_per_cpu: Count | None = None
    max_cpus_per_task: Count | None = None
    max_threads: Count | None = None
    max_nodes: Count | None = None
    max_tasks: Count | None = None
    max_tasks_per_node: Count | None = None
    max_gpu: int = Field(0, ge=0, description="GPUs of one node")
    available_gpu_models: list[str] | None = None
    max_cpus_per_gpu: Count | None = None
    supports_mpi: bool = True
    max_mpi_tasks: Count | None = None
    available_constraints: list[str] | None = None


class Cluster(Section):
    """The file; only `partitions` is required."""

    model_config = ConfigDict(strict=False, coerce_numbers_to_str=True)

    partitions: dict[str, Partition] = Field(min_length=1)
    account: str | None = Field(default=None, description="of all jobs")
    qos: str | None = Field(default=None, description="of all jobs")
    gpu_model: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_.]+$", description="Slurm's name of the type, as h100"
    )
    constraint: str | None = Field(default=None, description="node features of jobs with a GPU, as h100&ib")
    modules: list[ModuleName] = Field(default=[], description="environment modules that every job loads")
    image: str | None = Field(default=None, description="Apptainer image that every job runs in: a file or a URL")

    @model_validator(mode="after")
    def _modules_or_image(self) -> Cluster:
        if self.modules and self.image:
            raise ValueError(
                "`modules` would be loaded inside the `image`: give one of them; a module that apptainer itself needs "
                "is loaded before Snakemake is started"
            )
        return self


def shell_prefix(packages: Path, python: Path | None, modules: Sequence[str]) -> str:
    """What every job's shell does first, as Snakemake's format string: load modules, find Python and our packages.

    Python takes arguments, names of files and text for UTF-8, which Snakemake hands over, whatever the locale says.

    `python` is the folder of the interpreter, None where an image or a conda environment brings its own. PYTHONPATH is
    set here because Snakemake takes it out of the environment of jobs that run in conda environments.
    """
    load = f"module load {' '.join(modules)}; " if modules else ""
    path = f'export PATH={_quoted(python)}:"$PATH"; ' if python else ""
    return f'{load}{path}export PYTHONUTF8=1 PYTHONPATH={_quoted(packages)}"${{{{PYTHONPATH:+:$PYTHONPATH}}}}"; '


def _quoted(folder: Path) -> str:
    """For a shell, and in a format string."""
    return shlex.quote(str(folder)).replace("{", "{{").replace("}", "}}")


def apptainer_arguments() -> str:
    """What an image is run with: the GPU, and the hub's cache of this machine, made if missing.

    A container has another home, so it is told where the cache is; `HF_HUB_CACHE`, where it is set, reaches it anyway.
    """
    around = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = Path(os.environ.get("HF_HOME") or Path(around) / "huggingface").expanduser()
    elsewhere = os.environ.get("HF_HUB_CACHE")
    folders = [home, *([Path(elsewhere).expanduser()] if elsewhere else [])]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return " ".join(["--nv", *(f"--bind {folder}" for folder in folders), f"--env HF_HOME={home}"])


def cluster_file() -> Path:
    """The file that counts: the user's own, else the repository's template."""
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named).expanduser().absolute()
    own = Path.home() / ".config" / "polyprune" / "partitions.yaml"
    return own if own.exists() else TEMPLATE


def load_cluster() -> Cluster:
    """What `cluster_file` says.

    Raises:
        UserError: the file is missing or no YAML; or all that is wrong in it, with its line and the valid keys.
    """
    file = cluster_file()
    try:
        content = read_yaml(file)
    except OSError as error:
        raise UserError(
            f"{file}, which {FILE_VARIABLE} names, cannot be read ({error.strerror}): "
            f"copy {TEMPLATE} there, or unset it"
        ) from error
    try:
        return Cluster.model_validate(content)
    except ValidationError as error:
        problems = [readable(item, content, Cluster) for item in error.errors()]
        raise UserError(explain(problems, [read_yaml_lines(file)], str(file))) from error
