"""Which cells one job dumps, and what the names of such jobs say."""

from __future__ import annotations

from polyprune.grammar.paths import Cell
from polyprune.workflow import bundles


def cells(method: str, calibrations: list[str], seeds: list[int]) -> list[Cell]:
    return [Cell("8b", method, "0.50", calibration, seed) for calibration in calibrations for seed in seeds]


def test_bundles_are_of_one_method_and_a_new_seed_changes_none_that_is_full():
    asked = [*cells("wanda", ["de", "en", "zh"], [0, 1]), *cells("sparsegpt", ["en", "de", "zh", "sw"], [0])]
    found = bundles.bundles([*asked, *asked[::-1]], 3)
    assert [[(cell.method, cell.calibration, cell.seed) for cell in bundle] for bundle in found] == [
        [("sparsegpt", "de", 0), ("sparsegpt", "en", 0), ("sparsegpt", "sw", 0)],
        [("wanda", "de", 0), ("wanda", "en", 0), ("wanda", "zh", 0)],
        [("wanda", "de", 1), ("wanda", "en", 1), ("wanda", "zh", 1)],
    ], "sparsegpt zh is left to itself"
    more = bundles.bundles([*asked, *cells("wanda", ["de", "en", "zh"], [2])], 3)
    assert more[:3] == found and len(more) == 4
    assert bundles.bundles(asked, 1) == []
    models = [Cell(name, "wanda", "0.50", "de", 0) for name in ("8b", "70b")]
    schemes = [Cell("8b", "wanda", scheme, "de", 0) for scheme in ("0.20", "2of4")]
    assert bundles.bundles([*models, *schemes], 9) == []


def test_a_bundles_calibrations_ask_the_same_of_the_model():
    asked = cells("wanda", ["de", "de75-en25", "de+n8", "en+n8", "de+n16", "de@code", "en@code+n8"], [0, 1])
    found = bundles.bundles(asked, 9)
    assert [sorted({cell.calibration for cell in bundle}) for bundle in found] == [
        ["de", "de75-en25"],
        ["de@code"],
        ["de+n8", "en+n8"],
        ["en@code+n8"],
        ["de+n16"],
    ]
