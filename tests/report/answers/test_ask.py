"""`make answer`: one question from what is finished; what it says of too little, and that it claims nothing then."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.helpers.titles import titles_of

from polyprune.artifacts.evaluations import ITEMS, ITEMS_SCHEMA
from polyprune.artifacts.tables import save_table
from polyprune.errors import UserError
from polyprune.report.answers.answer_text import NOTES, sentence
from polyprune.report.answers.ask import main, respond

TARGETS = ["results/best_calibration.md"]


def write_items(folder: Path, calibration: str, right: list[bool], benchmark: str = "arc") -> str:
    about = {"task": "t", "eval_language": "de", "log_likelihoods": [0.0] * 4}
    rows = [about | {"doc_id": i, "doc_hash": str(i), "correct": each} for i, each in enumerate(right)]
    variant = {"model": "tiny", "method": "wanda", "scheme": "0.50", "calibration": calibration, "seed": 0}
    name = f"{calibration}-{benchmark}.parquet"
    header = {"variant": variant, "benchmark": benchmark, "profile": "paper", "sources": {}}
    save_table(folder / name, ITEMS_SCHEMA, pa.Table.from_pylist(rows, schema=ITEMS), header)
    return name


def question(
    items: list[str], cells: int = 3, lacking: tuple[str, ...] = (), configfiles: tuple[str, ...] = ()
) -> dict[str, Any]:
    finished = len({item.rsplit("-", 1)[0] for item in items})
    line = {"method": "wanda", "scheme": "0.50", "cells": cells, "finished": finished, "lacking": list(lacking)}
    about = {"model": "tiny", "title": "Tiny Llama", "language": "de", "benchmarks": {"arc": "ARC", "mmlu": "MMLU"}}
    about |= {"targets": TARGETS, "configfiles": list(configfiles)}
    return about | {"items": items, "dumps": [], "cells": [line]}


def answers(share: float, seed: int, n: int = 200) -> list[bool]:
    return (np.random.default_rng(seed).random(n) < share).tolist()


def beside(right: list[bool], more: int) -> list[bool]:
    """The same answers with so many more right, or fewer if negative."""
    wanted = [i for i, each in enumerate(right) if each == (more < 0)][: abs(more)]
    return [not each if i in wanted else each for i, each in enumerate(right)]


def asked(folder: Path, right: dict[str, list[bool]], **about: Any) -> str:
    return respond(question([write_items(folder, *each) for each in right.items()], **about), folder)


def test_a_clear_case_is_a_plain_sentence_with_its_table(tmp_path: Path) -> None:
    shares = {"de": 0.9, "en": 0.5, "es": 0.4}
    items = [
        write_items(tmp_path, name, answers(share, seed), task)
        for seed, (name, share) in enumerate(shares.items())
        for task in ("arc", "mmlu")
    ]
    text = respond(question(items), tmp_path)
    advice = "Calibrate in DE: by all benchmarks it is better than each of the 2 others measured. "
    assert text.startswith(f"## Tiny Llama, Wanda 50 %, for DE\n\n{advice}In place of English, DE gives +")
    gain = np.mean(answers(0.9, 0)) - np.mean(answers(0.5, 1))
    assert f"DE gives +{100 * gain:.1f} points (" in text and "), better." in text
    assert "400 questions, one draw of calibration text: another draw may say otherwise" in text
    lines = [[cell.strip() for cell in line.split("|")[1:5]] for line in text.splitlines() if line.startswith("| ")]
    assert lines[2:] == [["DE", name, "DE", "1 of 3"] for name in ("all benchmarks", "ARC", "MMLU")]
    assert text.endswith(f"All 3 cells of the studies are finished.\n\n{NOTES}")


GERMAN = answers(0.6, 0)
CASES: dict[str, tuple[dict[str, list[bool]], str]] = {
    "ahead": (
        {"de": answers(0.9, 0), "en": answers(0.2, 1), "es": answers(0.3, 2)},
        "Calibrate in DE: by ARC it is better than each of the 2 others measured. In place of English, DE gives +",
    ),
    "best seen": (
        {"de": GERMAN, "en": answers(0.2, 2), "es": beside(GERMAN, -1)},
        "Calibrate in DE: by ARC it did best; ES may be best, too; the average other language is behind DE. In place",
    ),
    "best of what cannot be told apart": (
        {"de": GERMAN, "en": beside(GERMAN, -1), "es": beside(GERMAN, -2)},
        "DE may be as good a choice as any: by ARC it did best; any other may be best, too. In place",
    ),
    "second": (
        {"de": GERMAN, "en": answers(0.2, 2), "es": beside(GERMAN, 1)},
        "DE may be as good a choice as any: by ARC ES did best, but DE may be best, too; the average "
        "other language is behind DE. In place",
    ),
    "behind English by what may be chance": (
        {"de": GERMAN, "en": beside(GERMAN, 4), "es": beside(GERMAN, 1), "ru": answers(0.1, 3)},
        "DE may be as good a choice as any: by ARC EN did best, but DE may be best, too, and so may ES; the "
        "average other language is behind DE. In place of English, DE gives −2.0 points (",
    ),
    "last of what cannot be told apart": (
        {"de": GERMAN, "en": beside(GERMAN, 2), "es": beside(GERMAN, 1)},
        "DE may be as good a choice as any: by ARC EN did best, but DE may be best, too, and so may any other. In",
    ),
    "behind": (
        {"de": answers(0.2, 0), "en": answers(0.8, 1)},
        "Calibrate in EN: by ARC it is better than the only other one measured; DE itself is behind. "
        "In place of English, DE gives −",
    ),
    "behind two": (
        {"de": answers(0.1, 0), "es": GERMAN, "en": beside(GERMAN, -1), "ru": answers(0.1, 1)},
        "Calibrate in ES: by ARC it did best; EN may be best, too; DE itself is behind. In",
    ),
    "not measured": (
        {"en": answers(0.2, 0), "es": answers(0.8, 1)},
        "Calibrate in ES: by ARC it is better than the only other one measured; DE itself was not calibrated in. "
        "In place of English, ES gives +",
    ),
    "mixes alone": (
        {"ar-en": answers(0.2, 0), "de-en": answers(0.8, 1)},
        "Calibrate in DE+EN: by ARC it is better than the only other one measured; DE itself was not calibrated "
        "in. In place of the mix, DE+EN gives +",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_advice_goes_as_far_as_what_was_measured(case: str, tmp_path: Path) -> None:
    """Two calibrations that nothing tells apart are not ranked, whichever of them is ahead."""
    right, said = CASES[case]
    assert f", for DE\n\n{said}" in asked(tmp_path, right)


@pytest.mark.parametrize(
    ("best", "able", "said"),
    [
        ("de", ["de"], "By perplexity DE is better than each of the 2 others measured."),
        ("en", ["de", "en"], "By perplexity EN did best; DE may be best, too."),
        ("en", ["en", "es"], "By perplexity EN did best; ES may be best, too; DE itself is behind."),
        ("en", ["en"], "By perplexity EN is better than each of the 2 others measured; DE itself is behind."),
    ],
)
def test_perplexity_is_said_beside_benchmarks(best: str, able: list[str], said: str) -> None:
    shared = {
        "calibration": "de",
        "is_target": True,
        "reference": "english",
        "calibrations": 3,
        "unit": "%",
        "behind": ["en"],
    }
    numbers = {"gain": 1.0, "low": 0.5, "high": 1.5, "verdict": "better", "items": 9, "draws": 2, "one_draw": False}
    benchmark = {"metric": "arc", "best": "de", "not_worse": ["de", "en", "es"]}
    perplexity = {"metric": "perplexity", "best": best, "not_worse": able}
    rows = pd.DataFrame([shared | numbers | each for each in (benchmark, perplexity)])
    assert sentence(rows, "de", titles_of({}), ["de", "en", "es"]).endswith(f"2 draws of calibration text. {said}")


def test_what_is_open_and_what_is_outstanding_is_said(tmp_path: Path) -> None:
    right = {"de": GERMAN, "en": beside(GERMAN, -3), "es": beside(GERMAN, 1)}
    text = asked(tmp_path, right, cells=4, lacking=("ar-de",))
    assert ", open. That rests on 200 questions, one draw" in text
    assert "A gain of " in text and " points would be seen in 4 of 5 studies like this; 1 point would take " in text
    assert "The test over all languages needs two or more that are calibrated and evaluated in." in text
    assert "3 of 4 cells are finished: this may change; without all that is to be measured in any draw: AR+DE." in text
    assert "To finish it: snakemake --profile local -- results/best_calibration.md (what is outstanding" in text
    own = asked(tmp_path, right, cells=4, configfiles=("mine.yaml", "more.yaml"))
    assert "snakemake --profile local --configfile mine.yaml more.yaml -- results/best_calibration.md" in own
    assert "make outstanding CONFIGFILE='mine.yaml more.yaml')" in own


def test_methods_of_one_calibration_are_one_line(tmp_path: Path) -> None:
    about = question([write_items(tmp_path, name, answers(0.5, i)) for i, name in enumerate(("de", "en"))])
    more = {"method": "ria", "scheme": "0.50", "cells": 1, "finished": 1, "lacking": []}
    text = respond(about | {"cells": [*about["cells"], more]}, tmp_path)
    assert text.count("## ") == 1
    said = "Nothing to compare yet, for it takes two calibrations: RIA 50 % (1 of 1 cells are finished)."
    assert f"\n\n{said}\n\n" in text


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
