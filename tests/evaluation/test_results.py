"""What is kept of an answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from polyprune.evaluation.results import _items
from polyprune.provenance import digest


def sample(doc_id: int, **doc: Any) -> dict[str, Any]:
    about = {"doc_id": doc_id, "doc_hash": str(doc_id), "doc": doc}
    return about | {"em": 1, "f1": 1.0, "f1_ws": 0.5, "filtered_resps": ["yes"]}


def test_questions_on_one_passage_say_so():
    """Two on one passage, one on another, in the order of documents; others are on none."""
    samples = [sample(2, flores_passage="b"), sample(0, flores_passage="a"), sample(1, flores_passage="a"), sample(3)]
    found = [item["passage"] for item in _items(SimpleNamespace(OUTPUT_TYPE="generate_until"), samples)]
    assert found == [digest("a"), digest("a"), digest("b"), None]
