"""The answer as a picture: gains, their intervals and what is decided, in a panel of each metric."""

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.answers import BLOCK, study
from tests.helpers.pictures import assert_readable, drawn
from tests.helpers.titles import titles_of

from polyprune.report.answers.answer import best_calibrations
from polyprune.report.answers.answer_picture import draw
from polyprune.report.answers.answer_text import render_answer


def test_the_picture_shows_gains_with_their_intervals_in_their_colours():
    """A panel of each metric; a line from low to high, a marker at the gain, filled where it is decided."""
    rows = best_calibrations({BLOCK: study(np.random.default_rng(6), effect=1.2)})
    figure, texts = drawn(lambda: draw(rows, "Which?", titles_of({"tiny": "Tiny"})))
    (axes,) = figure.axes
    shown = rows[rows["is_target"].astype(bool) & (rows["metric"] == "benchmarks") & (rows["eval_language"] != "all")]
    lines = {(*line.get_xdata(), line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "None"}  # type: ignore[index]
    ends = {(row["low"], row["high"]) for row in shown.to_dict("records")}
    assert {line[:2] for line in lines} - {(0, 0), (0, 1)} == ends and len(ends) == 8
    marks = {line.get_xdata()[0]: line for line in axes.lines if line.get_marker() != "None"}  # type: ignore[index]
    for row in shown.to_dict("records"):
        hollow = marks[row["gain"]].get_markerfacecolor() == "white"
        assert hollow == (row["verdict"] not in ("better", "worse"))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["EN", "DE", "AR"]
    assert {"over English", "over the mix", "Tiny, Wanda 50 %"} <= {text.text for text in texts}
    counts, draws = set(shown["items"]), set(shown["draws"])
    assert len(counts) == len(draws) == 1
    about = f"{counts.pop()} questions a language, {draws.pop()} draws".replace(", 1 draws", ", one draw")
    assert axes.get_xlabel() == f"gain [points of acc], all benchmarks\n{about}"
    assert axes.get_ylabel() == "evaluation language"
    assert_readable(lambda: draw(rows, "Which?", titles_of({"tiny": "Tiny"})))


def test_a_benchmark_alone_stands_for_the_mean_of_all_under_its_name():
    """ARC alone: English has two columns of it, whose mean is the pool; German and Arabic have one."""
    columns = study(np.random.default_rng(7))
    arc = {("arc", language): columns["arc", language] for language in ("ar", "de")}
    arc |= {("arc", f"en-{part}"): columns["arc", "en"] for part in "ce"}
    rows = best_calibrations({BLOCK: arc})
    figure, _ = drawn(lambda: draw(rows, "Which?", titles_of({"tiny": "Tiny"})))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["EN", "DE", "AR"]
    assert axes.get_xlabel().startswith("gain [points of acc], ARC\n60 to 120 questions")
    assert len([line for line in axes.lines if line.get_marker() != "None"]) == 3 + 3 + 2
    text = render_answer(rows, "Which?", titles_of({"tiny": "Tiny"}))
    assert "all benchmarks" not in text.split("\n\n", 2)[2] and text.count(": by ARC ") == 3
    lines = [[cell.strip() for cell in line.split("|")[1:3]] for line in text.splitlines() if line.startswith("| ")]
    assert lines[2:] == [["AR", "ARC"], ["DE", "ARC"], ["EN", "ARC"]]


def test_gains_stand_at_their_language_in_the_colour_of_their_reference_on_the_sheet():
    """Every gain and both ends of its interval lie within the axes; the grey band is the margin to both sides."""
    rows = best_calibrations({BLOCK: study(np.random.default_rng(6), effect=1.2)})
    figure, _ = drawn(lambda: draw(rows, "Which?", titles_of({"tiny": "Tiny"})))
    (axes,), (key,) = figure.axes, figure.legends
    references = {"over English": "english", "over the mix": "mix", "over the average other language": "others"}
    colours = {
        references[text.get_text()]: line.get_color()
        for line, text in zip(key.get_lines(), key.get_texts(), strict=True)
    }
    languages = [label.get_text().lower() for label in axes.get_yticklabels()]
    shown = rows[rows["is_target"].astype(bool) & (rows["metric"] == "benchmarks") & (rows["eval_language"] != "all")]
    marks = {line.get_xdata()[0]: line for line in axes.lines if line.get_marker() != "None"}  # type: ignore[index]
    low, high = axes.get_xlim()
    for row in shown.to_dict("records"):
        mark = marks[row["gain"]]
        assert languages[round(mark.get_ydata()[0])] == row["eval_language"]  # type: ignore[index]
        assert mark.get_color() == colours[row["reference"]]
        assert low < row["low"] <= row["gain"] <= row["high"] < high
    (band,) = axes.patches
    (margin,) = set(shown["margin"])
    assert [band.get_x(), band.get_x() + band.get_width()] == [-margin, pytest.approx(margin)]  # type: ignore[attr-defined]
