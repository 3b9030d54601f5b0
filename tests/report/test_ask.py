"""`make answer`: one question from what is finished; what it says of too little, and that it claims nothing then."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from polyprune.artifacts.evaluations import ITEMS, ITEMS_SCHEMA
from polyprune.artifacts.tables import save_table
from polyprune.errors import UserError
from polyprune.report.ask import main, respond

TARGETS = ["results/best_calibration.md"]


def write_items(folder: Path, calibration: str, right: list[bool], benchmark: str = "arc") -> str:
    about = {"task": "t", "eval_language": "de", "log_likelihoods": [0.0] * 4}
    rows = [about | {"doc_id": i, "doc_hash": str(i), "correct": each} for i, each in enumerate(right)]
    variant = {"model": "tiny", "method": "wanda", "scheme": "0.50", "calibration": calibration, "seed": 0}
    name = f"{calibration}-{benchmark}.parquet"
    header = {"variant": variant, "benchmark": benchmark, "profile": "paper"}
    save_table(folder / name, ITEMS_SCHEMA, pa.Table.from_pylist(rows, schema=ITEMS), header)
    return name


def question(items: list[str], cells: int = 3, lacking: tuple[str, ...] = ()) -> dict[str, Any]:
    finished = len({item.split("-")[0] for item in items})
    line = {"method": "wanda", "scheme": "0.50", "cells": cells, "finished": finished, "lacking": list(lacking)}
    about = {"model": "tiny", "title": "Tiny Llama", "language": "de"}
    return about | {"items": items, "dumps": [], "cells": [line], "targets": TARGETS}


def answers(share: float, seed: int, n: int = 200) -> list[bool]:
    return (np.random.default_rng(seed).random(n) < share).tolist()


def test_a_clear_case_is_a_plain_sentence_with_its_table(tmp_path: Path) -> None:
    shares = {"de": 0.9, "en": 0.5, "es": 0.4}
    items = [
        write_items(tmp_path, name, answers(share, seed), task)
        for seed, (name, share) in enumerate(shares.items())
        for task in ("arc", "mmlu")
    ]
    text = respond(question(items), tmp_path)
    assert text.startswith("## Tiny Llama, Wanda 50 %, for DE\n\nCalibrate in DE: by all benchmarks it is better than")
    gain = np.mean(answers(0.9, 0)) - np.mean(answers(0.5, 1))
    assert f"over English it gains +{100 * gain:.1f} points (" in text and "), better." in text
    assert "400 questions, one draw of calibration text: another draw may say otherwise" in text
    lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line.startswith("| ")]
    assert lines[2:] == [[name, "DE", "1 of 3"] for name in ("all benchmarks", "ARC", "MMLU")]
    assert text.endswith("All 3 cells of the studies are finished.")


def test_what_cannot_be_told_is_said_and_what_is_outstanding(tmp_path: Path) -> None:
    """Spanish has one more right than German, English far fewer; the mix is not finished."""
    german = answers(0.6, 0)
    spanish = [each or index == german.index(False) for index, each in enumerate(german)]
    right = {"de": german, "en": answers(0.2, 2), "es": spanish}
    text = respond(question([write_items(tmp_path, *each) for each in right.items()], 4, ("ar-de",)), tmp_path)
    assert "Calibrate in DE: by ARC ES is best, but DE cannot be told from it; over English it gains +" in text
    assert "3 of 4 cells are finished: this may change; not finished yet in any draw: AR+DE." in text
    assert "To finish it: snakemake --profile local -- results/best_calibration.md (what is outstanding" in text


def test_a_target_that_is_behind_is_not_recommended(tmp_path: Path) -> None:
    right = {"de": answers(0.2, 0), "en": answers(0.8, 1)}
    text = respond(question([write_items(tmp_path, *each) for each in right.items()]), tmp_path)
    assert "Calibrate in EN: by ARC it is better than every other calibration that was measured; DE itself is " in text


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_is_claimed_from_too_little(tmp_path: Path, n: int) -> None:
    items = [write_items(tmp_path, "de", answers(0.5, 0))][:n]
    with pytest.raises(
        UserError, match=rf"nothing can be said of Tiny Llama in DE yet: {n} of 3 cells .* snakemake --prof"
    ):
        respond(question(items), tmp_path)


def test_the_command_reads_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    items = [write_items(tmp_path, name, answers(0.5, i)) for i, name in enumerate(("de", "en"))]
    for asked, code in ((items, 0), (items[:1], 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(question(asked))))
        assert main() == code
    captured = capsys.readouterr()
    assert captured.out.startswith("## Tiny Llama") and captured.err.startswith("error: nothing can be said")
