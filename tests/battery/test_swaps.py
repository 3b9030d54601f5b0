"""A file in the place of another: refused by whoever reads it, though it is whole and of the right kind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.helpers.artifacts import CELL, READERS, SEED0, make_results, save_cell, save_counts, save_dump
from tests.helpers.battery import Cases

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.identity import of_variant
from polyprune.artifacts.tokens import load_tokens
from polyprune.artifacts.verify import complaint
from polyprune.errors import UserError


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("battery") / "results"
    make_results(root)
    return root


Judge = Callable[[str], Cases]
MOVED = {
    "de.parquet": "sw.parquet",
    "tiny": "small",
    "demo": "web",
    "asked": "other",
    "seed0": "seed1",
    "/de/": "/en/",
    "0.50": "0.20",
    "wanda": "ria",
    "arc": "mmlu",
    "masks": "others",
    "table1": "table2",
    "figure1": "figure2",
}
"""What of a place is changed, to what."""
SWAPS = [(place, old, new) for place in READERS for old, new in MOVED.items() if old in place]


@pytest.mark.parametrize(("place", "old", "new"), SWAPS, ids=str)
def test_a_file_in_anothers_place_is_refused(cases: Judge, results: Path, place: str, old: str, new: str):
    """Of another language, model, corpus, prompts, seed, calibration, scheme, method, benchmark, table or figure."""
    source, target = results / place, results / place.replace(old, new)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    refused = cases("files in another's place").judge((place, new), lambda: READERS[place](target))
    for said in (refused, complaint(target, results)):
        assert said and said.startswith(
            f"{target} was made as {place} and lies in another's place; delete it and make it again"
        )
        assert said.endswith(f"snakemake --profile local results/{place.replace(old, new)}")
    target.unlink()


@pytest.mark.parametrize("place", READERS)
def test_a_file_of_another_kind_is_refused(cases: Judge, results: Path, place: str):
    judge = cases("files of another kind")
    others = [other for other in READERS if Path(other).suffix == Path(place).suffix and other != place]
    whole = (results / place).read_bytes()
    for other in others:
        shutil.copy(results / other, results / place)
        said = judge.judge((place, other), lambda: READERS[place](results / place))
        assert said and ("is of kind" in said or "lies in another's place" in said)
    (results / place).write_bytes(whole)
    READERS[place](results / place)


def test_a_moved_results_folder_is_still_right(results: Path, tmp_path: Path):
    """Places are counted from the folder, wherever it lies and through whichever link."""
    shutil.copytree(results, tmp_path / "elsewhere" / "results")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "results").symlink_to(tmp_path / "elsewhere" / "results")
    for root in (tmp_path / "elsewhere" / "results", tmp_path / "checkout" / "results"):
        for place, read in READERS.items():
            read(root / place)
    shutil.copytree(results, tmp_path / "copy")
    assert [complaint(tmp_path / "copy" / place, tmp_path / "copy") for place in READERS] == [None] * len(READERS)


@pytest.mark.parametrize(("name", "value"), [("method", "ria"), ("scheme", "0.20"), ("calibration", "en"), ("seed", 3)])
def test_a_cell_that_its_header_calls_another_is_refused(tmp_path: Path, name: str, value: object):
    """In the right place: made by a checkout with other settings, or put there by hand with its header."""
    path = tmp_path / "results" / SEED0 / "mask.safetensors"
    save_cell(path, "wanda", "0.50")
    wanted = {**of_variant(CELL), "calibration": None, name: value}
    with pytest.raises(UserError, match=rf"mask\.safetensors \(cell/2\) has {name} .*, expected {value}; delete it"):
        CellReader(path, wanted)


def test_a_dump_of_another_text_method_or_model_is_refused(cases: Judge, results: Path):
    judge = cases("dumps of another text, method or model")
    for place, save in (
        (f"{SEED0}/hidden_states/demo/de.h5", lambda path, **about: save_dump(path, prompts=False, **about)),
        (f"{SEED0}/hidden_states/asked/de.h5", lambda path, **about: save_dump(path, prompts=True, **about)),
        (f"{SEED0}/activations/demo/de.h5", save_counts),
    ):
        whole = (results / place).read_bytes()
        for about in ({"language": "en"}, {"method": "ria"}, {"model_digest": "n"}, {"data_digest": "other"}):
            save(results / place, **about)
            ((name, value),) = about.items()
            judge.judge((place, name), lambda at=place: READERS[at](results / at), says=(f"has {name} {value}, exp",))
        (results / place).write_bytes(whole)


def test_text_for_another_version_of_the_model_is_refused(results: Path):
    with pytest.raises(UserError, match=r"tokens\.safetensors \(tokens/3\) has model_digest m, expected n; delete it"):
        load_tokens(results / "tiny/calibration/de/seed0/tokens.safetensors", {"model_digest": "n"})


def test_a_file_that_cannot_be_read_is_not_called_damaged(results: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing says that its content is wrong: no advice to delete it."""

    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuses)
    for place, read in READERS.items():
        with pytest.raises(UserError) as refused:
            read(results / place)
        assert "cannot be read at present (Permission denied)" in str(refused.value)
        assert "delete" not in str(refused.value)


def test_missing_files_are_named(cases: Judge, tmp_path: Path):
    judge = cases("missing files")
    for place, read in READERS.items():
        said = judge.judge(place, lambda at=place, read=read: read(tmp_path / at))
        assert said and said.endswith(f"{os.path.basename(place)} does not exist")  # noqa: PTH119


def test_a_folder_in_a_files_place_and_a_file_in_a_folders_are_named(cases: Judge, tmp_path: Path):
    """Not as damage, nor as the disk's fault."""
    judge = cases("folders and files")
    for number, (place, read) in enumerate(READERS.items()):
        folder, file = tmp_path / "folders" / place, tmp_path / f"files{number}" / place
        folder.mkdir(parents=True)
        file.parent.parent.mkdir(parents=True, exist_ok=True)
        file.parent.touch()
        said = judge.judge(place, lambda at=folder, read=read: read(at))
        assert said == f"{folder} is a folder and should be a file: move it away, then {folder} can be made"
        said = judge.judge(place, lambda at=file, read=read: read(at))
        assert said == f"{file.parent} is a file and should be a folder: move it away, then {file} can be made"
