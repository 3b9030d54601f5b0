"""One GPU a job on machines with several: jobs that Snakemake starts side by side must not all take the first.

Snakemake counts GPUs but does not say which. So each job leases one of those that it may see: a lock on a file, which
the kernel takes back when the job's process ends, however it ends. Where a job sees no more GPUs than it asks for, as
in a Slurm job, there is nothing to choose.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
import time
from pathlib import Path

from polyprune.log import logger

VISIBLE = "CUDA_VISIBLE_DEVICES"
_held: list[int] = []
"""Open files whose locks last as long as this process."""
_given: list[str] = []


def visible_gpus(devices: Path = Path("/dev")) -> list[str]:
    """Names, as CUDA takes them, of the GPUs that a job may see: those listed in its environment, else all.

    CUDA counts those that it finds from 0, whatever their files are called: a container may hold 2 and 3 only.
    """
    listed = os.environ.get(VISIBLE)
    if listed is None:
        return [str(index) for index, _ in enumerate(devices.glob("nvidia[0-9]*"))]
    names = (name.strip() for name in listed.split(","))
    return [name for name in names if name not in ("", "-1")]


def given() -> list[str]:
    """Names of the GPUs that this process leased.

    Empty for a job of a rule without GPUs, and where none can be seen at all, as on a laptop, though the rule asks for
    one. Slurm lists what it allocates in the job's environment.
    """
    return list(_given)


def lease(n: int) -> None:
    """Let this process see `n` of the visible GPUs alone, for as long as it lives; waits until as many are free.

    Before torch has used a GPU.
    """
    names = visible_gpus()
    if n == 0 or len(names) <= n:
        _given[:] = names[:n]
        return
    leased: list[str] = []
    for turn in itertools.count():
        for name in names:
            if len(leased) < n and name not in leased and _take(name):
                leased.append(name)
        if len(leased) == n:
            os.environ[VISIBLE] = ",".join(leased)
            _given[:] = leased
            return
        if turn == 0:
            logger.info("waiting: other jobs have all GPUs (%s)", ", ".join(names))
        time.sleep(0.5)


def _take(name: str) -> bool:
    """Lock a GPU's file, if no other process has."""
    owner = f"{os.getuid()}-{os.environ.get('SLURM_JOB_ID', '')}"  # allocations number their GPUs each from 0
    folder = Path(tempfile.gettempdir()) / f"polyprune-gpus-{owner}"
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / name.replace("/", "_"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True
