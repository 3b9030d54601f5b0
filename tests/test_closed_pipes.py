"""What is printed may be read as far as anybody likes: `make … | head -1` ends as it would have, with no traceback."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.checkout import ROOT

PACKAGE = ROOT / "workflow_scripts" / "polyprune"
NO_PRINTERS = {"__main__.py": "a job, which writes files", "running/worker.py": "waits for jobs",
               "settings/schema.py": "a line of developers into a file"}  # fmt: skip


def closed(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A command whose reader has gone before its first word."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    run = [sys.executable, *words]
    try:
        return subprocess.run(run, cwd=folder, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("printed", ["print('a line'); print('x' * 100000)", "Console().print('x ' * 50000)"])
def test_a_command_ends_with_its_own_code_when_nobody_reads(printed: str, code: int, tmp_path: Path) -> None:
    main = f"def main():\n    {printed}\n    return {code}\n"
    start = "from rich.console import Console\nfrom polyprune.commands import run_command\n"
    run = closed(["-c", f"{start}{main}raise SystemExit(run_command(main))"], tmp_path)
    assert (run.returncode, run.stderr) == (code, "")


@pytest.mark.parametrize("words", ["-m polyprune.report.paper.claims_told", "-m polyprune.artifacts.verify data"])
def test_commands_that_print_much_or_little(words: str) -> None:
    run = closed(words.split(), ROOT)
    assert run.returncode == 0 and "Traceback" not in run.stderr and "Broken" not in run.stderr


def test_what_is_read_is_all_that_was_printed() -> None:
    main = "def main():\n    print('größer', end='')\n    return 0\n"
    start = f"from polyprune.commands import run_command\n{main}raise SystemExit(run_command(main))"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONUTF8": "1"}
    run = subprocess.run([sys.executable, "-c", start], env=environment, capture_output=True)
    assert run.stdout.decode() == "größer" and not run.stderr


def test_what_may_not_be_looked_into_is_named() -> None:
    main = "def main():\n    raise PermissionError(13, 'Permission denied', 'results/x')\n"
    start = f"from polyprune.commands import run_command\n{main}raise SystemExit(run_command(main))"
    run = closed(["-c", start], ROOT)
    said = "error: results/x: Permission denied: see to its permissions and its folders'\n"
    assert (run.returncode, run.stderr) == (1, said)


def test_every_command_that_prints_is_run_so() -> None:
    for file in PACKAGE.rglob("*.py"):
        blocks = [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.If)]
        started = [block for block in blocks if "__name__" in ast.unparse(block.test)]
        name = file.relative_to(PACKAGE).as_posix()
        if started and name not in NO_PRINTERS:
            assert ast.unparse(started[0].body[0]) == "raise SystemExit(run_command(main))", name
