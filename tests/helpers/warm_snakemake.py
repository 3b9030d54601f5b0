"""Snakemake imported once: a process that forks itself for each run, as imports take half of a dry run.

Of the project nothing is imported before the fork, as each run takes the code of the checkout that it is in; and
nothing that reads the environment, which each run has of its own.

    python -m tests.helpers.warm_snakemake < requests > exit codes

A request is a line of JSON: the words after `snakemake`, the folder, the environment, and files for what is said.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
IN_EVERY_RUN = ("requests", "rich.progress", "smart_open", "snakemake.api", "snakemake.report.html_reporter")
"""Modules of others that take long to import."""


def run_snakemake(
    words: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """As `python -m snakemake` with these words in this folder."""
    with tempfile.TemporaryDirectory() as said:
        stdout, stderr = Path(said, "stdout"), Path(said, "stderr")
        request = [[*words], str(folder), {**environment}, str(stdout), str(stderr)]
        code = int(_ask(_server(), json.dumps(request)))
        return subprocess.CompletedProcess([*words], code, *(file.read_text("utf-8") for file in (stdout, stderr)))


@cache
def _server() -> subprocess.Popen[str]:
    """One for this process, with which it ends."""
    command = [sys.executable, "-m", "tests.helpers.warm_snakemake"]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server


def _ask(server: subprocess.Popen[str], request: str) -> str:
    assert server.stdin and server.stdout
    server.stdin.write(f"{request}\n")
    server.stdin.flush()
    return server.stdout.readline()


def _serve() -> None:
    """Ends in the parent when there are no more requests, in each child with its Snakemake."""
    for name in IN_EVERY_RUN:
        import_module(name)
    from snakemake.cli import main

    for line in sys.stdin:
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
        else:
            _become(*json.loads(line))
            main()


def _become(words: list[str], folder: str, environment: dict[str, str], stdout: str, stderr: str) -> None:
    for number, (file, flags) in enumerate(
        [(os.devnull, os.O_RDONLY), (stdout, os.O_CREAT | os.O_WRONLY), (stderr, os.O_CREAT | os.O_WRONLY)]
    ):
        opened = os.open(file, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["snakemake", *words]
    sys.path[0] = folder


if __name__ == "__main__":
    _serve()
