"""Claims and blocks: verdicts on the printed numbers, by other code; and that other numbers give other verdicts."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest

from polyprune.grammar.titles import Titles
from polyprune.report.names import PAPER_METHODS, PAPER_MODELS
from polyprune.report.paper.block_test import compare_blocks, render_blocks
from polyprune.report.paper.claim_list import CLAIMS
from polyprune.report.paper.claims import judge, render_claims
from polyprune.report.printed import load_all_printed

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "data" / "paper"
LANGUAGES = ("ar", "de", "en", "es", "ru", "sw", "zh")


@pytest.fixture(scope="module")
def tables() -> dict[int, pd.DataFrame]:
    return load_all_printed(PAPER)


@pytest.fixture(scope="module")
def judged(tables: dict[int, pd.DataFrame]) -> pd.DataFrame:
    return judge(CLAIMS, tables).set_index("claim")


def numbers(table: int, model: str, method: str) -> dict[tuple[str, str], dict[str, float]]:
    """By column and calibration, read without pandas."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    with (PAPER / f"table{table}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["model"], row["method"]) == (model, method):
                column = found.setdefault((row["metric"], row["eval_language"]), {})
                column[row["calibration"]] = float(row["mean"])
    return found


def test_every_claim_is_judged_on_the_printed_numbers(judged: pd.DataFrame):
    assert judged.index.is_unique
    assert set(judged["verdict"]) == {"holds", "half", "no"}
    assert judged.notna().all(axis=None)


def test_counts_of_the_best_by_a_loop(judged: pd.DataFrame):
    """Perplexity over the four blocks of table 1; SparseGPT of Aya in table 2."""
    hits = [
        column[language] == min(column.values())
        for model in ("llama-3-8b", "aya-23-8b")
        for method in ("wanda", "sparsegpt")
        for (metric, language), column in numbers(1, model, method).items()
        if metric == "perplexity"
    ]
    assert judged.loc["perplexity-target", "recomputed"] == f"{sum(hits)} of 28 columns, 26 of them alone"
    assert judged.loc["perplexity-target", "verdict"] == "half" and sum(hits) == 27
    aya = numbers(2, "aya-23-8b", "sparsegpt")
    best = sum(column[language.split("-")[0]] == max(column.values()) for (_, language), column in aya.items())
    assert f"Aya-23 8B SparseGPT {best} alone, {best} with ties" in str(judged.loc["target-26-of-50", "recomputed"])


@pytest.mark.parametrize(
    ("claim", "verdict", "says"),
    [
        ("perplexity-exception", "holds", "RU 23.6, DE 23.9, ZH 24.4"),
        ("belebele-range", "holds", "Wanda 58.5 (ES) to 65.0 (EN); SparseGPT 50.0 (ZH) to 71.4 (EN)"),
        ("belebele-reversal", "holds", "AR 55.3, ZH 44.8 become at best 45.1 (ES), 57.0 (EN); ZH above AR in "),
        ("swahili-worst", "holds", "SparseGPT 13/25"),
        ("mixes-better", "no", "seven 4, five 5 of 20"),
        ("mixes-chinese-arc", "half", "higher in 2 of 4"),
        ("masks-unstable", "holds", "6 of 6"),
        ("gptq-target", "half", "-0.07 over others"),
    ],
)
def test_numbers_and_verdicts(judged: pd.DataFrame, claim: str, verdict: str, says: str):
    assert judged.loc[claim, "verdict"] == verdict
    assert says in str(judged.loc[claim, "recomputed"])


def changed(tables: dict[int, pd.DataFrame], number: int, where: str, value: float | str) -> dict[int, pd.DataFrame]:
    """A table with its means set where the query holds; `value` may be another sign: `-`."""
    rows = tables[number].copy()
    chosen = rows.query(where).index
    assert len(chosen)
    rows.loc[chosen, "mean"] = -rows.loc[chosen, "mean"] if value == "-" else value
    return tables | {number: rows}


ALL_LOWEST = "metric == 'perplexity' and calibration == eval_language"


