"""What a table of many finished cells costs, and the page of its study, by stage.

    PYTHONPATH=workflow_scripts python -m benchmarks.tables [--cells 224 672] [--schemes 2] [--folder DIR]
        [--profile STAGE]

Dumps are made up: of 32 layers, 16 sequences, seven languages, with sums at random; their scores are what the stage
`measure_drift` makes of them, or lie in DIR from an earlier run. Cells are of seven calibrations, two methods and so
many schemes, hence of as many seeds as it takes. Prints processor time of the stages `tabulate` (a table of drift),
`answer_question` and `write_report`, which run in this process one after the other: the first also imports.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import logging
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polyprune.artifacts.hidden_states import SAMPLE, write_hidden_states
from polyprune.artifacts.identity import DENSE_VARIANT
from polyprune.artifacts.layer_rows import MEANS
from polyprune.artifacts.measurements import save_frame
from polyprune.grammar.titles import Titles
from polyprune.report.page.content import Study
from polyprune.settings.studies import TableSettings
from polyprune.stages.answer_question import answer_question
from polyprune.stages.measure_drift import measure_drift
from polyprune.stages.tabulate import tabulate
from polyprune.stages.write_report import write_report

LANGUAGES = ["ar", "de", "en", "es", "ru", "sw", "zh"]
LAYERS, SEQUENCES, TOKENS, WIDTH = 32, 16, 256, 8
PER_SEQUENCE = ("norm", "sq", "norm_pruned", "sq_pruned", "dot", "diff", "distance", *(
    f"robust_{name}" for name in ("norm", "sq", "diff")))  # fmt: skip


def cells(n: int, n_schemes: int) -> list[dict[str, Any]]:
    """So many variants of one model."""
    schemes = [f"0.{percent:02d}" for percent in range(50, 50 + n_schemes)]
    grid = itertools.product(range(n), ("wanda", "sparsegpt"), schemes, LANGUAGES)
    return [
        {"model": "tiny", "method": method, "scheme": scheme, "calibration": calibration, "seed": seed}
        for seed, method, scheme, calibration in itertools.islice(grid, n)
    ]


def folder_of(results: Path, variant: dict[str, Any]) -> Path:
    if variant["seed"] is None:
        return results / "tiny" / "dense"
    names = (str(variant[name]) for name in ("model", "method", "scheme", "calibration"))
    return results.joinpath(*names, f"seed{variant['seed']}")


def make_variant(results: Path, variant: dict[str, Any], rng: np.random.Generator) -> list[Path]:
    """Dumps and scores of a cell or of the dense model; the scores' files."""
    dense = variant["seed"] is None
    cell = {"calibration": variant["calibration"], "seed": variant["seed"]}
    cell["calibration_digest"] = f"{variant['calibration']}{variant['seed']}"
    folder = folder_of(results, variant)
    dumps = [folder / "hidden_states" / "c4" / f"{language}.h5" for language in LANGUAGES]
    for language, path in zip(LANGUAGES, dumps, strict=True):
        about = {
            **{name: variant[name] for name in ("method", "scheme", "calibration", "seed")},
            "model_digest": "m",
            "tokenizer_digest": "t",
            "data_digest": f"text {language}",
            "language": language,
            "corpus": "c4",
            "provenance": {
                "cell": None if dense else cell,
                "data": {"framing": "documents", "around": ["<s>", "</s>"]},
            },
        }
        sample = {name: np.arange(4, dtype=np.int32) for name in ("sequence", "position", "token_id")}
        counts, shape = np.full(SEQUENCES, TOKENS), (SEQUENCES, TOKENS - 1)
        rows = (SEQUENCES, LAYERS + 2)
        sums: dict[str, np.ndarray] = {name: rng.random(rows) + 1 for name in PER_SEQUENCE}
        sums |= {"n": counts, "bytes": counts * 3, "target": np.ones(shape, np.uint8), "agree": counts // 2}
        sums |= {"robust_n": np.full(rows, float(TOKENS))}
        sums |= {name: rng.random(shape, dtype=np.float32) + 1 for name in ("nll_dense", "nll_pruned", "kl")}
        if dense:
            sums = {name: array for name, array in sums.items() if name not in ("nll_pruned", "kl", "agree")}
        with write_hidden_states(path, LAYERS, WIDTH, counts, sample, "float32", about) as writer:
            for row in range(LAYERS + 2):
                writer.write_row(MEANS, row, np.ones((SEQUENCES, WIDTH), np.float32))
                writer.write_row(SAMPLE, row, np.ones((4, WIDTH), np.float32))
            writer.write_sums(sums)
    perplexity, drift = folder / "perplexity.parquet", [] if dense else [folder / "drift.parquet"]
    measure_drift(dumps, LANGUAGES, variant | {"corpus": "c4"}, perplexity, drift, {})
    return [perplexity, *drift]


def main() -> None:
    parser = argparse.ArgumentParser(description="What tables of many cells cost.")
    parser.add_argument("--cells", type=int, nargs="*", default=[224, 672])
    parser.add_argument("--schemes", type=int, default=2, choices=range(1, 50), metavar="1 to 49")
    parser.add_argument("--folder", type=Path, help="where results are, or are to be made; a temporary one if absent")
    parser.add_argument("--profile", help="a stage to print a profile of")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        results = (options.folder or Path(temporary)) / "results"
        for n in options.cells:
            measure(results, cells(n, options.schemes), options.profile)


def measure(results: Path, chosen: list[dict[str, Any]], profile: str | None) -> None:
    logging.disable(logging.INFO)
    variants = [{"model": "tiny", **DENSE_VARIANT}, *chosen]
    rng = np.random.default_rng(0)
    scores: list[Path] = []
    for variant in variants:
        files = [folder_of(results, variant) / name for name in ("perplexity.parquet", "drift.parquet")]
        if not files[0].exists():
            make_variant(results, variant, rng)
        scores += [file for file in files if file.exists()]
    dumps = [
        folder_of(results, variant) / "hidden_states" / "c4" / f"{language}.h5"
        for variant in variants[1:]
        for language in LANGUAGES
    ]
    titles = Titles(models={"tiny": "Tiny"}, methods={"wanda": "Wanda", "sparsegpt": "SparseGPT"}, benchmarks={})
    table = TableSettings(title="Many cells", report="drift")
    out = results / "many"

    def timed(name: str, run: Callable[[], object]) -> None:
        profiler = cProfile.Profile() if name == profile else None
        started = time.process_time()
        (profiler.runcall if profiler else lambda each: each())(run)
        print(f"{len(chosen):6} cells {name:20} {time.process_time() - started:7.2f} CPU-s", flush=True)
        if profiler:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)

    files = [out / f"table1.{ending}" for ending in ("parquet", "md", "png", "json")]
    timed("tabulate", lambda: tabulate(scores, [], dumps, "drift", table, titles, *files, provenance={"code": "c"}))
    answer = [out / f"best_calibration.{ending}" for ending in ("parquet", "md", "png")]
    timed("answer_question", lambda: answer_question([], dumps, "Many cells", titles, *answer, provenance={}))
    claims, page = out / "claims.parquet", out / "report.html"
    save_frame(claims, pd.DataFrame({"numbers": [], "verdict": []}), {})
    study = Study("many", {"table1": "drift"}, {}, {}, len(chosen), trained=False, titles=titles)
    timed("write_report", lambda: write_report(files[-1:], [], answer[0], claims, [], [], study, page, {}))
    print(f"page of {page.stat().st_size / 1e6:.1f} MB, picture of {files[2].stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
