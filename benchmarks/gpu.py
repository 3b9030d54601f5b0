"""All that is measured on a GPU, one table after the other, in ten minutes at most: make bench-gpu.

    PYTHONPATH=workflow_scripts python -m benchmarks.gpu > gpu.md

The public loops are run if they are cloned beside the project. A part that fails, or is stopped at its limit, does not
keep the others from running; this ends with 1 then. With `--device cpu` the same parts are tried, tiny, without a GPU.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = {
    "wanda": "git clone https://github.com/locuslab/wanda",
    "sparsegpt": "git clone https://github.com/IST-DASLab/sparsegpt",
}
"""Folders beside the project, and how each comes there."""


@dataclass(frozen=True)
class Part:
    """A module with its words for a GPU, and those for a try on a CPU; `limit` in seconds."""

    title: str
    module: str
    on_gpu: str
    on_cpu: str
    limit: int

    def words(self, device: str) -> list[str]:
        return ["-m", self.module, *(self.on_gpu if device == "cuda" else self.on_cpu).split()]


KINDS = "--kinds arc mmlu-2-shot belebele-passages"
PASSES = "--device cuda --hidden 2048 --layers 4 --tokens 32768 --cells 2"
SCORING = (
    f"--device cuda --dtype bfloat16 --architectures llama --layers 8 --hidden 2048 --head 128 {KINDS} --repeats 2"
)
TINY_SCORING = "--architectures llama --layers 1 --kinds arc --questions 4 --repeats 1 --slack 100"
BEFORE_PEERS = [
    Part("What runs there", "polyprune.running.check_gpu", "", "", 60),
    Part("Kernels of the walk along columns", "benchmarks.columns", "--device cuda", "", 50),
    Part("Copies beside work", "benchmarks.staging", "--device cuda", "--layer 0.01 --times 2", 30),
    Part("Engine, 2048 tokens", "benchmarks.engine", "--length 2048", "--layers 1 --sequences 1", 60),
]
AFTER_PEERS = [
    Part("Engine, 8192 tokens", "benchmarks.engine", "", "--layers 1 --sequences 1 --length 512", 90),
    Part("Scoring and generation beside the harness", "benchmarks.evaluation", SCORING, TINY_SCORING, 40),
    Part("Passes inside models", "benchmarks.analysis", PASSES, "--hidden 256 --tokens 1024 --cells 1", 40),
]
PEER_LIMITS = {"wanda": 80, "sparsegpt": 150}
"""Limits are ten minutes together."""


def peer_parts(beside: Path) -> list[Part]:
    """The public loops that are there; of the others, says how they come there."""
    found = []
    for name, how in PEERS.items():
        folder = beside / name
        if folder.is_dir():
            words = f"--{name} {folder} --method {name} --repeats 1 --layers 3"
            tiny = f"{words} --hidden 128 --length 16"
            found.append(Part(f"Public {name}", "benchmarks.peers", f"--device cuda {words}", tiny, PEER_LIMITS[name]))
        else:
            print(f"<!-- the public {name} is left out, as {folder} is not there: {how} {folder} -->", flush=True)
    return found


def run(part: Part, device: str) -> bool:
    """Print its title, what it says and how long it took; whether all went well."""
    print(f"\n## {part.title}\n", flush=True)
    paths = [str(ROOT / "workflow_scripts"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    command, started = [sys.executable, *part.words(device)], time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        code = process.wait(part.limit)
        ending = "well" if code == 0 else f"with {code}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ending = f"at its limit of {part.limit} s"
    print(f"\n<!-- ended {ending} after {time.monotonic() - started:.0f} s -->", flush=True)
    return ending == "well"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--peers", type=Path, default=ROOT.parent, help="where the public loops are cloned")
    options = parser.parse_args(words)
    parts = [*BEFORE_PEERS, *peer_parts(options.peers.resolve()), *AFTER_PEERS]
    went_well = [run(part, options.device) for part in parts]
    return 0 if all(went_well) else 1


if __name__ == "__main__":
    sys.exit(main())
