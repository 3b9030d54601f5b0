"""What a job has asked Slurm for, and what its rule says that it costs."""

from __future__ import annotations

import re
from typing import Any

from tests.helpers.checkout import ROOT

from polyprune.settings.config import Settings
from polyprune.workflow import costs


def asked_for(job: dict[str, str]) -> dict[str, Any]:
    """Numbers and names from `scontrol show job`; empty texts for what was not asked for.

    `nodes` is a range, 1-1, while a job is pending, and a number once it has run.
    """
    return {
        "partition": job["Partition"],
        "nodes": job["NumNodes"],
        "cpus": int(job["NumCPUs"]),
        "mem_mb": _megabytes(job["MinMemoryNode"]),
        "minutes": _minutes(job["TimeLimit"]),
        "gpus": job.get("TresPerJob", ""),
        "features": job["Features"].replace("(null)", ""),
        "account": job["Account"].replace("(null)", ""),
    }


def _megabytes(text: str) -> int:
    """Of Slurm's sizes: 1500M, 8G."""
    return int(text[:-1]) * {"M": 1, "G": 1024}[text[-1]]


def _minutes(text: str) -> int:
    """Of Slurm's times: 01:30:00, 1-00:00:00."""
    days, _, clock = text.rpartition("-")
    hours, minutes, _ = map(int, clock.split(":"))
    return (int(days or 0) * 24 + hours) * 60 + minutes


def compression_needs(settings: Settings, model: str, method: str, attempt: int) -> dict[str, int]:
    """Of the rules that make cells."""
    entry = settings.models[model]
    flops = costs.compression_flops(entry, method)
    return {
        "cpus": costs.cpus(entry),
        "mem_mb": attempt * costs.compression_memory_mb(entry, method),
        "minutes": attempt * costs.minutes(flops, settings.engine.planning_flops),
    }


def declared(file: str, rule: str) -> dict[str, int]:
    """Of a rule that says plain numbers: those of the first attempt."""
    text = (ROOT / "rules" / file).read_text(encoding="utf-8").partition(f"rule {rule}:")[2]
    megabytes, minutes = map(int, re.findall(r"needs\.small\((\d+), (\d+)\)", text)[0])
    return {"cpus": 1, "mem_mb": megabytes, "minutes": minutes}
