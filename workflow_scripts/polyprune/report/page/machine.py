"""Where a page was written, and what its jobs have cost here: read from the machine and from records of jobs."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from polyprune.provenance import PACKAGE

_KINDS = {
    "prune_model": "compressing a model",
    "train_model": "training a model",
    "hidden_states": "hidden states, perplexity",
    "activations": "activations of neurons",
    "evaluation": "benchmarks",
    "outliers": "outliers of layers",
}
"""What records are of, by a part of their path."""


def described() -> list[tuple[str, str]]:
    """The commit and the machine that the page was written with, as lines."""
    lines = [("commit", commit()), ("Python", platform.python_version())]
    lines += [("libraries", ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "pyarrow", "plotly")))]
    return [
        *lines,
        ("machine that wrote this page", f"{_processor()}, {os.cpu_count()} cores, {platform.system()}{_gpus()}"),
    ]


def commit() -> str:
    """Of this program; with a word if files were changed since."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(PACKAGE), *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    if shutil.which("git") is None or not (found := git("rev-parse", "HEAD")):
        return "not known: this is not a git checkout"
    return found + (" and changes that are not committed" if git("status", "--porcelain", "--", str(PACKAGE)) else "")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gpus() -> str:
    if shutil.which("nvidia-smi") is None:
        return ", no NVIDIA GPU"
    words = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(words, capture_output=True, text=True).stdout.split("\n")
    return ", " + ", ".join(name for name in names if name)


def spent(models: Iterable[str], logs: Path = Path("logs")) -> list[dict[str, Any]]:
    """Of the records of these models' jobs (`*.benchmark.jsonl`, a line a run): a row a sort of job, then the sum."""
    seconds: dict[str, list[float]] = {}
    for model in models:
        for path in sorted((logs / model).rglob("*.benchmark.jsonl")):
            parts = [*path.parent.parts, path.name.removesuffix(".benchmark.jsonl")]
            kind = next((name for part, name in _KINDS.items() if part in parts), parts[-1].replace("_", " "))
            lines = path.read_text(encoding="utf-8").splitlines()
            seconds.setdefault(kind, []).extend(float(json.loads(line)["s"]) for line in lines)
    rows = [_row(kind, values) for kind, values in sorted(seconds.items())]
    everything = [value for values in seconds.values() for value in values]
    return [*rows, _row("all", everything)] if rows else []


def _row(what: str, seconds: list[float]) -> dict[str, Any]:
    median = f"{statistics.median(seconds):.1f} s"
    return {"what": what, "jobs": len(seconds), "hours": f"{sum(seconds) / 3600:.2f}", "median": median}
