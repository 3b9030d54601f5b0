"""What a process needs, apart from files that it has mapped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.checkout import ROOT

MIB = 1 << 20
LOOK = """
import json, mmap, sys, time
from polyprune.running.memory import MemoryWatch

with MemoryWatch() as watch:
    before = watch.peaks()
    if sys.argv[1] == "mapped":
        with open(sys.argv[2], "rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        sum(pages[place] for place in range(0, len(pages), 4096))
    else:
        kept = b"x" * (100 << 20)
        del kept
    time.sleep(0.3)
    after = watch.peaks()
print(json.dumps({name: getattr(after, name) - getattr(before, name) for name in ("peak", "needed", "mapped")}))
"""


@pytest.mark.parametrize("kind", ["mapped", "own"])
def test_mapped_files_and_own_pages_are_told_apart(kind: str, tmp_path: Path) -> None:
    """100 MiB of a file, or of own memory that is gone before anybody looks."""
    (tmp_path / "weights").write_bytes(bytes(100 * MIB))
    words = [sys.executable, "-c", LOOK, kind, str(tmp_path / "weights")]
    job = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT / "workflow_scripts")
    found = json.loads(job.stdout)
    assert found["peak"] == pytest.approx(100, abs=6)
    assert found["mapped" if kind == "mapped" else "needed"] == pytest.approx(100, abs=6)
    assert found["needed" if kind == "mapped" else "mapped"] == pytest.approx(0, abs=6)
