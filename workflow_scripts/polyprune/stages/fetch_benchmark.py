"""The data sets of a benchmark from the hub, at the commits of the lock file, in a folder of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.benchmark_data import MKQA_FILE, save_manifest
from polyprune.hub import download_dataset, download_file, resolve_revision
from polyprune.log import logger


def fetch_benchmark(datasets: list[str], mkqa_commit: str | None, output: Path, provenance: dict[str, Any]) -> None:
    """Write the data sets beside `output`, the manifest (see `artifacts/benchmark_data.py`).

    MKQA's file is not on the hub but in its authors' repository, at `mkqa_commit`; of other benchmarks that is None.
    """
    folder = output.with_suffix("")
    revisions = {}
    for name in datasets:
        if mkqa_commit:
            url = f"https://raw.githubusercontent.com/{name}/{mkqa_commit}/dataset/{MKQA_FILE}"
            download_file(url, folder / name / MKQA_FILE, "download it elsewhere and point evaluation.data_root to it")
            revisions[name] = mkqa_commit
        else:
            revisions[name] = resolve_revision("dataset", name, None)
            download_dataset(name, revisions[name], folder / name)
        logger.info("%s at %s", name, revisions[name])
    save_manifest(output, folder.name, revisions, provenance)
