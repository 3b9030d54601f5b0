"""Documents from the hub's data sets, without a network: files are read as they would be."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from tests.helpers.hub import NOW, WEB, refuse, serve_data_set, web_corpus

from polyprune.corpora import from_hub
from polyprune.errors import UserError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file lies in the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("n", "expected"), [(1, ["eins"]), (3, ["eins", "zwei", "drei"]), (9, ["eins", "zwei", "drei", "vier"])]
)
def test_documents_are_the_first_that_are_not_blank_in_file_order(
    n: int, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    serve_data_set(tmp_path, WEB, monkeypatch)
    assert from_hub.stream_documents("org/web", NOW, "m/c4-de.tfrecord-*.json.gz", "text", n) == expected


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
    serve_data_set(tmp_path, WEB, monkeypatch)
    with pytest.raises(UserError) as refused:
        from_hub.stream_documents("org/web", NOW, pattern, field, 2)
    assert str(refused.value) == message


def test_an_unreachable_hub_is_explained_for_data_sets_too(monkeypatch: pytest.MonkeyPatch):
    refuse(monkeypatch, httpx2.ConnectError("no route"))
    with pytest.raises(UserError, match="dataset org/web is not in this machine's cache and the hub is off"):
        from_hub.split_documents(web_corpus(), "de")
