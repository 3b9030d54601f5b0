"""A job ends with the Snakemake that started it.

A Snakemake that is killed (`kill -9`, out of memory) leaves the commands of its jobs behind. They would write their
file later, when it may have been made, or put back, under other settings, and nobody would notice. So every Snakemake
tells its jobs who it is, and each of them looks after it. Jobs of a cluster are told of the Snakemake on their node.
"""

from __future__ import annotations

import os
import threading
import time

from polyprune.processes import is_alive, owner

VARIABLE = "POLYPRUNE_SNAKEMAKE"
ENDED_WITH_SNAKEMAKE = 143
_SECONDS = 0.5
"""Between two looks; a Snakemake that is started after a killed one needs several times that."""


def tie() -> None:
    """Tell the jobs of this process, a Snakemake, whom they end with."""
    os.environ[VARIABLE] = f"{owner()} {os.getpid()}"


def hold() -> None:
    """End this process, a job, when its Snakemake is gone, if one is told of whose number means something here."""
    of, _, number = os.environ.get(VARIABLE, "").rpartition(" ")
    if number and of == owner():
        threading.Thread(target=_end_with, args=(int(number),), daemon=True).start()


def _end_with(process: int) -> None:
    while is_alive(process):
        time.sleep(_SECONDS)
    os._exit(ENDED_WITH_SNAKEMAKE)
