"""Fetching pins every data set and writes a folder in the hub's layout; without network it says what to do."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import httpx

from polyprune import hub
from polyprune.artifacts.benchmark_data import load_manifest
from polyprune.errors import UserError
from polyprune.stages.fetch_benchmark import fetch_benchmark

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lock file would be."""
    monkeypatch.chdir(tmp_path)


def test_data_sets_are_fetched_at_the_locked_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "revisions.lock").write_text(f'{{"datasets": {{"facebook/belebele": "{COMMIT}"}}}}')
    asked: list[Any] = []

    def snapshot_download(name: str, *, repo_type: str, revision: str, local_dir: Path) -> None:
        asked.append((name, repo_type, revision))
        local_dir.mkdir(parents=True)
        (local_dir / "README.md").write_text("---\n---\n")

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    output = tmp_path / "results" / "benchmarks" / "hub" / "belebele.json"
    output.parent.mkdir(parents=True)
    fetch_benchmark(["facebook/belebele"], None, output, {})
    assert asked == [("facebook/belebele", "dataset", COMMIT)]
    found = load_manifest(output)
    assert found.revisions == {"facebook/belebele": COMMIT}
    assert (found.folder / "facebook/belebele/README.md").is_file()


def test_mkqa_comes_from_its_authors_at_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(b"{}\n")

    def serve(request: httpx.Request) -> httpx.Response:
        assert str(request.url).endswith(f"/apple/ml-mkqa/{COMMIT}/dataset/mkqa.jsonl.gz")
        return httpx.Response(200, content=content)

    client = httpx.Client(transport=httpx.MockTransport(serve))
    monkeypatch.setattr(httpx, "stream", client.stream)
    fetch_benchmark(["apple/ml-mkqa"], COMMIT, tmp_path / "mkqa.json", {})
    assert load_manifest(tmp_path / "mkqa.json").revisions == {"apple/ml-mkqa": COMMIT}
    assert (tmp_path / "mkqa/apple/ml-mkqa/mkqa.jsonl.gz").read_bytes() == content


def test_a_refused_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(404)))
    monkeypatch.setattr(httpx, "stream", client.stream)
    with pytest.raises(UserError, match=r"mkqa\.jsonl\.gz could not be fetched .*evaluation\.data_root"):
        fetch_benchmark(["apple/ml-mkqa"], COMMIT, tmp_path / "mkqa.json", {})
    assert not list(tmp_path.rglob("*.gz*"))
