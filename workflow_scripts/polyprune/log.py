"""Logging of one job: every line to its log file and, with the job's name in front, to the terminal."""

from __future__ import annotations

import logging
import os
import re
import resource
import sys
import time
from pathlib import Path

logger = logging.getLogger("polyprune")
RECORD = ".memory.json"
"""Ending of a job's record of its memory, beside its log."""
TERMINAL_VARIABLE = "POLYPRUNE_TERMINAL"
"""Set where another process shows how far jobs are (`running/terminal.py`): they then write to their logs alone."""


class _Discreet(logging.Formatter):
    """Leaves out what looks like an access token of the hub, wherever it comes from."""

    def format(self, record: logging.LogRecord) -> str:
        return re.sub(r"\bhf_\w{8,}", "hf_***", super().format(record))


def log_to(path: Path, job: str) -> None:
    """Send the log of this process to `path` (replaced) and, unless `TERMINAL_VARIABLE` is set, to stderr, where `job`
    says who speaks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
    to_file.setFormatter(_Discreet("%(asctime)s %(levelname)s %(message)s"))
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(_Discreet(f"[{job}] %(message)s"))
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:] = [to_file] if os.environ.get(TERMINAL_VARIABLE) else [to_file, to_terminal]
    logger.setLevel(logging.INFO)
    logging.raiseExceptions = False  # a disk too full for the log is said to be by what fails, once
    logger.propagate = False


def peak_memory_gib() -> float:
    """Largest resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


class Progress:
    """Says how far a long loop is, what it costs and how long it will still take.

    `report(done, text)` logs at most every `every` seconds; loops that are over sooner say nothing.
    """

    def __init__(self, total: int, unit: str, every: float = 5.0) -> None:
        self.total, self.unit, self.every = total, unit, every
        self.started = self.last = time.monotonic()

    def report(self, done: int, text: str = "") -> None:
        now = time.monotonic()
        elapsed = now - self.started
        if elapsed < self.every or (done < self.total and now - self.last < self.every):
            return
        self.last = now
        left = elapsed / done * (self.total - done) if done else 0.0
        logger.info(
            "%s %d/%d%s, %.0f s, %.1f GiB, %.0f s left",
            self.unit, done, self.total, f": {text}" if text else "", elapsed, peak_memory_gib(), left,
        )  # fmt: skip
