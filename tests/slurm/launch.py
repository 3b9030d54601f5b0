"""`snakemake`, asking Slurm about its jobs twice a second instead of every 20 to 180 seconds; and never left behind.

`FAULT_PAUSE` is another number of seconds.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from snakemake.cli import main

sys.path.insert(0, str(Path("workflow_scripts").resolve()))
from polyprune.cluster import submission

SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    submission.LONGEST_PAUSE = float(os.environ.get("FAULT_PAUSE", "0.5"))
    submission.WAIT_FOR_ROOM = 2.0
    sys.argv[0] = "snakemake"
    main()
