"""Python runs this before everything else in the jobs of these tests: places to wait in the middle of a prune.

`FAULT_HOLD` names a folder: once the first layer is on disk, the job notes there which GPUs it sees, as
`{job id}.json`, and goes on when there is no `hold` in the folder (any more). `FAULT_HOG_MB` is memory that a job takes
for three seconds after the first layer that it finishes. `FAULT_CLOCK_HOURS` is how far the clock of its node is ahead
when it writes files, of mixes behind.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import StrPath

HOLD, HOG_MB = os.environ.get("FAULT_HOLD"), os.environ.get("FAULT_HOG_MB")
CLOCK_HOURS = float(os.environ.get("FAULT_CLOCK_HOURS", "0"))
_replace = Path.replace
_hogged = False


def _after(self: Path, target: "StrPath") -> Path:
    """`Path.replace`, by which files of ours appear; layers of a cell are held up."""
    if CLOCK_HOURS:
        ahead = 3600 * CLOCK_HOURS * (-1 if "/de-sw/" in str(target) else 1)
        os.utime(self, (now := time.time() + ahead, now))
        print(f"off by {ahead:g} s: {target}", flush=True)
    result = _replace(self, target)
    if result.match("*.layers/layer-*.safetensors"):
        if HOG_MB:
            _take_memory(int(HOG_MB))
        if HOLD and result.name == "layer-000.safetensors":
            _wait(Path(HOLD))
    return result


def _take_memory(megabytes: int) -> None:
    global _hogged
    if not _hogged:
        _hogged = True
        taken = b"\1" * (megabytes << 20)
        time.sleep(3)
        del taken


def _wait(folder: Path) -> None:
    note = folder / f"{os.environ['SLURM_JOB_ID']}.part"
    note.write_text(json.dumps({name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "SLURMD_NODENAME")}))
    _replace(note, note.with_suffix(".json"))
    while (folder / "hold").exists():
        time.sleep(0.05)


if (HOLD or HOG_MB or CLOCK_HOURS) and sys.orig_argv[1:4] == ["-m", "polyprune", "prune_model"]:
    Path.replace = _after
