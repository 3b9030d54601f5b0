"""A model in the hub's cache: what happens to it there is seen by plans and jobs, and is repaired without a remake."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.helpers.battery import Cases, part_of
from tests.helpers.hub import NOW, fill_cache
from tests.helpers.model_folders import good_folder
from tests.helpers.small_study import SmallStudy, small_study

Judge = Callable[[str], Cases]
HUBBED = f"""\
corpora:
  little: {{kind: demo, languages: [de, sw], documents: {{train: 150, calibration: 60, evaluation: 40}}}}
models:
  hubbed:
    title: Of the hub
    source: {{kind: hub, id: org/name, revision: {NOW}}}
    shape: {{layers: 3, hidden: 32, intermediate: 48, heads: 4, kv_heads: 2, vocabulary: 340, max_positions: 64}}
    text: {{corpus: little, sequence_length: 32, calibration_sequences: 4, evaluation_sequences: 2, sampling: packed}}
studies: {{}}
"""
CELL, NEXT = (f"results/hubbed/{method}/0.50/de/seed0/mask.safetensors" for method in ("magnitude", "wanda"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStudy]:
    """With one cell; the hub is its cache."""
    folder = tmp_path_factory.mktemp("hub")
    fill_cache(folder / "cache", good_folder(folder / "model"))
    found = small_study(folder / "checkout", HF_HUB_CACHE=str(folder / "cache"), HF_HUB_OFFLINE="1")
    (found.folder / "small.yaml").write_text(HUBBED, encoding="utf-8")
    assert found.run(CELL) == 0, found.said()
    yield found


def turned(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("name", part_of(["model.safetensors", "tokenizer.json", "config.json"], 1))
def test_damage_in_the_cache_is_named_and_repaired(cases: Judge, study: SmallStudy, name: str) -> None:
    """By a dry run, by a run, and by a job that was planned before; nothing is made again once it is whole."""
    judge, before = cases("hub's cache"), study.contents()
    blob = (study.folder.parent / f"cache/models--org--name/snapshots/{NOW}" / name).resolve()
    whole = blob.read_bytes()
    blob.write_bytes(turned(whole))
    for words in (("-n",), ()):
        judge.judge((name, words), lambda words=words: study.run(NEXT, words=words), 1, sure=True)
        assert f"{name} is damaged in the hub's cache" in study.said() and f"rm {blob}" in study.said()
        assert "Traceback" not in study.said()
    assert study.contents() == before
    blob.write_bytes(whole)
    assert study.run(CELL, words=("-n",)) == 0 and "Nothing to be done" in study.said()


def test_a_file_of_the_cache_that_is_gone_stops_only_what_needs_it(cases: Judge, study: SmallStudy) -> None:
    blob = (study.folder.parent / f"cache/models--org--name/snapshots/{NOW}/model.safetensors").resolve()
    aside = blob.rename(blob.with_suffix(".aside"))
    judge = cases("hub's cache")
    assert study.run(CELL, words=("-n",)) == 0
    told, again = study.said(), f"fetch it again with hf download org/name --revision {NOW}"
    assert "Nothing to be done" in told and again in told and "what is finished stays" in told
    judge.judge("gone", lambda: study.run(NEXT), 1, sure=True)
    assert "Traceback" not in study.said() and again in study.said()
    aside.rename(blob)


def test_a_cache_at_another_place_is_the_same_model(cases: Judge, study: SmallStudy) -> None:
    there = study.folder.parent / "elsewhere"
    (study.folder.parent / "cache").rename(there)
    moved = SmallStudy(study.folder, {**study.environment, "HF_HUB_CACHE": str(there)})
    assert moved.run(CELL, words=("-n",)) == 0
    cases("hub's cache").judge("moved", lambda: "Nothing to be done" in moved.said(), True, sure=True)
    there.rename(study.folder.parent / "cache")
