"""The answer of a study: from files, on simulated studies of known truth, and in words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from tests.helpers.answers import BLOCK, CALIBRATIONS, study
from tests.helpers.headers import measured
from tests.helpers.titles import titles_of

from polyprune.artifacts.evaluations import ITEMS, ITEMS_SCHEMA
from polyprune.artifacts.hdf5 import create_hdf5
from polyprune.artifacts.hidden_states import SCHEMA
from polyprune.artifacts.measurements import FRAME
from polyprune.artifacts.tables import open_table, save_table
from polyprune.errors import UserError
from polyprune.report.answers.answer import best_calibrations, compare, whole_block
from polyprune.report.answers.answer_text import render_answer
from polyprune.report.answers.comparison import Comparison
from polyprune.report.measured import ACCURACY, Column, common_draws, load_columns
from polyprune.report.names import calibration_label
from polyprune.stages.answer_question import answer_question


def write_items(
    folder: Path, calibration: str, seed: int, right: dict[str, list[float]], benchmark: str = "arc", **facts: Any
) -> Path:
    """Answers by language; neighbours share a passage in belebele."""
    rows = [
        {
            "task": f"{benchmark}_{language}",
            "eval_language": language,
            "doc_id": index,
            "doc_hash": f"{language}{index}",
            "passage": f"{index // 2}" if benchmark == "belebele" else None,
            "correct": value == 1,
            "f1": value if benchmark == "mkqa" else None,
            "f1_ws": value / 2 if benchmark == "mkqa" else None,
        }
        for language, values in right.items()
        for index, value in enumerate(values)
    ]
    variant = dict(zip(("model", "method", "scheme"), BLOCK, strict=True)) | {"calibration": calibration, "seed": seed}
    path = folder / f"{calibration}-{seed}-{benchmark}.parquet"
    provenance = {"variant": variant, "benchmark": benchmark, "profile": "current", "sources": {}} | facts
    save_table(path, ITEMS_SCHEMA, pa.Table.from_pylist(rows, schema=ITEMS), provenance)
    return path


def write_dump(
    folder: Path,
    calibration: str,
    seed: int,
    nll: np.ndarray,
    diff: float | np.ndarray = 1.0,
    language: str = "de",
    **said: Any,
) -> Path:
    """Losses (n_sequences, n_predicted); dense states of norm 2 and width 8 in two layers, moved by √diff a token.

    `diff` may be one a row (the embedding, both layers, the normed last one), or that of each sequence.
    """
    n, tokens = nll.shape[0], nll.shape[1] + 1
    path = folder.joinpath(*BLOCK, calibration, f"seed{seed}", "hidden_states", "text", f"{language}.h5")
    named = dict(zip(("model", "method", "scheme"), BLOCK, strict=True)) | {"calibration": calibration, "seed": seed}
    with create_hdf5(path, SCHEMA, named | measured(language, named) | {"data_digest": "d"} | said) as file:
        file.store("sums/nll_pruned", nll.astype(np.float32))
        file.store("sums/target", np.ones(nll.shape, np.uint8))
        file.store("sums/n", np.full(n, tokens))
        file.store("sums/norm", np.full((n, 4), 2.0 * tokens))
        file.store("sums/sq", np.full((n, 4), 4.0 * tokens))
        file.store("sums/diff", np.full((n, 4), np.multiply(diff, tokens)))
        file.store("prompts/mean", np.zeros((4, n, 8), dtype=np.float32))
    return path


def test_columns_are_what_the_files_say(tmp_path: Path):
    files = [
        write_items(tmp_path, calibration, seed, {"de": [seed, 1, 0, 1], "en": [1, 1, 1, 0]})
        for calibration in ("de", "en")
        for seed in (1, 0)
    ]
    files.append(write_items(tmp_path, "de", 0, {"de": [1, 0, 1, 0]}, "belebele"))
    columns = load_columns(files, [])[BLOCK]
    assert set(columns) == {("arc", "de"), ("arc", "en"), ("belebele", "de")}
    arc = columns["arc", "de"]
    assert arc.kind == ACCURACY and arc.seeds == {"de": (0, 1), "en": (0, 1)}
    np.testing.assert_array_equal(arc.values["de"], [[0, 1], [1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(arc.groups, [0, 1, 2, 3])
    np.testing.assert_array_equal(columns["belebele", "de"].groups, [0, 0, 1, 1])


def test_what_tables_print_of_mkqa_is_compared(tmp_path: Path):
    """The f1 of the prompts' profile, as the headline of `evaluation/results.py`."""
    for profile, kind, value in (("paper", "f1_ws", 0.25), ("current", "f1", 0.5)):
        file = write_items(tmp_path, "de", 0, {"de": [0.5, 0.0]}, "mkqa", profile=profile, asked=None)
        column = load_columns([file], [])[BLOCK]["mkqa", "de"]
        assert column.kind == kind
        assert column.values["de"][0, 0] == value


