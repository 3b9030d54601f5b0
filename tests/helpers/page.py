"""A small study's results as files, for tests of its page: two models, two methods, seven languages, hostile names."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tests.helpers.titles import titles_of

from polyprune.artifacts.corpus import save_corpus
from polyprune.artifacts.identity import MODEL
from polyprune.artifacts.json_files import save_record
from polyprune.artifacts.measurements import save_frame
from polyprune.artifacts.sheets import save_sheet
from polyprune.report.answers.answer import best_calibrations
from polyprune.report.figures.drawing import panel_grid, save_figure
from polyprune.report.measured import ACCURACY, Block, Column, Key
from polyprune.report.page.content import Study
from polyprune.report.tables import heatmap
from polyprune.report.tables.blocks import Block as TableBlock
from polyprune.report.tables.blocks import Metric, make_blocks
from polyprune.report.tables.sheet import sheet_of
from polyprune.report.tables.standing import standings

LANGUAGES = ("ar", "de", "en", "es", "ru", "sw", "zh")
MODELS = {"m": 'Model <b>one</b> & "two"', "n": "Model </script> n"}
"""Names that would break a page that trusts them."""
METHODS = ("sparsegpt", "wanda")
METRICS = (Metric("arc", "ARC", True, "%", decimals=1), Metric("perplexity", "Perplexity", False))
TITLES = titles_of(MODELS)
STUDY = Study(
    name="mine",
    tables={"table1": "drift"},
    figures={"figure1": "mask_iou"},
    methods={"Wanda": "Removes weights."},
    cells=56,
    trained=True,
    titles=TITLES,
)
ABOUT = {"code": "0123456789abcdef", "polyprune": "0.1.0", "torch": "2.13.0"}


def columns(gain: float) -> dict[Block, dict[Key, Column]]:
    """Right answers; those of the language itself are more by `gain`."""
    draws = np.random.default_rng(0)
    found: dict[Block, dict[Key, Column]] = {}
    for model, method in itertools.product(MODELS, METHODS):
        of_block = found.setdefault((model, method, "0.50"), {})
        for language in LANGUAGES:
            values = {
                name: (draws.random((200, 2)) < 0.4 + gain * (name == language)).astype(float) for name in LANGUAGES
            }
            of_block["arc", language] = Column(ACCURACY, values, dict.fromkeys(LANGUAGES, (0, 1)), np.arange(200), 0.25)
    return found


def blocks(evidence: dict[Block, dict[Key, Column]]) -> list[TableBlock]:
    rows: list[dict[str, Any]] = []
    for (model, method, scheme), of_block in evidence.items():
        for (metric, language), column in of_block.items():
            about = {"metric": metric, "eval_language": language, "n": 200, "paper_value": 41.5, "score": "acc"}
            cell = {"model": model, "method": method, "scheme": scheme, "n_seeds": 2, "std": 1.25}
            for name, values in column.values.items():
                rows.append({**about, **cell, "calibration": name, "mean": 100 * float(values.mean())})
            dense = {"method": "dense", "scheme": "dense", "calibration": "dense", "n_seeds": 1, "std": np.nan}
            if method == METHODS[0]:
                rows.append({**about, **dense, "model": model, "mean": 61.5})
    return make_blocks(pd.DataFrame(rows), METRICS[:1], standings(evidence, False))


def write_study(folder: Path, gain: float = 0.3) -> dict[str, Any]:
    """Its files below `folder`/results, as `stages/write_report.py` takes them."""
    results = folder / "results"
    study = results / "mine"
    study.mkdir(parents=True)
    evidence = columns(gain)
    picture = heatmap.picture(blocks(evidence), "A title </script><script>alert(1)</script>", TITLES)
    save_sheet(study / "table1.json", sheet_of(picture), ABOUT)
    save_figure(_figure, study / "figure1.pdf", study / "figure1.png", ABOUT)
    save_frame(study / "best_calibration.parquet", best_calibrations(evidence), ABOUT)
    claims = {"claim": "a", "place": "4.1", "statement": "it does", "printed": "1", "recomputed": "2", "test": "t"}
    rows = [claims | {"verdict": "half", "numbers": "study"}, claims | {"verdict": "no", "numbers": "paper"}]
    save_frame(study / "claims.parquet", pd.DataFrame(rows), ABOUT)
    manifest = {
        "source": {"kind": "hub", "id": "org/m", "revision": "c0ffee"},
        "digest": "feedface",
        "provenance": ABOUT,
    }
    save_record(results / "m/model.json", MODEL, manifest)
    save_corpus(
        results / "corpora/c/de.parquet", {"train": ["a"]}, {**ABOUT, "dataset": "org/c", "revision": "abad1dea"}
    )
    return {
        "sheets": [study / "table1.json"],
        "pictures": [study / "figure1.png"],
        "answer": study / "best_calibration.parquet",
        "claims": study / "claims.parquet",
        "manifests": [results / "m/model.json"],
        "corpora": [results / "corpora/c/de.parquet"],
        "study": STUDY,
    }


def _figure() -> Figure:
    sheet, (axes,) = panel_grid(1, 1, (3.0, 2.0), (0.6, 0.5), "A figure's title", "What its caption says, in full.")
    axes.plot([0, 1], [0, 1])
    return sheet
