"""Table 1 from score files: marks, means, refusals; and the paper's own numbers through the same code."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.scores import write_variant
from tests.helpers.titles import titles_of

from polyprune.errors import UserError
from polyprune.grammar.titles import Titles
from polyprune.report.tables.blocks import Block, make_blocks, wins
from polyprune.report.tables.drift import CELL_METRICS, PRINTED, report
from polyprune.report.tables.report import Report
from polyprune.report.tables.rows import aggregate, in_order, load_scores
from polyprune.settings.studies import Table

PAPER = Path(__file__).parents[3] / "data/paper/table1.csv"


def tiny_study(folder: Path, robust: Mapping[str, tuple[float, float]] | None = None) -> list[Path]:
    """One model, one method, calibrations de, en and de-en, two seeds; German is best for German, English for both.

    `robust` is SNR by calibration without 2.5 massive tokens in German and 4 in English, of which else there is none.
    """
    dense = {(metric, language): 2.0 for metric in ("perplexity", "bits_per_byte") for language in ("de", "en")}
    files = [write_variant(folder, "m", dense)]
    perplexity = {"de": (3.0, 5.0), "en": (4.0, 4.0), "de-en": (2.5, 3.5)}
    snr = {"de": (9.0, 7.0), "en": (9.5, 8.0), "de-en": (20.0, 20.0)}
    for calibration in perplexity:
        for seed in (0, 1):
            values = {}
            for index, language in enumerate(("de", "en")):
                values["perplexity", language] = perplexity[calibration][index] + seed
                values["bits_per_byte", language] = 1.0
                values["snr", language] = snr[calibration][index]
                values["snr_robust", language] = {**snr, **(robust or {})}[calibration][index]
                values["pruning_error", language] = values["pruning_error_robust", language] = 1e-3
                values["massive_tokens", language] = (2.5, 4.0)[index] if robust else 0.0
            files.append(write_variant(folder, "m", values, ("wanda", "0.50", calibration, seed)))
    return files


TABLE = Table(title="Title", report="drift", grids=["g"])


def made(files: list[Path], titles: Titles | None = None, paper: list[Path] | None = None) -> Report:
    return report(files, paper or [], TABLE, titles or titles_of({"m": "Model"}), [])


def test_long_table_has_every_value_in_order(tmp_path: Path) -> None:
    rows = made(tiny_study(tmp_path)).rows.to_pandas()
    assert " ".join(rows.columns) == (
        "model method scheme calibration seed metric eval_language value unit score n paper_value"
    )
    assert len(rows) == 2 * 2 + 3 * 2 * 6 * 2
    assert list(dict.fromkeys(rows["calibration"])) == ["dense", "de", "en", "de-en"]
    chosen = rows[(rows["calibration"] == "de") & (rows["metric"] == "perplexity") & (rows["eval_language"] == "en")]
    assert list(chosen["value"]) == [5.0, 6.0] and list(chosen["seed"]) == [0, 1]
    assert rows.loc[rows["method"] == "dense", "seed"].isna().all()


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    files = tiny_study(tmp_path)
    first, again = made(files), made(list(reversed(files)))
    assert first.rows.equals(again.rows) and first.page == again.page and first.log == again.log


def test_markdown_marks_the_best_single_language(tmp_path: Path) -> None:
    table = made(tiny_study(tmp_path))
    text = table.page
    line = (
        "Model, Wanda 50 %: target best in 2 of 2 perplexity columns (1.0 by chance, 2 alone), SNR 1 of 2 (1.0, 1), "
        "pruning error 2 of 2 (2.0, 0)"
    )
    assert list(table.log) == [line] and f"- {line}\n" in text
    panel = text.split("| Perplexity")[1].split("| SNR")[0]
    rows = {line.split("|")[1].strip(): line for line in panel.splitlines() if line.startswith("| ")}
    assert "**3.50** ± 0.71" in rows["DE"] and "5.50 ± 0.71" in rows["DE"]
    assert "**4.50** ± 0.71" in rows["EN"]
    assert "**" not in rows["all 2"] and "**" not in rows["dense"]


def test_what_massive_tokens_decide_is_said_and_shown(tmp_path: Path) -> None:
    """English is best in SNR for both languages; without massive tokens each language is its own best."""
    agreeing = made(tiny_study(tmp_path))
    assert "No token has more than 5 times the median norm (MASSIVE-1)." in agreeing.page
    assert "SNR without massive tokens" not in agreeing.page
    table = made(tiny_study(tmp_path, {"de": (9.0, 8.0), "en": (8.0, 9.0)}))
    said = (
        "Without massive tokens, those of more than 5 times the median norm (MASSIVE-1: 2.5 to 4.0 of 100 a layer), "
        "another calibration is best by SNR or pruning error: Model, Wanda 50 %, SNR in 1 of 2 columns."
    )
    assert said in table.page and table.picture.caption.endswith(said)
    assert "**Bold** in panels without" in table.page and "**Bold** in panels without" not in agreeing.page
    assert "pruning error 2 of 2 (2.0, 0), SNR without massive tokens 2 of 2 (1.0, 2)" in table.page
    panel = table.page.split("| SNR without massive tokens [dB] ↑")[1].split("\n\n")[0]
    assert panel.count("**9.00**") == 2
    assert list(table.log) == list(agreeing.log) and len(table.picture.sections[0].grids) == 3
    assert "snr_robust" in set(table.rows["metric"].to_pylist())


def means_of(files: list[Path]) -> pd.DataFrame:
    rows = load_scores(files)
    printed = rows[rows["metric"].isin(CELL_METRICS)].assign(paper_value=float("nan"))
    return aggregate(in_order(printed, ["m"], CELL_METRICS))


def test_larger_is_better_for_snr(tmp_path: Path) -> None:
    means = means_of(tiny_study(tmp_path))
    snr = next(panel for panel in make_blocks(means, PRINTED)[0].panels if panel.name == "SNR")
    assert snr.top.to_numpy().tolist() == [[False, False], [False, False], [True, True], [False, False]]


def test_means_over_seeds_by_hand(tmp_path: Path) -> None:
    means = means_of(tiny_study(tmp_path))
    row = means[(means["calibration"] == "de") & (means["metric"] == "perplexity") & (means["eval_language"] == "de")]
    assert row[["mean", "n_seeds"]].to_numpy().tolist() == [[3.5, 2]]
    assert row["std"].item() == pytest.approx(0.5**0.5)


def test_a_missing_language_is_named(tmp_path: Path) -> None:
    files = tiny_study(tmp_path)
    broken = write_variant(tmp_path, "m", {("perplexity", "de"): 1.0}, ("wanda", "0.50", "en", 1))
    assert broken in files
    with pytest.raises(UserError, match=r"m/wanda/0\.50/en/seed1: \w+ of \w+ is missing"):
        made(files)


def test_a_value_that_is_there_twice_is_named(tmp_path: Path) -> None:
    files = tiny_study(tmp_path)
    with pytest.raises(UserError, match=r"m/wanda/0\.50/de/seed0: .* is there twice"):
        made([*files, files[1]])


def test_a_value_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    files = tiny_study(tmp_path)
    values = {(metric, language): 1.0 for metric in CELL_METRICS for language in ("de", "en")}
    write_variant(tmp_path, "m", values | {("snr", "en"): float("nan")}, ("wanda", "0.50", "en", 1))
    with pytest.raises(UserError, match="snr of en is not a number"):
        made(files)


def papers_blocks(folder: Path) -> list[Block]:
    """The numbers of the paper's Table 1 as if they were ours."""
    values: dict[tuple[str, str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    with PAPER.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            values[row["model"], row["method"], row["calibration"]][row["metric"], row["eval_language"]] = float(
                row["mean"]
            )
    files = [write_variant(folder, m, cells, (method, "0.50", c, 0)) for (m, method, c), cells in values.items()]
    rows = load_scores(files).assign(paper_value=float("nan"))
    return make_blocks(aggregate(in_order(rows, ["llama-3-8b", "aya-23-8b"], CELL_METRICS)), PRINTED)


def test_diagonals_of_the_papers_own_table(tmp_path: Path) -> None:
    """Counted by hand from the printed table: perplexity 27 of 28 columns, SNR 25, pruning error 20."""
    blocks = papers_blocks(tmp_path)
    assert [(block.model, block.method) for block in blocks] == [
        (model, method) for model in ("llama-3-8b", "aya-23-8b") for method in ("wanda", "sparsegpt")
    ]
    totals = {
        panel.name: sum(wins(block.panels[index]).best for block in blocks)
        for index, panel in enumerate(blocks[0].panels)
    }
    assert totals == {"Perplexity": 27, "SNR": 25, "Pruning error": 20}
    best_for_chinese = blocks[0].panels[0].top["zh"]
    assert best_for_chinese["ru"] and best_for_chinese.sum() == 1  # the one exception: Llama, Wanda


def test_the_papers_values_stand_beside_ours(tmp_path: Path) -> None:
    values = {(metric, language): 1.0 for metric in CELL_METRICS for language in ("ar", "de")}
    dense = {(metric, language): 1.0 for metric in ("perplexity", "bits_per_byte") for language in ("ar", "de")}
    files = [
        write_variant(tmp_path, "llama-3-8b", dense),
        write_variant(tmp_path, "llama-3-8b", values, ("wanda", "0.50", "ar", 0)),
    ]
    table = made(files, titles_of({"llama-3-8b": "Llama-3 8B"}), [PAPER])
    rows = table.rows.to_pandas().set_index(["metric", "eval_language", "method"])["paper_value"]
    assert rows["perplexity", "ar", "wanda"] == 26.3 and rows["perplexity", "de", "wanda"] == 17.3
    assert rows["pruning_error", "ar", "wanda"] == pytest.approx(85.0e-6)
    assert rows.xs("bits_per_byte").isna().all()
    assert "(26.3)" in table.page
