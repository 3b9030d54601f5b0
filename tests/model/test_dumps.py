"""Jobs of several dumps that do not come to their end: what was finished waits, and the next job takes it over."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.engine import CPU
from tests.helpers.variants import ENGINE, RUN, cells_of, tiny_of_the_hub

from polyprune.errors import UserError
from polyprune.grammar.paths import waiting
from polyprune.model.paired import paired_pass
from polyprune.stages import dump_hidden_states as stage

TEXTS = ("text", "other")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tiny_of_the_hub(tmp_path_factory.mktemp("model")) as manifest:
        cells_of(manifest)
        yield manifest


@pytest.fixture
def cells(model: Path, tmp_path: Path) -> list[Path]:
    """Copies, to be damaged."""
    return [Path(shutil.copy(cell, tmp_path)) for cell in sorted(model.parent.glob("mask-*.safetensors"))]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Of each pass through the model, the cells that were pushed through it."""
    done: list[list[str]] = []

    def counted(decoder: Any, data: Any, cells: Sequence[Any], *others: Any) -> None:
        done.append([cell.path.stem for cell in cells])
        paired_pass(decoder, data, cells, *others)

    monkeypatch.setattr(stage, "paired_pass", counted)
    return done


def dumps(cells: list[Path], folder: Path) -> list[Path]:
    """Where the dumps of cells, or of the dense model, belong."""
    names = [cell.stem for cell in cells] or ["dense"]
    return [folder / "results" / name / "hidden_states" / "made" / f"{text}.h5" for name in names for text in TEXTS]


def dump(model: Path, cells: list[Path], folder: Path, **changes: Any) -> list[bytes]:
    texts, paths = [model.parent / f"{text}.safetensors" for text in TEXTS], dumps(cells, folder)
    stage.dump_hidden_states(model, cells, texts, paths, 4, CPU, ENGINE, RUN | changes)
    assert not list(folder.rglob(".parts"))
    return [path.read_bytes() for path in paths]


def flip_last_byte(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (flip_last_byte, r"mask-de\.safetensors: .* is damaged, .*; delete it and make it again: snake"),
    "cut off": (lambda file: file.write_bytes(file.read_bytes()[:-5]), r"mask-de\.safetensors .*; delete it and make"),
    "empty": (lambda file: file.write_bytes(b""), r"mask-de\.safetensors .*; delete it and make it again: snakemake"),
    "not there": (Path.unlink, r"mask-de\.safetensors"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_cell_costs_its_neighbours_nothing(
    name: str, model: Path, cells: list[Path], tmp_path: Path, passes: list[list[str]]
) -> None:
    undisturbed, whole = dump(model, cells, tmp_path / "undisturbed"), cells[0].read_bytes()
    damage, message = DAMAGES[name]
    damage(cells[0])
    passes.clear()
    for _ in range(2):  # tried again, the neighbour is not pushed through the model a second time
        with pytest.raises(UserError, match=message) as refused:
            dump(model, cells, tmp_path)
        assert str(refused.value).endswith(
            "The dumps of all other cells of this job are made and kept: a run that makes them takes them over."
        )
        assert passes == [["mask-zh"]] * 2
        assert [path for path in dumps(cells, tmp_path) if path.exists()] == []
    cells[0].write_bytes(whole)
    assert dump(model, cells, tmp_path) == undisturbed
    assert passes[2:] == [["mask-de"]] * 2


def test_who_waits_is_taken_over_by_a_job_for_it_alone(
    model: Path, cells: list[Path], tmp_path: Path, passes: list[list[str]]
) -> None:
    """Also where the cells of the first job were made differently."""
    of_de, of_zh = ({"scheme": scheme} for scheme in ("0.20", "0.50"))
    undisturbed = dump(model, cells[1:], tmp_path / "undisturbed", inputs={"cell": of_zh})
    flip_last_byte(cells[0])
    with pytest.raises(UserError):
        dump(model, cells, tmp_path, inputs={"cell": [of_de, of_zh]})
    passes.clear()
    assert dump(model, cells[1:], tmp_path, inputs={"cell": of_zh}) == undisturbed and passes == []


def test_all_damaged_cells_are_named_at_once(model: Path, cells: list[Path], tmp_path: Path) -> None:
    for cell in cells:
        flip_last_byte(cell)
    with pytest.raises(UserError, match=r"mask-de\.safetensors: .*\n.*mask-zh\.safetensors: ") as refused:
        dump(model, cells, tmp_path)
    assert "kept" not in str(refused.value) and not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("of_dense", [False, True])
def test_a_killed_job_loses_no_text_that_it_had_finished(
    of_dense: bool, model: Path, cells: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = [] if of_dense else cells
    undisturbed, seen = dump(model, variants, tmp_path / "undisturbed"), []

    def dies_at_the_second(*words: Any) -> None:
        seen.append(words)
        if len(seen) == 2:
            raise KeyboardInterrupt
        paired_pass(*words)

    monkeypatch.setattr(stage, "paired_pass", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        dump(model, variants, tmp_path)
    assert [path.exists() for path in dumps(variants, tmp_path)] == [False] * 2 * max(1, len(variants))
    assert dump(model, variants, tmp_path) == undisturbed and len(seen) == 3


CHANGES: dict[str, tuple[dict[str, Any], Callable[[Path, Path], object]]] = {
    "other code": ({"code": "def"}, lambda *_: None),
    "other settings": ({"inputs": {"evaluation": {"sequences": 9}}}, lambda *_: None),
    "damaged": ({}, lambda mine, _: flip_last_byte(mine)),
    "another text's": ({}, lambda mine, other: shutil.copy(other, mine)),
    "another cell's": ({}, lambda mine, _: shutil.copy(Path(str(mine).replace("mask-de", "mask-zh")), mine)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_waits_is_not_taken_for_what_it_is_not(
    name: str, model: Path, cells: list[Path], tmp_path: Path, passes: list[list[str]]
) -> None:
    changes, damage = CHANGES[name]
    undisturbed = dump(model, cells, tmp_path / "undisturbed", **changes)
    dump(model, cells, tmp_path)
    for path in dumps(cells, tmp_path):
        waiting(path).parent.mkdir(exist_ok=True)
        path.replace(waiting(path))
    damage(*map(waiting, dumps(cells, tmp_path)[:2]))
    passes.clear()
    assert dump(model, cells, tmp_path, **changes) == undisturbed
    assert passes == ([["mask-de", "mask-zh"]] * 2 if changes else [["mask-de"]])


def test_what_was_made_for_another_place_is_not_taken_over(
    model: Path, cells: list[Path], tmp_path: Path, passes: list[list[str]]
) -> None:
    """Such as of a model that was called otherwise: its readers would refuse it."""
    named_otherwise = Path(shutil.copy(cells[0], tmp_path / "mask-xx.safetensors"))
    dump(model, [named_otherwise], tmp_path)
    for path, other in zip(dumps(cells[:1], tmp_path), dumps([named_otherwise], tmp_path), strict=True):
        waiting(path).parent.mkdir(parents=True, exist_ok=True)
        other.replace(waiting(path))
    assert dump(model, cells[:1], tmp_path) == dump(model, cells[:1], tmp_path / "undisturbed")
    assert passes[2:4] == [["mask-de"]] * 2
