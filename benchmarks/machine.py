"""Where a benchmark runs, and how it takes time and memory there: the one clock of them all.

On a CPU mostly the processor time of this process, which other work disturbs least. On a GPU the time on the wall,
taken when the device is done with all that was asked of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """A device, and what says the time; synchronised, where the device works on by itself."""

    device: torch.device
    clock: Callable[[], float]

    @classmethod
    def of(cls, device: str) -> Machine:
        """`cpu` with processor time, or `cuda` with the time on the wall."""
        return cls(torch.device(device), CLOCKS["cpu" if device == "cpu" else "wall"])

    @property
    def unit(self) -> str:
        """What its seconds are, for tables."""
        return "CPU-s" if self.clock is CLOCKS["cpu"] else "s"

    def now(self) -> float:
        """What the clock says when the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.clock()

    def timed(self, run: Callable[[], T]) -> tuple[float, T]:
        """Seconds that it takes, and what it returns."""
        started = self.now()
        result = run()
        return self.now() - started, result

    def seconds(self, run: Callable[[], object]) -> float:
        return self.timed(run)[0]

    def rate(self, run: Callable[[], object], operations: float) -> float:
        """Operations a second, the best of ten."""
        run()
        return operations / min(self.seconds(run) for _ in range(10))

    def forget_peak(self) -> None:
        """From here on a GPU's peak counts; a process's cannot be forgotten."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_mib(self) -> float:
        """The most memory so far: on a GPU of tensors there, on a CPU of this process since it began.

        `getrusage` has the peak of the process that started this one, if that is larger.
        """
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
