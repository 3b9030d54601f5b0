"""A benchmark of the user's: its manifest identifies the files, and what is missing is named."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from polyprune.artifacts.benchmark_data import load_manifest
from polyprune.errors import UserError
from polyprune.places import export_places, reference
from polyprune.stages.register_benchmark import register_benchmark

ROOT = reference("benchmarks")
DATASETS = ["allenai/ai2_arc", "alexandrainst/m_arc"]
FILES = {"README.md": b"---\n---\n", "de/test.jsonl": b'{"id": "1"}\n', "de/train.jsonl": b""}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two data sets in the layout of the hub."""
    for name in DATASETS:
        for file, content in FILES.items():
            path = tmp_path / "data" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content + name.encode())
    return tmp_path / "data"


def register(root: Path, datasets: list[str] = DATASETS) -> dict[str, str]:
    """The revisions that the manifest says."""
    output = root.parent / "results" / "arc.json"
    export_places({"benchmarks": str(root)})
    register_benchmark(datasets, ROOT, output, {"code": "abc"})
    return dict(load_manifest(output).revisions)


def digest_by_hand(folder: Path) -> str:
    """SHA-256 over names and the files' own SHA-256 in order, each after its length in eight bytes; 16 digits of it."""
    sha = hashlib.sha256()
    for name in sorted(FILES):
        for part in (name, hashlib.sha256((folder / name).read_bytes()).hexdigest()):
            sha.update(len(part).to_bytes(8, "little") + part.encode())
    return sha.hexdigest()[:16]


def test_the_manifest_leads_to_the_folder_and_identifies_each_data_set(root: Path):
    found = register(root)
    assert found == {name: digest_by_hand(root / name) for name in DATASETS}
    assert len(set(found.values())) == 2
    manifest = root.parent / "results" / "arc.json"
    content = json.loads(manifest.read_text())
    assert content.pop("seal").startswith("polyprune-seal:")
    who = {"schema": "benchmark/3", "place": "arc.json", "benchmark": "arc", "provenance": {"code": "abc"}}
    assert content == who | {"folder": "outside:benchmarks", "datasets": found, "digests": found}
    before = manifest.read_bytes()
    assert register(root) == found and manifest.read_bytes() == before


def test_a_home_folder_and_a_relative_path_lead_to_the_same_bytes(root: Path, monkeypatch: pytest.MonkeyPatch):
    """And so does the folder in another place."""
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.chdir(root.parent)
    written = set()
    for path in ("~/data", "data", "./x/../data", "moved"):
        if path == "moved":
            root.rename(path)
        export_places({"benchmarks": path})
        register_benchmark(DATASETS, ROOT, root.parent / "m.json", {})
        assert load_manifest(root.parent / "m.json").folder == (root.parent / "moved" if path == "moved" else root)
        written.add((root.parent / "m.json").read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize("change", ["content", "name", "another file", "a file less"])
def test_every_file_counts(change: str, root: Path):
    folder, before = root / DATASETS[0], register(root)
    match change:
        case "content":
            (folder / "de/test.jsonl").write_bytes(b'{"id": "2"}\n')
        case "name":
            (folder / "de/test.jsonl").rename(folder / "de/tests.jsonl")
        case "another file":
            (folder / "de/val.jsonl").touch()
        case _:
            (folder / "de/train.jsonl").unlink()
    after = register(root)
    assert after[DATASETS[0]] != before[DATASETS[0]] and after[DATASETS[1]] == before[DATASETS[1]]


def test_what_a_download_leaves_beside_the_files_does_not_count(root: Path):
    before = register(root)
    (root / DATASETS[0] / ".cache" / "huggingface").mkdir(parents=True)
    (root / DATASETS[0] / ".cache" / "huggingface" / "test.lock").touch()
    (root / DATASETS[0] / ".gitattributes").write_text("*.jsonl text")
    assert register(root) == before


def test_data_sets_of_other_languages_may_be_missing(root: Path):
    both = register(root)
    assert register(root, [*DATASETS, "facebook/belebele"]) == both
    shutil.rmtree(root / DATASETS[0])
    assert register(root) == {DATASETS[1]: both[DATASETS[1]]}


@pytest.mark.parametrize("is_there", [False, True])
def test_an_empty_data_set_or_a_folder_without_any_is_named_and_leaves_no_manifest(is_there: bool, root: Path):
    if is_there:
        (root / "facebook/belebele").mkdir(parents=True)
    with pytest.raises(UserError) as refused:
        register(root, ["facebook/belebele"])
    assert str(refused.value) == (
        f"{root / 'facebook/belebele'} does not exist or is empty; it should be a data set in the hub's layout"
        if is_there
        else f"{root} has none of the data sets facebook/belebele; it should have those of the study's languages, in "
        "the hub's layout (data/README.md)"
    )
    assert not (root.parent / "results").exists() or not list((root.parent / "results").iterdir())


def test_a_folder_that_is_gone_is_named(root: Path):
    register(root)
    root.rename(root.parent / "elsewhere")
    with pytest.raises(UserError, match=r"arc\.json names .*, which does not exist; delete it and make it again"):
        load_manifest(root.parent / "results" / "arc.json")
