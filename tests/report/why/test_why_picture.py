"""The scatter of losses over drift: what is said of each panel's correlation and scales."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from tests.helpers.pictures import assert_readable, drawn
from tests.helpers.titles import titles_of

from polyprune.report.why.why import ALL_BENCHMARKS, GIVEN, losses, pairs
from polyprune.report.why.why_picture import draw_why

LANGUAGES = ("de", "en", "es", "sw")


def scores() -> pd.DataFrame:
    """One block: perplexity, and accuracy that falls with it but for chance."""
    draws = np.random.default_rng(7)
    rows = []
    for calibration, language in itertools.product(LANGUAGES, LANGUAGES):
        perplexity = float(draws.uniform(5, 9))
        values = {"perplexity": perplexity, "arc": 80 - 4 * perplexity + float(draws.normal(0, 3))}
        block = {"model": "m", "method": "wanda", "scheme": "0.50", "calibration": calibration, "seed": 0}
        rows += [block | {"metric": name, "eval_language": language, "value": value} for name, value in values.items()]
    return pd.DataFrame(rows)


def test_only_single_languages_are_compared() -> None:
    rows = scores()
    more = [rows.assign(calibration=rows["calibration"] + said) for said in ("+n8", "@code", "+chat", "90-zh10")]
    for (*_, one), (*_, other) in zip(pairs(rows), pairs(pd.concat([rows, *more])), strict=True):
        assert one.calibrations == other.calibrations == list(LANGUAGES)
        assert {tuple(loss.index) for *_, loss in losses(pd.concat([rows, *more]))} == {LANGUAGES}
        assert np.array_equal(one.loss, other.loss) and np.array_equal(one.drift, other.drift)


def test_panels_say_their_correlation_with_its_interval_and_that_scales_differ() -> None:
    rows = scores()
    (pair,) = (pair for _, name, _, pair in pairs(rows) if name == ALL_BENCHMARKS)
    figure, texts = drawn(lambda: draw_why(rows, "Why?", titles_of({"m": "Model"})))
    (axes,) = figure.axes
    metric, first, second = axes.get_xlabel().split("\n")
    assert (axes.get_title(), metric) == ("Model, Wanda 50 %", "ln perplexity")
    for line, given in ((first, GIVEN[2]), (second, GIVEN[3])):
        found = pair.partial(given)
        assert found is not None
        numbers = [float(part.strip("[],r")) for part in line.replace("−", "-").split() if any(map(str.isdigit, part))]
        np.testing.assert_allclose(numbers, [found.r, found.low, found.high], atol=0.005)
    assert second.endswith("given own")
    said = " ".join(text.text.replace("\n", " ") for text in texts)
    assert "95 % interval" in said and "Each panel has scales of its own" in said
    assert_readable(lambda: draw_why(rows, "Why?", titles_of({"m": "Model"})))


def test_points_are_drift_and_loss_about_the_mean_of_their_column_in_its_language_s_colour() -> None:
    """In plain Python; the star is the calibration in the language itself."""
    table = {
        (row["metric"], row["calibration"], row["eval_language"]): float(row["value"])
        for row in scores().to_dict("records")
    }
    figure, _ = drawn(lambda: draw_why(scores(), "Why?", titles_of({"m": "Model"})))
    (axes,), (key,) = figure.axes, figure.legends
    assert axes.get_ylabel() == "loss [points]"
    languages = {
        line.get_color(): text.get_text().lower() for line, text in zip(key.get_lines(), key.get_texts(), strict=True)
    }
    assert sorted(languages.values()) == list(LANGUAGES)
    found = {
        (languages[line.get_color()], line.get_marker()): sorted(
            np.column_stack([line.get_xdata(), line.get_ydata()]).tolist()
        )
        for line in axes.lines
    }
    for language in LANGUAGES:
        drift = {c: math.log(table["perplexity", c, language]) for c in LANGUAGES}
        loss = {c: -table["arc", c, language] for c in LANGUAGES}
        points = {
            c: [drift[c] - sum(drift.values()) / len(drift), loss[c] - sum(loss.values()) / len(loss)]
            for c in LANGUAGES
        }
        assert found[language, "*"] == [pytest.approx(points.pop(language))]
        assert found[language, "."] == [pytest.approx(point) for point in sorted(points.values())]
