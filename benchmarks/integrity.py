"""What digests cost: python benchmarks/integrity.py [FOLDER], or python benchmarks/integrity.py --jobs CHECKOUT

For each kind of artifact, of the sizes that one decoder layer of an 8B model gives or of the demo's, the processor time
of writing and reading it as a stage does, and in it that of digests and seals. The last column is what counts: of the
files, the share of the time of writing and reading alone, though a job computes for most of its time; of the last line,
of a whole job that computes little. Files are written to FOLDER (else a temporary one) and are in the page cache when
they are read, which is the worst case: a disk is slower, a digest is not.

With `--jobs`, of a checkout with finished results: each of its jobs is run again as Snakemake ran it last, in a process
forked as the warm worker forks it, and the processor time of all jobs of a stage is added up, and in it that of digests
and seals: of the stage's own work, and of the whole process, which also starts and loads the stage's modules. The
results are made anew in place. What the user's cache of digests knows costs nothing, as always.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

from polyprune.artifacts import hdf5, known_digests, seals
from polyprune.artifacts.cells import CellReader, join_layers, save_layer
from polyprune.artifacts.corpus import load_documents, save_corpus
from polyprune.artifacts.hidden_states import SAMPLE, load_sums, write_hidden_states
from polyprune.artifacts.identity import DENSE_VARIANT, of_variant
from polyprune.artifacts.layer_rows import MEANS
from polyprune.artifacts.prompt_states import PromptStates, write_prompt_states
from polyprune.artifacts.tokens import TokenSet, load_tokens, save_tokens
from polyprune.artifacts.weights import SparseWeight
from polyprune.stages.measure_lsar import measure_lsar

ABOUT = {"method": "wanda", "scheme": "0.50", "calibration": "de", "seed": 0}
D_MODEL, INTERMEDIATE, SEQUENCES, LENGTH, ROWS = 4096, 14336, 64, 2048, 6


class Clock:
    """Processor seconds spent in digests and seals."""

    def __init__(self) -> None:
        self.spent, self._inside = 0.0, False

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self._inside:
                return function(*arguments)
            self._inside, started = True, time.process_time()
            try:
                return function(*arguments)
            finally:
                self.spent += time.process_time() - started
                self._inside = False

        return call


DIGESTS = (
    seals.seal,
    seals.require_seal,
    seals.digest_of,
    seals.digest_of_file,
    hdf5._digest,
    hdf5._seal,
    known_digests.known_digest,
)


@contextmanager
def clocked() -> Iterator[Clock]:
    """Within: time in digests and seals is counted, wherever a module has imported them."""
    clock = Clock()
    modules = [module for name, module in sys.modules.items() if name.startswith("polyprune.")]
    places = [
        (module, name, value)
        for module in modules
        for name, value in vars(module).items()
        if any(value is each for each in DIGESTS)
    ]
    for module, name, function in places:
        setattr(module, name, clock.timed(function))
    try:
        yield clock
    finally:
        for module, name, function in places:
            setattr(module, name, function)


def cell(path: Path) -> Callable[[], object]:
    """A layer of an 8B model, SparseGPT: masks and kept values in bfloat16."""
    shapes = {"q_proj": (D_MODEL, D_MODEL), "up_proj": (INTERMEDIATE, D_MODEL), "down_proj": (D_MODEL, INTERMEDIATE)}
    weights = {
        f"model.layers.0.{name}": SparseWeight.of(
            torch.randn(shape).bfloat16(), torch.arange(shape[0] * shape[1]).reshape(shape) % 2 == 0, True
        )
        for name, shape in shapes.items()
    }

    def run() -> None:
        save_layer(path.with_suffix(".layers"), 0, weights, ABOUT)
        join_layers(path.with_suffix(".layers"), 1, path, ABOUT)
        reader = CellReader(path)
        for name in reader.columns:
            reader.weight(name)

    return run


def dump(path: Path) -> Callable[[], object]:
    """Hidden states of a text in a few layers."""
    draw = np.random.default_rng(0)
    means = draw.random((SEQUENCES, D_MODEL), dtype=np.float32)
    states = draw.random((1024, D_MODEL), dtype=np.float32)
    sample: dict[str, np.ndarray] = dict.fromkeys(("sequence", "position", "token_id"), np.arange(1024, dtype=np.int32))
    sums = {name: draw.random((SEQUENCES, LENGTH - 1), dtype=np.float32) for name in ("nll_dense", "nll_pruned", "kl")}

    def run() -> None:
        counts = np.full(SEQUENCES, LENGTH)
        with write_hidden_states(path, ROWS - 2, D_MODEL, counts, sample, "float32", {}) as writer:
            for row in range(ROWS):
                writer.write_row(MEANS, row, means)
                writer.write_row(SAMPLE, row, states)
            writer.write_sums(sums)
        load_sums(path)

    return run


def prompt_dump(path: Path) -> Callable[[], object]:
    """Means of 900 prompts in a few layers."""
    means = np.random.default_rng(0).random((900, D_MODEL), dtype=np.float32)
    counts = np.full(900, 200)

    def run() -> None:
        items = [str(number) for number in range(900)]
        with write_prompt_states(path, ROWS - 2, D_MODEL, items, counts, counts, {}) as writer:
            for row in range(ROWS):
                writer.write_row(MEANS, row, means)
        with PromptStates(path) as states:
            for row in range(ROWS):
                states.means(row)

    return run


def shard(path: Path) -> Callable[[], object]:
    """A calibration shard of the paper's size."""
    tokens = np.random.default_rng(0).integers(0, 128_256, (128, LENGTH)).astype(np.int32)

    def run() -> None:
        save_tokens(path, TokenSet(tokens, tokens % 5, (tokens % 5 == 0).astype(np.uint8), {}))
        load_tokens(path)

    return run