def test_cells_over_other_questions_are_not_compared(tmp_path: Path):
    files = [
        write_items(tmp_path, calibration, 0, {"de": right})
        for calibration, right in (("de", [1.0, 0.0]), ("en", [1.0]))
    ]
    with pytest.raises(UserError, match=r"tiny/wanda/0\.50: arc de of en/seed0 is over other items than of de/seed0"):
        load_columns(files, [])


def test_dumps_are_losses_and_drift_of_sequences(tmp_path: Path):
    """Perplexity is exp of minus the mean; SNR of norm 2 moved by 1 is 10 log10 4; the error 1/(8·4) in each layer."""
    nll = np.array([[1.0, 2, 3], [2, 2, 2], [3, 3, 0]])
    columns = load_columns([], [write_dump(tmp_path, "de", 0, nll)])[BLOCK]
    values = columns["perplexity", "de"].values["de"]
    np.testing.assert_allclose(values[:, 0], -nll.mean(axis=1))
    np.testing.assert_allclose(columns["snr", "de"].values["de"], 10 * math.log10(4))
    np.testing.assert_allclose(columns["pruning_error", "de"].values["de"], -math.log(1 / 32))


@pytest.mark.parametrize(("diff", "known"), [
    ([0.0, 0.0, 1.0, 1.0], {"perplexity", "pruning_error"}),
    ([0.0, 1.0, 0.0, 1.0], {"perplexity", "snr", "pruning_error"}),
    ([0.0, 0.0, 0.0, 0.0], {"perplexity"}),
    ([[1.0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]], {"perplexity", "pruning_error"}),
    ([[1.0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]], {"perplexity"}),
], ids=["first layer dense", "last raw row is not counted", "nothing changed", "a layer in one sequence",
        "one sequence"])  # fmt: skip
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_is_infinite_in_every_sequence_is_not_compared(tmp_path: Path, diff: list[Any], known: set[str]):
    """A cell whose first layer is the dense model's has an infinite SNR there; its other values stay comparable.

    Nor is what would be infinite without one of the sequences (JACK-1).
    """
    files = [
        write_dump(tmp_path, calibration, 0, np.full((3, 4), 1.0 + n), np.array(diff))
        for n, calibration in enumerate(("ar", "de"))
    ]
    columns = load_columns([], files)[BLOCK]
    assert {metric for metric, _ in columns} == known
    found = best_calibrations({BLOCK: columns})
    assert set(found["metric"]) == known and np.isfinite(found["gain"]).all()


def test_a_dump_in_another_cells_folder_is_refused(tmp_path: Path):
    file = write_dump(tmp_path, "de", 0, np.ones((3, 4)), scheme="2of4")
    with pytest.raises(UserError, match=r"says that it is of wanda/2of4/de/0"):
        load_columns([], [file])


def test_gains_in_perplexity_are_per_cent_by_which_it_is_lower(tmp_path: Path):
    """4 to 3 is a quarter less: −ln of it a constant, so that there is no doubt; SNR in dB; a quarter of the error."""
    files = [
        write_dump(tmp_path, calibration, seed, np.full((5, 7), math.log(perplexity)), diff)
        for calibration, perplexity, diff in (("de", 3.0, 1.0), ("en", 4.0, 4.0))
        for seed in (0, 1)
    ]
    rows = best_calibrations(load_columns([], files)).query("reference == 'english'").set_index("metric")
    assert [rows.loc["perplexity", name] for name in ("gain", "low", "high")] == pytest.approx([25, 25, 25], rel=1e-4)
    assert rows.loc["snr", "gain"] == pytest.approx(10 * math.log10(4))
    assert rows.loc["pruning_error", "gain"] == pytest.approx(75)
    assert rows["verdict"].to_list() == ["better"] * 3
    assert rows["best"].to_list() == ["de"] * 3


