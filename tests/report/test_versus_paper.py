"""Cells of a study beside the paper's, by hand; and the 700 standard deviations that the paper prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from polyprune.report.printed import load_all_printed
from polyprune.report.versus_paper import beside_paper, block_lines, render_versus

PAPER = Path(__file__).parents[2] / "data" / "paper"
NAMES = ("model", "method", "scheme", "calibration", "metric", "eval_language")
BLOCK = ("llama", "wanda", "0.50")


def rows(values: dict[tuple[str, str], list[float]], metric: str = "arc") -> pd.DataFrame:
    """Long rows by (calibration, language): a value a seed."""
    return pd.DataFrame(
        [
            dict(zip(NAMES, (*BLOCK, calibration, metric, language), strict=True)) | {"seed": seed, "value": value}
            for (calibration, language), of_seeds in values.items()
            for seed, value in enumerate(of_seeds)
        ]
    )


def printed(values: dict[tuple[str, str], tuple[float, float]], metric: str = "arc") -> pd.DataFrame:
    return pd.DataFrame(
        [
            dict(zip(NAMES, (*BLOCK, calibration, metric, language), strict=True)) | {"mean": mean, "std": std}
            for (calibration, language), (mean, std) in values.items()
        ]
    )


NAN = float("nan")
OURS = {("de", "de"): [30.0, 34.0], ("en", "de"): [30.0], ("es", "de"): [29.0, 29.0], ("en", "en"): [50.0]}
THEIRS = {("de", "de"): (30.0, 1.0), ("en", "de"): (31.0, 0.5), ("es", "de"): (28.0, NAN), ("ru", "ru"): (1.0, NAN)}


def test_differences_are_in_units_of_what_is_known_of_both_spreads():
    cells = beside_paper({7: rows(OURS)}, {7: printed(THEIRS), 2: printed(THEIRS)}).set_index("calibration")
    assert list(cells.index) == ["de", "en", "es"]
    assert (cells["table"] == 7).all()
    assert list(cells["difference"]) == [2.0, -1.0, 1.0]
    assert list(cells["spread_of"]) == ["both", "paper", "ours"]
    assert cells.loc["de", "in_spreads"] == pytest.approx(2 / np.sqrt(8 + 1))
    assert cells.loc["en", "in_spreads"] == -2
    assert np.isnan(float(cells.loc["es", "in_spreads"]))  # type: ignore[arg-type]
    assert list(cells["n_seeds"]) == [2, 1, 2]


def test_ranks_of_a_column_by_scipy():
    cells = beside_paper({7: rows(OURS)}, {7: printed(THEIRS)})
    expected = stats.spearmanr([32.0, 30.0, 29.0], [30.0, 31.0, 28.0]).statistic  # type: ignore[attr-defined]
    assert cells["rank_correlation"].to_list() == pytest.approx([expected] * 3)


@pytest.mark.parametrize(("metric", "ours", "paper"), [("arc", 1, 0), ("perplexity", 0, 0)])
def test_a_line_a_block_counts_diagonals_the_right_way_round(metric: str, ours: int, paper: int):
    (line,) = block_lines(beside_paper({7: rows(OURS, metric)}, {7: printed(THEIRS, metric)}))
    assert (line["ours_diagonal"], line["paper_diagonal"], line["columns"]) == (ours, paper, 1)
    assert (line["cells"], line["median_difference"], line["median_distance"]) == (3, 1.0, 1.0)
    assert (line["far"], line["measured"]) == (0, 2)


def test_the_paper_beside_itself_differs_nowhere():
    """Table 7 as if it were ours: 700 cells with a spread, none far; ρ is 1 where a column is not all equal."""
    paper = load_all_printed(PAPER)
    ours = paper[7].assign(value=paper[7]["mean"], seed=0)
    cells = beside_paper({7: ours}, paper)
    assert len(cells) == 1500
    assert int(cells["paper_std"].notna().sum()) == 700
    assert (cells["difference"] == 0).all()
    assert cells["rank_correlation"].dropna().to_numpy() == pytest.approx(1)
    page = render_versus(cells, "Itself")
    one = paper[7].query("model == 'llama-3-8b' and method == 'wanda'")
    known = int((one["std"] > 0).sum())
    assert 150 < known <= 175
    assert f"| 7 | llama-3-8b Wanda 0.50 | 175 | +0 | 0 | 0 of {known} | 1.00 | 11 of 25 | 11 of 25 |" in page


def test_a_study_of_other_models_has_nothing_to_compare():
    cells = beside_paper({7: rows({("sw", "sw"): [1.0]})}, {7: printed(THEIRS)})
    assert cells.empty
    assert "prints no cell" in render_versus(cells, "Demo")
