"""What the configuration says of checkpoints of others: their cells, a table of repositories, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.shipped import shipped_config

from polyprune.errors import UserError
from polyprune.grammar.methods import artifact, takes, traits_of
from polyprune.grammar.paths import Cell, cell_of, origin_of
from polyprune.grammar.schemes import parse_scheme
from polyprune.grammar.titles import scheme_title
from polyprune.settings.config import Settings
from polyprune.settings.imports import FolderCheckpoint, HubCheckpoint
from polyprune.settings.load import load_settings

ROOT = Path(__file__).parents[2]
LISTED = """\
imports:
  tool:
    cells:
      - {model: tiny-llama, method: wanda, scheme: "0.50", calibration: de, seed: 0, source: {kind: folder, path: w}}
      - {model: tiny-llama, method: awq, scheme: w4g16, calibration: de, seed: 0, source: {kind: hub, id: org/a}}
"""
STUDY = """\
studies:
  own:
    grids:
      all:
        models: [tiny-llama]
        methods: [wanda, wanda@tool]
        schemes: ["0.50"]
        calibrations: [de]
        seeds: [0]
    tables:
      table1: {title: Table, report: drift, grids: [all]}
"""


def config(text: str = LISTED + STUDY, *edits: tuple[str, str]) -> dict[str, Any]:
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    found = shipped_config()
    own = yaml.safe_load(text)
    return found | {"imports": own["imports"], "studies": found["studies"] | own.get("studies", {})}


def load(*edits: tuple[str, str]) -> Settings:
    return load_settings(config(LISTED + STUDY, *edits))


def refusal(*edits: tuple[str, str]) -> list[str]:
    with pytest.raises(UserError) as refused:
        load(*edits)
    return [line.removeprefix("config: ") for line in str(refused.value).split("\n  ")[1:]]


def test_a_cell_is_listed_once_and_spelt_with_its_origin() -> None:
    settings = load()
    mine = Cell("tiny-llama", "wanda@tool", "0.50", "de", 0)
    assert settings.imported == {
        mine: FolderCheckpoint(kind="folder", path="w"),
        Cell("tiny-llama", "awq@tool", "w4g16", "de", 0): HubCheckpoint(kind="hub", id="org/a"),
    }
    assert cell_of("results/tiny-llama/wanda@tool/0.50/de/seed0/drift.parquet") == mine
    assert settings.studies["own"].cells("table1") == [Cell("tiny-llama", "wanda", "0.50", "de", 0), mine]
    assert settings.imported_methods == ["awq@tool", "wanda@tool"]
    assert settings.compression.read_by("sparsegpt@tool", "0.50") == {}


def test_methods_with_an_origin() -> None:
    assert (origin_of("wanda@tool"), origin_of("wanda")) == ("tool", None)
    assert traits_of("sparsegpt@tool").title == "SparseGPT (tool)" and traits_of("awq@x").title == "AWQ (x)"
    assert artifact("sparsegpt@tool") == "weights.safetensors" and artifact("wanda@tool") == "mask.safetensors"
    per_row, scheme = parse_scheme("w8channel"), parse_scheme("w8g64")
    assert (per_row.bits, per_row.group_size, scheme_title("w8channel")) == (8, None, "8 bit, a scale a row")
    assert takes("gptq@tool", per_row) and not takes("gptq", per_row) and takes("gptq", scheme)
    assert not takes("wanda@tool", parse_scheme("0.50-owl")) and not takes("awq@tool", parse_scheme("0.50"))


def test_wrong_words_are_refused_with_the_nearest() -> None:
    assert "'wnda' is not one of" in refusal(("method: wanda", "method: wnda"))[0]
    (said,) = refusal(("methods: [wanda, wanda@tool]", "methods: [wanda, wanda@tol]"))
    assert (
        said
        == "studies.own.grids.all.methods.1: 'wanda@tol': 'tol' is not one of tool; did you mean tool? of `imports`"
    )
    (said,) = refusal(("methods: [wanda, wanda@tool]", "methods: [wanda, wnda@tool]"))
    assert "methods.1: 'wnda' is not one of" in said and "did you mean wanda?" in said
    (said,) = refusal(("model: tiny-llama, method: awq", "model: tiny-lama, method: awq"))
    assert (
        said.startswith("imports.tool.cells.1.model: 'tiny-lama' is not one of") and "did you mean tiny-llama?" in said
    )
    (said,) = refusal(("scheme: w4g16", 'scheme: "0.50"'))
    assert said.startswith("imports.tool.cells.1: awq@tool does not take '0.50': w4g128 is for quantisation")
    (said,) = refusal(("kind: folder", "kind: foldr"))
    assert "imports.tool.cells.0.source: Input tag 'foldr'" in said


def test_a_cell_that_is_not_listed_is_refused_or_by_choice_left_out() -> None:
    (said,) = refusal(("seeds: [0]", "seeds: [0, 1, 2]"))
    assert said == (
        "studies.own.grids.all.methods.1: imports.tool lists no checkpoint for tiny-llama/wanda@tool/0.50/de/seed1 "
        "(and 1 more); list it, or say `only_listed: true` to leave such cells out"
    )
    settings = load(("seeds: [0]", "seeds: [0, 1, 2]\n        only_listed: true"))
    cells = settings.studies["own"].cells("table1")
    assert [(cell.method, cell.seed) for cell in cells] == [("wanda", 0), ("wanda", 1), ("wanda", 2), ("wanda@tool", 0)]
    assert settings.left_out == [
        "studies.own.grids.all is without tiny-llama/wanda@tool/0.50/de/seed1 (and 1 more): `imports` does not list it"
    ]
    assert load().left_out == []


def test_two_checkpoints_of_one_cell_are_refused() -> None:
    twice = ("method: awq, scheme: w4g16", 'method: wanda, scheme: "0.50"')
    assert refusal(twice) == ["imports.tool: org/a and w are both said to be tiny-llama/wanda@/0.50/de/seed0"]


def test_a_table_lists_repositories(tmp_path: Path) -> None:
    table = tmp_path / "theirs.csv"
    head = "# read from a listing\nmodel,method,scheme,calibration,seed,repository\n"
    table.write_text(f"{head}tiny-llama,wanda,0.50,de,1,org/b\ntiny-llama,wanda,0.50,de,2,org/c\n")
    of_table = ("    cells:", f"    table: {table}\n    pickles: true\n    without: [org/c]\n    cells:")
    found = load(of_table).imported
    assert found[Cell("tiny-llama", "wanda@tool", "0.50", "de", 1)] == HubCheckpoint(
        kind="hub", id="org/b", pickles=True
    )
    assert Cell("tiny-llama", "wanda@tool", "0.50", "de", 2) not in found and len(found) == 3
    table.write_text(f"{head}tiny-llama,wanda,0.5,de,1,org/b\n")
    (said,) = refusal(of_table)
    assert said == f"imports.tool: {table}, line 3: scheme: '0.5' is not a scheme; did you mean 0.50?"
    table.write_text("model,method\n")
    assert (
        "the columns are model, method, scheme, calibration, seed, repository, not model, method"
        in refusal(of_table)[0]
    )
    assert "cannot be read" in refusal((of_table[0], of_table[1].replace(str(table), "nowhere.csv")))[0]


def test_the_published_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows are cells of the study's models, and its table of masks pairs each seed with ours."""
    monkeypatch.chdir(ROOT)
    own = yaml.safe_load((ROOT / "studies/published.yaml").read_text(encoding="utf-8"))
    settings = load_settings(shipped_config() | {"imports": own["imports"], "studies": own["studies"]})
    assert len(settings.imported) == 238 and settings.left_out == []
    cell = Cell("aya-23-8b", "wanda@paper", "0.50", "de", 0)
    source = settings.imported[cell]
    assert isinstance(source, HubCheckpoint) and source.id.endswith("pruned-aya-23-8b-wanda-0.5-unstructured-mc4-de-0")
    assert len(settings.studies["published"].cells("table5")) == 2 * 4 * 7 * 3
    assert "NOT VERIFIED" in (ROOT / "data/published.csv").read_text(encoding="utf-8")


def test_a_table_of_same_masks_needs_both() -> None:
    assert refusal(
        ("report: drift", "report: same_masks"), ("methods: [wanda, wanda@tool]", "methods: [wanda@tool]")
    ) == [
        "studies.own.tables.table1.grids.0: masks of checkpoints are compared with our own: list a method twice, as "
        "wanda and wanda@paper, in grid 'all'"
    ]
    assert load(("report: drift", "report: same_masks"))