def test_without_an_effect_it_claims_one_as_rarely_as_it_says():
    """50 studies: German against three references, raw and corrected; a block of three languages has p of sixths."""
    rng, claimed, raw, blocks = np.random.default_rng(0), [], [], []
    for _ in range(50):
        columns = study(rng)
        comparison = Comparison([columns[benchmark, "de"] for benchmark in ("arc", "belebele", "mmlu")], "de")
        rows = [row for row in compare("de", "benchmarks", comparison) if row["is_target"]]
        claimed += [row["verdict"] in ("better", "worse") for row in rows]
        raw += [row["p"] < 0.05 for row in rows]
        blocks += [row["p"] for row in whole_block(columns) if row["metric"] == "benchmarks"]
    assert len(claimed) == 150 and np.mean(claimed) < 0.025 + 3 * np.sqrt(0.025 * 0.975 / 50)  # of 400 studies: 2 %
    assert 0.005 < np.mean(raw) < 0.11  # three standard errors of 150, some of which are of the same study
    assert abs(np.mean(np.array(blocks) < 1 / 6 + 1e-9) - 1 / 6) < 3.3 * np.sqrt(5 / 36 / 50)


def test_it_finds_a_small_effect_in_the_pool():
    """.6 on the probit scale, 16 points: a column of 60 questions may tell it, a language's benchmarks do."""
    rng, of_column, of_pool = np.random.default_rng(1), [], []
    for _ in range(4):
        rows = best_calibrations({BLOCK: study(rng, effect=0.6)})
        rows = rows[rows["is_target"].astype(bool) & (rows["reference"] == "others") & (rows["eval_language"] != "all")]
        pool = rows["metric"] == "benchmarks"
        of_pool += (rows.loc[pool, "verdict"] == "better").to_list()
        of_column += (rows.loc[~pool, "verdict"] == "better").to_list()
    assert np.mean(of_pool) > 0.75 > np.mean(of_column) + 0.1


def test_rows_of_one_column_by_other_code():
    """One draw: near the paired t of scipy, for half of the answers are right; three asked beforehand, by hand."""
    rng = np.random.default_rng(2)
    column = study(rng, effect=0.8, draws=1)["arc", "de"]
    rows = best_calibrations({BLOCK: {("arc", "de"): column}}).query("reference == 'english'").set_index("calibration")
    right = {name: value[:, 0] for name, value in column.values.items()}
    means = {name: value.mean() for name, value in right.items()}
    assert rows["best"].iloc[0] == max(means, key=lambda name: means[name])
    d = right["de"] - right["en"]
    row = rows.loc["de"].to_dict()
    assert row["gain"] == pytest.approx(100 * d.mean())
    expected = float(stats.ttest_rel(right["de"], right["en"]).pvalue)  # type: ignore[attr-defined]
    assert expected / 2 < row["p"] < 2 * expected
    assert row["low"] < 100 * d.mean() < row["high"]
    assert row["hypotheses"] == 2 * 3 and row["p_corrected"] == pytest.approx(min(1, 6 * row["p"]))
    assert bool(row["one_draw"]) and pd.isna(row["draws_needed"])
    assert (row["items"], row["groups"], row["draws"]) == (60, 60, 1)


