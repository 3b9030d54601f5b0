"""How much memory this process takes: what it needs to have and, apart, files that it has mapped.

Mapped files are weights, mostly. The system keeps their pages while there is room, and takes them back when there is
none; so they say nothing of what a job needs, and a limit has to leave room for the rest alone.

Linux tells a process the peak of all its pages, and only the present size of each kind (`man 5 proc_pid_status`). So
the kinds are looked at ten times a second, and where the peak rose meanwhile, files are taken to be as large as now.
Where there is no `/proc`, all is taken to be needed.
"""

from __future__ import annotations

import resource
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_STATUS = Path("/proc/self/status")
_SECONDS = 0.1


@dataclass(frozen=True)
class Memory:
    """Peaks, MiB: of all pages in memory, of the process's own (`needed`), and of mapped files."""

    peak: float
    needed: float
    mapped: float


class MemoryWatch:
    """Looks at this process while a block runs; `peaks()` may be asked at any time."""

    def __init__(self) -> None:
        self._needed = self._mapped = self._risen = 0
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look_on, daemon=True)
        self._one = threading.Lock()

    def __enter__(self) -> MemoryWatch:
        self._look()
        self._looking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._looking.join()

    def peaks(self) -> Memory:
        self._look()
        if not self._risen:
            unit = 2**20 if sys.platform == "darwin" else 2**10
            largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
            return Memory(largest, largest, 0.0)
        return Memory(self._risen / 1024, self._needed / 1024, self._mapped / 1024)

    def _look_on(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._look()

    def _look(self) -> None:
        with self._one, suppress(OSError):
            now = _kibibytes()
            own, mapped = now["RssAnon"] + now["RssShmem"], now["RssFile"]
            if now["VmHWM"] > self._risen:
                own = max(own, now["VmHWM"] - mapped)
            self._needed, self._mapped = max(self._needed, own), max(self._mapped, mapped)
            self._risen = now["VmHWM"]


def _kibibytes() -> dict[str, int]:
    lines = (line.split() for line in _STATUS.read_text(encoding="ascii").splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[-1] == "kB"}
