"""A benchmark of the demo, in the hub layout of the real data sets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from polyprune.artifacts.benchmark_data import folder_digest, save_manifest
from polyprune.corpora.demo import benchmarks
from polyprune.log import logger


def generate_benchmark(benchmark: str, questions: int, output: Path, provenance: dict[str, Any]) -> None:
    """Write the data sets beside `output`, the manifest (see `artifacts/benchmark_data.py`)."""
    folder = output.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    names = benchmarks.write_benchmark(benchmark, folder, questions)
    logger.info("%d questions a language in %s", questions, ", ".join(names))
    save_manifest(output, folder.name, {name: folder_digest(folder / name) for name in names}, provenance)
