"""The user's file of a cluster, and Snakemake in a checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.helpers.warm_snakemake import run_snakemake

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


def own_file(home: Path, text: str) -> Path:
    file = home / ".config/polyprune/partitions.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "POLYPRUNE_WORKER")}
    return run_snakemake(words, folder, environment)