def corpus(path: Path) -> Callable[[], object]:
    """Twenty thousand documents."""
    draw = np.random.default_rng(0)
    words = ["".join(map(chr, draw.integers(97, 123, 6))) for _ in range(5000)]
    texts = [" ".join(words[index] for index in draw.integers(0, 5000, 300)) for _ in range(20_000)]

    def run() -> None:
        save_corpus(path, {"evaluation": texts}, {})
        load_documents(path, "evaluation")

    return run


def lsar_job(path: Path) -> Callable[[], object]:
    """A whole job that does little but read: shifts of 300 prompts in four languages, in a few layers."""
    cell = {"model": "m", **ABOUT}
    draw, counts = np.random.default_rng(0), np.full(300, 200)
    items, languages = [str(number) for number in range(300)], ["de", "en", "sw", "zh"]
    files: dict[str, list[Path]] = {"dense": [], "wanda": []}
    for variant in (DENSE_VARIANT, cell):
        for language in languages:
            about = {"model_digest": "m", "tokenizer_digest": "t", "data_digest": language, "language": language}
            about |= {name: value for name, value in of_variant(variant).items() if value is not None}
            file = path.with_name(f"{variant['method']}-{language}.h5")
            files[variant["method"]].append(file)
            provenance = {"provenance": {"cell": None}}
            with write_prompt_states(file, ROWS - 2, D_MODEL, items, counts, counts, about | provenance) as writer:
                for row in range(ROWS):
                    writer.write_row(MEANS, row, draw.random((300, D_MODEL), dtype=np.float32))
                writer.write_sums({"distance": draw.random((300, ROWS))})
    return lambda: measure_lsar(files["dense"], files["wanda"], languages, cell, path, {})


KINDS = {
    "cell.safetensors": cell,
    "hidden_states.h5": dump,
    "prompts.h5": prompt_dump,
    "tokens.safetensors": shard,
    "corpus.parquet": corpus,
    "lsar.parquet": lsar_job,
}


def main(folder: Path, rounds: int = 3) -> None:
    print(f"{'file':20} {'MB':>7} {'write, read':>12} {'digests':>9} {'share':>7}")
    for name, kind in KINDS.items():
        run = kind(folder / name)
        run()
        best: tuple[float, float] | None = None
        for _ in range(rounds):
            with clocked() as clock:
                started = time.process_time()
                run()
                taken = time.process_time() - started
            best = min(best or (taken, clock.spent), (taken, clock.spent))
        taken, spent = best or (0.0, 0.0)
        size = (folder / name).stat().st_size / 1e6
        print(f"{name:20} {size:7.1f} {taken:10.3f} s {spent:7.4f} s {spent / taken:7.1%}")


def commands(checkout: Path) -> list[list[str]]:
    """Arguments of the jobs whose results Snakemake's records are about, each once, in the order of their ends."""
    records = [json.loads(file.read_text()) for file in (checkout / ".snakemake/metadata").rglob("*") if file.is_file()]
    ordered = sorted((each for each in records if each["shellcmd"]), key=lambda each: each["endtime"])
    return [shlex.split(command)[3:] for command in dict.fromkeys(each["shellcmd"] for each in ordered)]


def job(arguments: list[str]) -> tuple[float, float, float] | None:
    """Processor seconds of a job's process, in them of its work, in them of digests; None if it fails."""
    from polyprune.running.run import run

    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        __import__(f"polyprune.stages.{arguments[0]}")
        with clocked() as clock:
            started = time.process_time()
            code = run(arguments)
            os.write(writing, json.dumps([time.process_time() - started, clock.spent]).encode())
        os._exit(code)
    _, status, used = os.wait4(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return None if status else (used.ru_utime + used.ru_stime, *json.loads(pipe.read()))


def jobs(checkout: Path) -> None:
    import polyprune.model.preload  # noqa: F401

    found = commands(checkout)
    os.chdir(checkout)
    by_stage: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for arguments in found:
        if times := job(arguments):
            by_stage[arguments[0]].append(times)
    print(f"{'stage':24} {'jobs':>5} {'processor':>12} {'work':>12} {'digests':>9} {'share':>7} {'of work':>7}")
    everything = [times for of_stage in by_stage.values() for times in of_stage]
    for stage, of_stage in [*by_stage.items(), ("all", everything)]:
        whole, work, spent = (sum(each) for each in zip(*of_stage, strict=True))
        shares = f"{spent / whole:7.1%} {spent / work:7.1%}"
        print(f"{stage:24} {len(of_stage):5} {whole:10.3f} s {work:10.3f} s {spent:7.4f} s {shares}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--jobs"]:
        jobs(Path(sys.argv[2]))
    elif len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as temporary:
            main(Path(temporary))
