"""A copy of the repository, so that results of a developer's own runs are neither used nor touched."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRACKED = ("Snakefile", "config.yaml", "rules", "workflow_scripts", "envs", "data/paper", "local", "slurm", "studies")


def copy_repository(folder: Path) -> Path:
    """The files that running the workflow takes."""
    for name in TRACKED:
        source = ROOT / name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder
