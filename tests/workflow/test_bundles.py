"""Which cells one job dumps, and what the names of such jobs say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.leaves import everything

from polyprune.grammar.methods import artifact_of
from polyprune.grammar.paths import Cell, waiting
from polyprune.settings.load import load_settings
from polyprune.workflow import bundles
from polyprune.workflow.inputs import Inputs

SETTINGS = load_settings(everything())
INPUTS = Inputs(SETTINGS, Path("root"))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without results."""
    monkeypatch.chdir(tmp_path)


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


def on_corpus(*targets: str, made: bool = False) -> list[list[Cell]]:
    """Bundles of the cells of the configuration's own model on its corpus, of which all are made or none."""
    found = bundles.Bundles(SETTINGS, INPUTS, targets, lambda *_: made, {})
    found.on_corpus("made")
    return [bundle for bundle in found.members["made"] if bundle[0].model == "trained"]


def put(path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()


@pytest.mark.usefixtures("elsewhere")
def test_cells_whose_weights_are_made_again_are_dumped_together_although_their_dumps_are_there() -> None:
    asked = [cell for bundle in on_corpus("all") for cell in bundle]
    assert len(asked) > 8
    for cell in asked:
        put(artifact_of(cell))
    assert on_corpus("all", made=True) == []
    for cell in asked[:3]:
        Path(artifact_of(cell)).unlink()
    (bundle,) = on_corpus("all", made=True)
    assert set(bundle) == set(asked[:3])
    table = "results/all/table1.parquet"
    scores = [f"{cell.folder}/drift.parquet" for cell in asked[:3]]
    assert on_corpus(table, *scores, made=True) == [], "no weights are asked for, and so none are made"
    (two,) = on_corpus(table, *(artifact_of(cell) for cell in asked[1:3]), made=True)
    assert set(two) == set(asked[1:3])


@pytest.mark.usefixtures("elsewhere")
def test_cells_whose_dumps_wait_are_apart_from_those_that_they_had_to_wait_for() -> None:
    together = on_corpus("all")
    waits = {cell for bundle in together for cell in bundle[1:]}
    dumps = {cell: INPUTS.dumps("made", f"{cell.model}/{cell.variant}") for cell in waits}
    for cell in waits:
        for dump in dumps[cell][1:]:
            put(waiting(Path(dump)))
    assert on_corpus("all") == together, "a text of each is still to be done"
    for cell in waits:
        put(waiting(Path(dumps[cell][0])))
    assert all(set(bundle) <= waits or waits.isdisjoint(bundle) for bundle in on_corpus("all"))
    assert {cell for bundle in on_corpus("all") for cell in bundle} >= waits
