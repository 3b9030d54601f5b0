"""Stand-ins for the hub: it answers with a commit, or refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi

from polyprune import hub

NOW, LATER = "a" * 40, "b" * 40


def answer(monkeypatch: pytest.MonkeyPatch, sha: str | None) -> list[tuple[str, str]]:
    """Let the hub name `sha` as today's commit; the questions it is asked."""
    asked: list[tuple[str, str]] = []

    def repo_info(_self: HfApi, name: str, repo_type: str) -> SimpleNamespace:
        asked.append((repo_type, name))
        return SimpleNamespace(sha=sha)

    monkeypatch.setattr(HfApi, "repo_info", repo_info)
    return asked


def refuse(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def raise_error(*_: Any, **__: Any) -> None:
        raise error

    for method in ("repo_info", "list_repo_files"):
        monkeypatch.setattr(HfApi, method, raise_error)
    monkeypatch.setattr(hub, "snapshot_download", raise_error)
