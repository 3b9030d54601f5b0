"""A benchmark in a folder of the user's, in the layout of the hub: checked and identified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.benchmark_data import folder_digest, present, save_manifest
from polyprune.places import path_at


def register_benchmark(datasets: list[str], data_root: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output`, the manifest (see `artifacts/benchmark_data.py`), of those of `datasets` that are there.

    `data_root` is a reference (`places.py`).

    Raises:
        UserError: none is there, or one is an empty folder.
    """
    root = path_at(data_root)
    revisions = {name: folder_digest(root / name) for name in present(root, datasets)}
    save_manifest(output, data_root, revisions, provenance)
