"""One GPU a job on machines with several: jobs that Snakemake starts side by side must not all take the first.

Snakemake counts GPUs but does not say which. So each job leases one of those that it may see: a lock on a file, which
the kernel takes back when the job's process ends, however it ends. In a Slurm job that sees no more GPUs than it asks
for there is nothing to choose: Slurm handed them out.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from polyprune.log import logger

VISIBLE = "CUDA_VISIBLE_DEVICES"
LOCKS = "POLYPRUNE_GPU_LOCKS"
"""Names another folder for the locks, where containers of one machine share neither of `PLACES`."""
PLACES = (Path("/dev/shm"), Path("/tmp"))
"""Where locks lie: on this machine, and the same for all jobs, whatever their TMPDIR says."""


def visible_gpus(devices: Path = Path("/dev")) -> list[str]:
    """Names, as CUDA takes them, of the GPUs that a job may see: those listed in its environment, else all.

    CUDA counts those that it finds from 0, whatever their files are called: a container may hold 2 and 3 only.
    """
    listed = os.environ.get(VISIBLE)
    if listed is None:
        return [str(index) for index, _ in enumerate(devices.glob("nvidia[0-9]*"))]
    names = (name.strip() for name in listed.split(","))
    return [name for name in names if name not in ("", "-1")]


def lease(n: int) -> list[str]:
    """Let this process see `n` of the visible GPUs alone, for as long as it lives; their names.

    Waits until as many are free; of fewer than `n`, takes all. To be called before torch has used a GPU. None is leased
    for a rule without GPUs, and where none can be seen at all, as on a laptop, though the rule asks for one. Slurm
    lists what it allocates in the job's environment.
    """
    names = visible_gpus()
    wanted = min(n, len(names))
    if wanted == 0 or (wanted == len(names) and "SLURM_JOB_ID" in os.environ):
        return names[:wanted]
    leased = _take(wanted, names)
    if not leased:
        logger.info("waiting: other jobs have all GPUs (%s)", ", ".join(names))
    while not leased:
        time.sleep(0.5)
        leased = _take(wanted, names)
    os.environ[VISIBLE] = ",".join(leased)
    return leased


def _take(n: int, names: list[str]) -> list[str]:
    """Lock the first `n` of these GPUs that are free; none if fewer are: two jobs must not wait for each other.

    The files stay open, and so locked, until this process ends.
    """
    locks: dict[str, int] = {}
    for name in names:
        if len(locks) < n and (lock := _lock(name)) is not None:
            locks[name] = lock
    if len(locks) < n:
        for lock in locks.values():
            os.close(lock)
        return []
    return list(locks)


def _lock(name: str) -> int | None:
    """A GPU's file, open and locked, unless another process has locked it."""
    owner = f"{os.getuid()}-{os.environ.get('SLURM_JOB_ID', '')}"  # allocations number their GPUs each from 0
    usual = next((place for place in PLACES if os.access(place, os.W_OK)), PLACES[-1])
    folder = Path(os.environ.get(LOCKS) or usual) / f"polyprune-gpus-{owner}"
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / name.replace("/", "_"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
