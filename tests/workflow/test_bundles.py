"""Which cells one job dumps, and what the names of such jobs say."""

from __future__ import annotations

from polyprune.grammar.paths import Cell
from polyprune.workflow import bundles


def cells(method: str, calibrations: list[str], seeds: list[int]) -> list[Cell]:
    return [Cell("8b", method, "0.50", calibration, seed) for calibration in calibrations for seed in seeds]


def members(bundle: list[Cell]) -> list[tuple[str, str, int]]:
    return [(cell.method, cell.calibration, cell.seed) for cell in bundle]


def test_bundles_are_of_one_method_where_they_are_full_and_a_new_seed_or_method_changes_none_of_these():
    asked = [*cells("wanda", ["de", "en", "zh"], [0, 1]), *cells("sparsegpt", ["en", "de", "zh", "sw"], [0])]
    found = bundles.bundles([*asked, *asked[::-1]], lambda _: 3)
    assert list(map(members, found)) == [
        [("sparsegpt", "de", 0), ("sparsegpt", "en", 0), ("sparsegpt", "sw", 0)],
        [("wanda", "de", 0), ("wanda", "en", 0), ("wanda", "zh", 0)],
        [("wanda", "de", 1), ("wanda", "en", 1), ("wanda", "zh", 1)],
    ], "sparsegpt zh is left to itself"
    added = [*cells("wanda", ["de", "en", "zh"], [2]), *cells("awq", ["de", "en", "sw"], [0])]
    more = bundles.bundles([*asked, *added], lambda _: 3)
    assert all(bundle in more for bundle in found) and len(more) == 5
    assert bundles.bundles(asked, lambda _: 1) == []


def test_what_is_left_over_is_bundled_across_methods_and_schemes_of_a_model():
    """Ten cells of ten methods share one pass of the dense model."""
    asked = [*cells("wanda", ["de", "en", "sw"], [0]), *cells("sparsegpt", ["de"], [0]), *cells("ria", ["de"], [0])]
    found = bundles.bundles(asked, lambda _: 2)
    assert list(map(members, found)) == [
        [("wanda", "de", 0), ("wanda", "en", 0)],
        [("ria", "de", 0), ("sparsegpt", "de", 0)],
    ], "wanda sw is left to itself"
    schemes = [Cell("8b", "wanda", scheme, "de", 0) for scheme in ("0.20", "2of4", "0.50")]
    assert bundles.bundles(schemes, lambda _: 9) == [sorted(schemes, key=lambda cell: cell.scheme)]
    models = [Cell(name, "wanda", "0.50", "de", 0) for name in ("8b", "70b")]
    assert bundles.bundles(models, lambda _: 9) == []


def test_cells_whose_calibrations_ask_otherwise_of_the_model_count_as_made_differently():
    asked = cells("wanda", ["de", "de75-en25", "de+n8", "en+n8", "de+n16", "de@code", "en@code+n8"], [0, 1])
    found = bundles.bundles(asked, lambda _: 4)
    assert [sorted({cell.calibration for cell in bundle}) for bundle in found] == [
        ["de", "de75-en25"],
        ["de+n8", "en+n8"],
        ["de@code", "en@code+n8"],
        ["de+n16"],
    ]
