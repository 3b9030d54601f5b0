"""Figures of activation ranges: every line of every panel."""

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.figures import picture, settings
from tests.helpers.measured import activation_ranges

from polyprune.report.figures import ranges as module
from polyprune.report.figures.drawing import colour_of

LANGUAGES = ["de", "en", "zh"]


def test_a_column_a_matrix_with_ranges_above_and_overlaps_below() -> None:
    measured = activation_ranges(LANGUAGES)
    figure = picture(module, measured, settings("activation_ranges"))
    assert [axes.get_title() for axes in figure.axes] == ["input of q k v", "", "input of ffn.down", ""]
    above, below = figure.axes[2:]
    shown = measured[measured["matrix"] == "ffn.down"]
    for place, language in enumerate(LANGUAGES):
        of_language = shown[(shown["eval_language"] == language) & shown["other_language"].isna()]
        lowest, highest, middle = (
            of_language[of_language["metric"] == metric].sort_values("layer")["value"].to_numpy()
            for metric in ("lowest", "highest", "median_range")
        )
        whole, of_middle = above.lines[2 * place : 2 * place + 2]
        assert np.asarray(whole.get_xdata()).tolist() == [1, 2]
        assert np.asarray(whole.get_ydata()) == pytest.approx(highest - lowest)
        assert np.asarray(of_middle.get_ydata()) == pytest.approx(middle) and of_middle.get_linestyle() == "--"
        overlaps = shown[shown["metric"] == "salient_overlap"]
        pairs = overlaps[(overlaps["eval_language"] == language) | (overlaps["other_language"] == language)]
        assert len(pairs) == 4
        assert np.asarray(below.lines[place].get_ydata()) == pytest.approx(
            [pairs[pairs["layer"] == layer]["value"].mean() for layer in (0, 1)]
        )
        assert {line.get_color() for line in (whole, of_middle, below.lines[place])} == {colour_of(language)}
    assert above.get_yscale() == "log" and "over 1,000 tokens" in figure.texts[1].get_text()