@pytest.mark.parametrize(
    ("claim", "number", "where", "value", "verdict"),
    [
        ("perplexity-target", 1, ALL_LOWEST, 0.1, "holds"),
        ("perplexity-target", 1, ALL_LOWEST, 999.0, "no"),
        ("perplexity-exception", 1, "metric == 'perplexity' and calibration == 'zh'", 1.0, "no"),
        ("snr-target", 1, "metric == 'snr'", "-", "no"),
        ("error-target", 1, "metric == 'pruning_error'", "-", "no"),
        ("swahili-worst", 2, "calibration == 'sw'", 99.0, "no"),
        ("aya-better", 2, "model == 'aya-23-8b'", 1.0, "no"),
        ("aya-drops-less", 2, "model == 'aya-23-8b' and method == 'dense'", 99.0, "no"),
        ("llama-sparsegpt", 2, "method == 'wanda'", 99.0, "no"),
        ("aya-diagonal", 2, "metric == 'arc' and calibration == 'en'", 99.0, "half"),
        ("mkqa-order", 3, "method == 'dense' and eval_language == 'zh'", 99.0, "no"),
        ("mkqa-drop", 3, "method != 'dense'", 90.0, "no"),
        ("mixes-better", 8, "method != 'dense'", 99.0, "holds"),
        ("mixes-english", 8, "method != 'dense'", 99.0, "no"),
        ("masks-unstable", 16, "metric == 'iou:q'", 0.0, "half"),
        ("order-dense", 2, "method == 'dense' and eval_language == 'ru'", 0.0, "no"),
        ("belebele-range", 2, "metric == 'belebele' and method == 'wanda'", 58.4, "half"),
        ("belebele-range", 2, "metric == 'belebele'", 58.4, "no"),
        ("belebele-reversal", 2, "metric == 'belebele' and eval_language == 'ar' and method == 'dense'", 1.0, "no"),
        ("belebele-reversal", 2, "metric == 'belebele' and eval_language == 'zh' and method == 'wanda'", 1.0, "half"),
        ("target-26-of-50", 2, "calibration == 'sw'", 99.0, "no"),
        ("not-on-large", 7, "calibration != 'dense'", 50.0, "holds"),
        ("not-reliably", 2, "calibration != 'dense'", 50.0, "holds"),
        ("gptq-target", 14, "calibration != 'dense'", 50.0, "no"),
    ],
)
def test_other_numbers_give_another_verdict(
    tables: dict[int, pd.DataFrame], claim: str, number: int, where: str, value: float | str, verdict: str
):
    (found,) = judge([each for each in CLAIMS if each.name == claim], changed(tables, number, where, value))["verdict"]
    assert found == verdict


def test_what_tables_do_not_have_is_not_judged(tables: dict[int, pd.DataFrame]):
    some = {2: tables[2][tables[2]["model"] == "llama-3-8b"]}
    judged = judge(CLAIMS, some).set_index("claim")
    assert pd.isna(judged.loc["perplexity-target", "verdict"])  # type: ignore[arg-type]
    assert judged.loc["perplexity-target", "recomputed"] == "cannot be seen here: table 1 is not there"
    assert "no rows of aya-23-8b, dense" in str(judged.loc["aya-drops-less", "recomputed"])
    assert judged.loc["llama-sparsegpt", "verdict"] == "holds"
    text = render_claims(judged.reset_index(), "Some")
    seen = judged["verdict"].notna().sum()
    assert text.startswith("# Some\n") and f"{len(CLAIMS) - seen} cannot be seen here." in text


def test_a_block_by_a_loop(tables: dict[int, pd.DataFrame]):
    """Llama-3 8B by SparseGPT, table 7, in plain Python; PERM-1 and PERM-2 without numpy."""
    columns = numbers(7, "llama-3-8b", "sparsegpt")
    own = [language.split("-")[0] for _, language in columns]
    gains, over_english = [], []
    for language, column in zip(own, columns.values(), strict=True):
        others = [column[other] for other in LANGUAGES if other != language]
        gains.append(column[language] - sum(others) / 6)
        if language != "en":
            over_english.append(column[language] - column["en"])

    def gain(labels: dict[str, str]) -> float:
        pairs = zip(own, columns.values(), strict=True)
        return sum(column[labels[language]] - sum(column.values()) / 7 for language, column in pairs)

    orders = [gain(dict(zip(LANGUAGES, order, strict=True))) for order in permutations(LANGUAGES)]
    rows = compare_blocks(tables).set_index(["table", "model", "method", "metric"])
    row = rows.loc[[(7, "llama-3-8b", "sparsegpt", "all")]].iloc[0]
    assert row["over_others"] == pytest.approx(sum(gains) / 25)
    assert row["over_english"] == pytest.approx(sum(over_english) / 20)
    assert (row["above_english"], row["of"]) == (sum(gain > 0 for gain in over_english), 20)
    assert row["p_columns"] == pytest.approx(sum(each >= orders[0] - 1e-9 for each in orders) / 5040)


def test_the_page_of_blocks_has_a_line_a_block(tables: dict[int, pd.DataFrame]):
    rows = compare_blocks(tables)
    page = render_blocks(rows, "Blocks", Titles(PAPER_MODELS, PAPER_METHODS, {}))
    assert len([line for line in page.splitlines() if line.startswith(("| 1", "| 7"))]) + 4 == 20
    assert "| 15 | Llama-3 8B, GPTQ 8 bit, group 128 | −0.07 | +0.27 (14 of 20) | 0.8855 | 0.7343 |" in page


def test_the_command_needs_no_torch():
    code = (
        "import sys; from polyprune.report.paper.claims_told import main; code = main(['--markdown']); "
        "print(sorted({'torch', 'statsmodels', 'h5py', 'matplotlib'} & set(sys.modules)), code)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.endswith("[] 0\n")
    assert "Of 28 claims: 13 holds, 14 half, 1 no." in done.stdout
