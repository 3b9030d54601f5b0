"""A warm worker, started by a process of its own as Snakemake starts one, and packages in which tests put stages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyprune.running import worker

PACKAGES = Path(worker.__file__).parents[2]
PARENT = """
import os, sys
from polyprune.running import worker
worker.start()
print(os.environ[worker.SOCKET_VARIABLE], flush=True)
sys.stdin.read()
"""


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def status_of(pid: int) -> dict[str, str]:
    """Fields of a process's status, empty if there is none or only a zombie."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {} if fields["State"].startswith("Z") else fields


def with_stages(folder: Path, stages: str) -> str:
    """A PYTHONPATH with which every Python runs the code `stages` first, which may put stages into `sys.modules`."""
    folder.mkdir(exist_ok=True)
    (folder / "stages_of_this_test.py").write_text(stages)
    (folder / "sitecustomize.py").write_text("import stages_of_this_test\n")
    return os.pathsep.join([str(folder), str(PACKAGES)])


@contextmanager
def warm_worker(environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process that started a worker, with which the worker ends, and the worker's socket."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin and parent.stdout
    with parent:  # closes its input, which ends it, and waits
        socket = parent.stdout.readline().strip()
        wait_until(Path(socket).exists)
        yield parent, socket
