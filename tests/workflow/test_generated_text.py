"""Generated text that cannot be enough for the sequences asked for is refused when a run is planned."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.outside import look_outside

from polyprune.corpora.demo import demo_documents
from polyprune.grammar.languages import DEMO_LANGUAGES
from polyprune.workflow.outside import LONGEST_DOCUMENT

CONFIG = """\
corpora:
  made: {{kind: demo, languages: [de], documents: {{calibration: 9, evaluation: 8}}}}
models:
  mine:
    title: Mine
    source: {{kind: folder, path: mine}}
    shape: {{layers: 2, hidden: 8, intermediate: 8, heads: 2, kv_heads: 2, vocabulary: 16, max_positions: 64}}
    text: {{corpus: made, sequence_length: 50, calibration_sequences: {n}, evaluation_sequences: 2, sampling: packed}}
studies: {{}}
"""
DE = {"corpus": "made", "language": "de"}


def test_too_little_generated_text_is_refused_before_it_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte is two tokens at most, and nine documents are of fewer than nine thousand."""
    monkeypatch.chdir(tmp_path)
    assert look_outside("documents", DE, CONFIG.format(n=360), True) == (set(), [])
    with pytest.raises(SystemExit) as refused:
        look_outside("documents", DE, CONFIG.format(n=361), True)
    assert str(refused.value).endswith(
        "361 sequences of 50 tokens are wanted, and all text in de is 9,000 bytes (at most, in 9 generated documents); "
        "bring more text, or ask for fewer or shorter ones"
    )


def test_no_generated_document_is_longer_than_is_reckoned() -> None:
    longest = max(len(each.encode()) for code in DEMO_LANGUAGES for each in demo_documents(code, "any", 300))
    assert 1.5 * longest < LONGEST_DOCUMENT
