"""Sentences of translation memories: fetched once, by digest, or from the user's copy; refusals say what to do."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import httpx2
import pyarrow.parquet as pq
import pytest

from polyprune import hub
from polyprune.artifacts.corpus import SPLITS, load_documents
from polyprune.errors import UserError
from polyprune.settings.text import TmxCorpus
from polyprune.stages.fetch_translations import fetch_translations

UNIT = """<tu tuid="{n}"><prop type="note">x</prop><tuv xml:lang="en"><seg> sentence {n} </seg></tuv>
<tuv xml:lang="es-LA"><seg>frase <hi>número</hi> {n} &amp; más</seg></tuv></tu>"""
MEMORY = "".join(["<tmx version='1.4'><body>", *(UNIT.format(n=n) for n in range(1, 6)), "</body></tmx>"])


def memory_in(folder: Path, name: str) -> bytes:
    """A zipped memory of five sentences, which is written to a folder; its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(name.removesuffix(".zip"), MEMORY)
    return (folder / name).read_bytes()


def corpus_of(content: bytes, folder: Path, code: str = "es-LA") -> TmxCorpus:
    file = {"name": "all.en-es.tmx.zip", "sha256": hashlib.sha256(content).hexdigest(), "code": code}
    return TmxCorpus.model_validate(
        {
            "kind": "tmx",
            "url": "https://example.org/commit/",
            "licence": "CC0-1.0",
            "folder": str(folder),
            "files": {"es": file},
            "shares": {"train": 0.2, "calibration": 0.4, "evaluation": 0.4},
        }
    )


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> list[str]:
    """Let the web answer with these bytes, or not at all; the addresses that it is asked for."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        if content is None:
            raise httpx2.ConnectError("no route to host", request=request)
        return httpx2.Response(200, content=content)

    monkeypatch.setattr(hub.httpx, "stream", httpx2.Client(transport=httpx2.MockTransport(answer)).stream)
    return asked


def test_sentences_are_fetched_once_and_noted_with_source_licence_and_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = memory_in(tmp_path / "there", "all.en-es.tmx.zip")
    asked = serve(monkeypatch, content)
    corpus, outputs = corpus_of(content, tmp_path / "here"), [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for output in outputs:
        fetch_translations(corpus, "es", output, {"code": "abc"})
    assert asked == ["https://example.org/commit/all.en-es.tmx.zip"]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    texts = {split: load_documents(outputs[0], split) for split in SPLITS}
    expected = [f"frase número {n} & más" for n in range(1, 6)]
    assert texts == {"train": expected[:1], "calibration": expected[1:3], "evaluation": expected[3:]}
    header = json.loads(pq.read_schema(outputs[0]).metadata[b"polyprune"])
    said = {"dataset": corpus.url, "licence": "CC0-1.0", "revision": hashlib.sha256(content).hexdigest()}
    assert said.items() <= header.items()


def test_a_copy_of_the_user_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = memory_in(tmp_path / "mine", "all.en-es.tmx.zip")
    asked = serve(monkeypatch, None)
    fetch_translations(corpus_of(content, tmp_path / "mine"), "es", tmp_path / "es.parquet", {})
    assert asked == [] and len(load_documents(tmp_path / "es.parquet", "evaluation")) == 2


def test_without_network_the_error_says_where_to_put_which_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, None)
    with pytest.raises(UserError) as refused:
        fetch_translations(corpus_of(b"", tmp_path / "here"), "es", tmp_path / "es.parquet", {})
    file = tmp_path / "here/all.en-es.tmx.zip"
    assert str(refused.value) == (
        "https://example.org/commit/all.en-es.tmx.zip could not be fetched (no route to host); "
        f"fetch it on a machine with network and put it at {file}"
    )
    assert not (tmp_path / "es.parquet").exists() and not file.exists()


def test_another_file_is_refused_by_its_digest(tmp_path: Path) -> None:
    memory_in(tmp_path, "all.en-es.tmx.zip")
    with pytest.raises(UserError, match=r"all\.en-es\.tmx\.zip has SHA-256 [0-9a-f]{64}, not e3b0c442.*delete it"):
        fetch_translations(corpus_of(b"", tmp_path), "es", tmp_path / "es.parquet", {})


def test_a_language_that_the_file_has_not_is_refused_with_those_it_has(tmp_path: Path) -> None:
    content = memory_in(tmp_path, "all.en-es.tmx.zip")
    with pytest.raises(UserError, match=r"has no text in 'es', it has: en, es-LA; correct `code`"):
        fetch_translations(corpus_of(content, tmp_path, code="es"), "es", tmp_path / "es.parquet", {})


@pytest.mark.parametrize("content", [b"no archive", b"PK\x05\x06" + bytes(18)], ids=["no zip", "empty zip"])
def test_what_is_no_memory_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "all.en-es.tmx.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"all\.en-es\.tmx\.zip cannot be read as TMX"):
        fetch_translations(corpus_of(content, tmp_path), "es", tmp_path / "es.parquet", {})
