"""A benchmark in a folder of the user's, in the layout of the hub: checked and identified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.benchmark_data import folder_digest, save_manifest
from polyprune.places import path_at


def register_benchmark(datasets: list[str], data_root: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output`, the manifest (see `artifacts/benchmark_data.py`); raises `UserError` for a missing data set.

    `data_root` is a reference (`places.py`).
    """
    revisions = {name: folder_digest(path_at(data_root) / name) for name in datasets}
    save_manifest(output, data_root, revisions, provenance)
