"""Documents and prompts from the hub's data sets, without a network: files are read as they would be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from tests.helpers.hub import NOW, answer, refuse

from polyprune import hub
from polyprune.artifacts.corpus import load_documents
from polyprune.artifacts.prompts import load_prompts
from polyprune.corpora import from_hub
from polyprune.errors import UserError
from polyprune.settings.text import HubCorpus, HubPrompts
from polyprune.stages.fetch_documents import fetch_documents
from polyprune.stages.fetch_prompts import fetch_prompts


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file lies in the working directory."""
    monkeypatch.chdir(tmp_path)


def data_set(folder: Path, files: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set's repository in `folder`, which the hub lists in no particular order."""
    root = folder / f"org/web@{NOW}"
    for name, rows in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(root / name, "wt", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    monkeypatch.setattr(HfApi, "list_repo_files", lambda *_, **__: [*reversed(list(files)), "README.md"])
    monkeypatch.setattr(hub, "DATASET_FILES", f"{folder}/")


TRAIN = {
    "m/c4-de.tfrecord-00000.json.gz": [{"text": text, "url": "a"} for text in ("eins", " \n", "zwei")],
    "m/c4-de.tfrecord-00001.json.gz": [{"text": "drei", "url": "d"}, {"text": "vier", "url": "e"}],
    "m/c4-de-validation.tfrecord-00000.json.gz": [{"text": "zwei", "url": "f"}, {"text": "fünf 语", "url": "g"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("n", "expected"), [(1, ["eins"]), (3, ["eins", "zwei", "drei"]), (9, ["eins", "zwei", "drei", "vier"])]
)
def test_documents_are_the_first_that_are_not_blank_in_file_order(
    n: int, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data_set(tmp_path, TRAIN, monkeypatch)
    assert from_hub.stream_documents("org/web", NOW, "m/c4-de.tfrecord-*.json.gz", "text", n) == expected


def corpus() -> HubCorpus:
    return HubCorpus.model_validate(
        {
            "kind": "hub",
            "languages": ["de"],
            "dataset": "org/web",
            "revision": NOW,
            "files": {
                "calibration": "m/c4-{language}.tfrecord-*.json.gz",
                "evaluation": "m/c4-{language}-validation.tfrecord-*.json.gz",
            },
            "documents": {"calibration": 3, "evaluation": 5},
        }
    )


def test_a_hub_corpus_is_collected_with_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data_set(tmp_path, TRAIN, monkeypatch)
    output = tmp_path / "de.parquet"
    fetch_documents(corpus(), "de", output, {"code": "abc"})
    assert load_documents(output, "evaluation") == ["zwei", "fünf 语"]
    assert load_documents(output, "calibration") == ["eins", "drei"]
    assert load_documents(output, "train") == []
    assert json.loads(pq.read_schema(output).metadata[b"polyprune"]) == {
        "code": "abc", "dataset": "org/web", "revision": NOW,
        "documents": {"calibration": 2, "evaluation": 2, "train": 0},
    }  # fmt: skip


def test_hub_prompts_are_fetched_at_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    row = {"link": "a", "question_number": 1, "flores_passage": "Am Fluss.", "question": "Wo?"}
    file = tmp_path / f"org/questions@{NOW}/data/deu_Latn.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row | {"question_number": n}) + "\n" for n in (2, 1)), encoding="utf-8")
    monkeypatch.setattr(hub, "DATASET_FILES", f"{tmp_path}/")
    answer(monkeypatch, NOW)
    prompts = HubPrompts(kind="hub", dataset="org/questions", revision=None, codes={"de": "deu_Latn"}, n_prompts=2)
    output = tmp_path / "de.parquet"
    fetch_prompts(prompts, "de", output, {"code": "abc"})
    assert [each.item for each in load_prompts(output)] == ["a#1", "a#2"]
    assert json.loads(pq.read_schema(output).metadata[b"polyprune"])["revision"] == NOW
    assert json.loads(Path("revisions.lock").read_text()) == {"datasets": {"org/questions": NOW}}


@pytest.mark.parametrize(
    ("pattern", "field", "message"),
    [
        ("m/c4-xx.*", "text", f"dataset org/web at {NOW} has no file m/c4-xx.*"),
        ("m/c4-de.*", "body", "dataset org/web has no text field 'body', it has: text, url; set `field`"),
    ],
)
def test_a_data_set_without_the_file_or_the_field_is_refused(
    pattern: str, field: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data_set(tmp_path, TRAIN, monkeypatch)
    with pytest.raises(UserError) as refused:
        from_hub.stream_documents("org/web", NOW, pattern, field, 2)
    assert str(refused.value) == message


def test_an_unreachable_hub_is_explained_for_data_sets_too(monkeypatch: pytest.MonkeyPatch):
    refuse(monkeypatch, httpx2.ConnectError("no route"))
    with pytest.raises(UserError, match="dataset org/web is not in this machine's cache and the hub is off"):
        from_hub.split_documents(corpus(), "de")
