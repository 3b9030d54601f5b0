"""Snakemake in a copy of the repository: runs and plans of the quick study."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

from tests.helpers.checkout import copy_repository
from tests.helpers.warm_snakemake import run_snakemake

QUICK = "results/quick/table1.parquet"


CELL = "results/quick-llama/sparsegpt/0.50/de/seed0/weights.safetensors"


def copy_with_table_1(folder: Path) -> Path:
    """The repository's files; of the quick study only table 1, whose chain most tests here are about."""
    copy_repository(folder)
    only_table_1(folder / "studies/quick.yaml")
    return folder


def only_table_1(study: Path) -> None:
    text = study.read_text(encoding="utf-8")
    start, end = text.index("      table2:"), len(text)
    study.write_text(text[:start] + text[end:], encoding="utf-8")


def snakemake(folder: Path, *words: str, profile: str = "local") -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "POLYPRUNE_WORKER")}
    return run_snakemake(["--profile", profile, "--cores", "2", *words], folder, environment)


def quick(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return snakemake(folder, "--configfile", "studies/quick.yaml", *words)


def run_quick_study(folder: Path) -> None:
    """In a copy of the repository that is put there."""
    run = quick(copy_with_table_1(folder), "--", QUICK)
    assert run.returncode == 0, run.stdout + run.stderr


def planned(folder: Path, *targets: str, configfile: str = "studies/quick.yaml") -> dict[str, int]:
    """Jobs by rule that a dry run lists, all bundles of a kind as one rule; empty if there is nothing to be done."""
    found: Counter[str] = Counter()
    for rule, count in planned_by_name(folder, *targets, configfile=configfile).items():
        found[re.sub(r"^(dump_(?:cells|mixed)_.+)_[0-9a-f]{8}$", r"\1", rule)] += count
    return dict(found)


def planned_by_name(folder: Path, *targets: str, configfile: str = "studies/quick.yaml") -> dict[str, int]:
    """The same, each bundle by its own name."""
    run = snakemake(folder, "--configfile", configfile, "-n", "--", *targets)
    assert run.returncode == 0, run.stdout + run.stderr
    tables = run.stdout.split("Job stats:")
    if len(tables) == 1:
        assert "Nothing to be done" in run.stdout + run.stderr
        return {}
    rows = re.findall(r"^(\w+) +(\d+)$", tables[1].split("\n\n")[0], flags=re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule != "total"}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