def test_what_is_equal_is_said_to_be():
    """The same answers of 20,000 questions: within a point; of 60: open, and how many more it takes."""
    verdicts = {}
    for items in (60, 20000):
        values: dict[str, np.ndarray] = {name: np.tile([[1.0], [0.0]], (items // 2, 1)) for name in ("de", "en")}
        column = Column(ACCURACY, values, dict.fromkeys(list(values), (0,)), np.arange(items))
        rows = best_calibrations({BLOCK: {("arc", "de"): column}}).query("reference == 'english'")
        verdicts[items] = rows["verdict"].iloc[0]
        assert rows["p"].iloc[0] == 1
    assert verdicts == {60: "open", 20000: "equal"}


def test_english_has_no_gain_over_itself_and_a_mix_counts_as_no_other_language():
    rows = best_calibrations({BLOCK: study(np.random.default_rng(3))})
    english = rows[(rows["eval_language"] == "en") & (rows["metric"] == "arc") & rows["is_target"].astype(bool)]
    assert list(english["reference"]) == ["mix", "others"]
    assert list(english["against"].iloc[:1]) == ["ar-de-en"]
    column = study(np.random.default_rng(3))["arc", "en"]
    others = np.mean([column.values[name].mean() for name in ("ar", "de")])
    assert english["gain"].iloc[1] == pytest.approx(100 * (column.values["en"].mean() - others))


def test_benchmarks_are_pooled_over_the_cells_that_all_have():
    columns = study(np.random.default_rng(4))
    arc, mmlu = columns["arc", "de"], columns["mmlu", "de"]
    fewer = mmlu.only({"de": (2, 0), "en": (0, 1)})
    np.testing.assert_array_equal(fewer.values["de"], mmlu.values["de"][:, [2, 0]])
    assert common_draws([arc, fewer]) == {"de": (0, 2), "en": (0, 1)}
    rows = best_calibrations({BLOCK: {("arc", "de"): arc, ("mmlu", "de"): fewer}})
    row = rows[(rows["metric"] == "benchmarks") & (rows["reference"] == "english")].iloc[0]
    gains = [column.values["de"][:, [0, 2]].mean() - column.values["en"][:, [0, 1]].mean() for column in (arc, mmlu)]
    assert row["gain"] == pytest.approx(100 * np.mean(gains))
    assert (row["items"], row["draws"]) == (120, 2)


def test_in_words(tmp_path: Path):
    """The stage on files; its page says what the rows say, with the caveat."""
    rng = np.random.default_rng(5)
    items = [
        write_items(
            tmp_path, name, 0, {"de": (rng.random(80) < 0.4 + 0.5 * (name == "de")).astype(float).tolist()}, task
        )
        for name in CALIBRATIONS
        for task in ("arc", "mmlu")
    ]
    dumps = [write_dump(tmp_path, name, 0, rng.normal(2, 0.1, (6, 9))) for name in CALIBRATIONS]
    rows, page, picture = (tmp_path / f"best.{ending}" for ending in ("parquet", "md", "png"))
    answer_question(items, dumps, "Which?", titles_of({"tiny": "Tiny"}), rows, page, picture, {})
    found = open_table(rows, FRAME).read().to_pandas()
    text = page.read_text()
    assert text == render_answer(found, "Which?", titles_of({"tiny": "Tiny"})) and picture.stat().st_size > 1000
    assert "## Tiny, Wanda 50 %" in text and "- DE: Calibrate in DE: by all benchmarks it is better than" in text
    assert "That rests on 160 questions, one draw of calibration text: another draw may say otherwise." in text
    perplexity = found[found["metric"] == "perplexity"].iloc[0]
    assert perplexity["calibrations"] == len(perplexity["not_worse"]) == len(CALIBRATIONS)
    best = calibration_label(perplexity["best"], ["de"])
    assert f" By perplexity {best} did best; any other may be best, too." in text
    lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line.startswith("| DE ")]
    assert lines[0] == ["DE", "all benchmarks", "DE"] and lines[1][:2] == ["DE", "perplexity"] and len(lines) == 2


def test_draws_of_shares_scatter_in_log_odds_and_of_perplexity_as_they_are():
    """INF-3: a tenth and half of 60 right, alone and as the mean of two columns."""
    values = {
        name: np.tile((np.arange(60) < count)[:, None], 2).astype(float) for name, count in {"de": 6, "en": 30}.items()
    }
    seeds = dict.fromkeys(values, (0, 1))
    shares, losses = (Column(kind, values, seeds, np.arange(60)) for kind in (ACCURACY, "perplexity"))
    slopes = {"de": 6.5 * 54.5 / 61**2, "en": 0.25}
    expected = {name: slope**2 / 2 for name, slope in slopes.items()}
    assert Comparison([shares], "de").together.shares == pytest.approx(expected)
    assert Comparison([shares, shares], "de").together.shares == pytest.approx(expected)
    assert Comparison([losses], "de").together.shares == {"de": 0.5, "en": 0.5}


def test_calibrations_with_as_many_right_answers_are_equal():
    """Two draws of 15 and 17 right, two of 16: the first by name is best, and the other may be."""
    counts = {"de": (15, 17), "en": (16, 16), "es": (2, 2)}
    values = {name: np.stack([(np.arange(60) < c).astype(float) for c in each], 1) for name, each in counts.items()}
    comparison = Comparison([Column(ACCURACY, values, dict.fromkeys(counts, (0, 1)), np.arange(60))], "de")
    assert comparison.means["de"] == comparison.means["en"] and comparison.not_worse() == ["de", "en"]


def test_nothing_measured_is_a_table_without_rows():
    """What the page of a study that has not begun reads."""
    rows = best_calibrations({})
    assert rows.empty and {"model", "eval_language", "metric", "is_target", "p", "items"} <= set(rows.columns)
