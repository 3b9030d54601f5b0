"""`snakemake`, asking Slurm about its jobs twice a second instead of every 20 to 180 seconds; and never left behind."""

import asyncio
import ctypes
import signal
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


async def _sleep(self: RemoteExecutor) -> None:  # noqa: ARG001
    await asyncio.sleep(0.5)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    RemoteExecutor.sleep = _sleep
    sys.argv[0] = "snakemake"
    main()
