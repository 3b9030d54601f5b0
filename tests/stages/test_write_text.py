"""Text that a model writes: its beginnings, its amount, what is left out, what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tests.helpers.harness import model_folder
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from polyprune.artifacts.corpus import save_corpus
from polyprune.artifacts.tokens import load_tokens
from polyprune.corpora.demo.documents import demo_documents
from polyprune.corpora.windows import packed_windows, seeded_order
from polyprune.errors import UserError
from polyprune.model.source import write_manifest
from polyprune.model.tokenizer import ModelTokenizer, open_tokenizer
from polyprune.settings.models import SelfWritten
from polyprune.stages.build_calibration_set import build_calibration_set
from polyprune.stages.write_text import _Writer, write_text

LENGTH = 24
HOW = SelfWritten(prefix_tokens=5, dropped=0.25)
TEXT: dict[str, Any] = {"n_sequences": 4, "sequence_length": LENGTH}
FRAMING = {"framing": "documents", "bos": "model", "separator": "model"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model, and documents in two languages."""
    root = tmp_path_factory.mktemp("work")
    write_manifest(root / "model.json", {"kind": "train"}, model_folder(root / "checkpoint", "llama"), {})
    for language in ("de", "sw"):
        texts = list(demo_documents(language, "texts", 80))
        save_corpus(root / f"{language}.parquet", {"calibration": texts}, {"language": language})
    return root


def written(root: Path, output: Path, calibration: str, **changes: Any) -> list[dict[str, Any]]:
    corpus = [root / f"{language}.parquet" for language in ("de", "sw") if language in calibration]
    values: dict[str, Any] = (
        TEXT | FRAMING | {"self_written": HOW, "seed": 3, "provenance": {"calibration": calibration, "seed": 3}}
    )
    write_text(
        root / "model.json", corpus, calibration, output=output, device=torch.device("cpu"), **(values | changes)
    )
    return pq.read_table(output).to_pylist()


def test_texts_begin_as_the_documents_do_in_their_order_and_the_least_likely_are_left_out(root: Path, tmp_path: Path):
    rows = written(root, tmp_path / "text.parquet", "de-sw+self")
    tokenizer = open_tokenizer(root / "checkpoint")
    for language in ("de", "sw"):
        of_term = [row for row in rows if row["term"] == language]
        documents = list(demo_documents(language, "texts", 80))
        assert [row["document"] for row in of_term] == seeded_order(80, f"{language}/3")[: len(of_term)]
        for row in of_term:
            ids = tokenizer.plain.encode(documents[row["document"]], add_special_tokens=False).ids[:5]
            assert row["text"].startswith(row["prefix"]) and row["prefix"] == tokenizer.plain.decode(ids)
            assert row["tokens"] <= LENGTH - 5 - 1, "with the token before it, a sequence at most"
        out = [row for row in of_term if not row["kept"]]
        assert len(out) == len(of_term) // 4
        assert min(row["surprise"] for row in out) >= max(row["surprise"] for row in of_term if row["kept"])
    again = written(root, tmp_path / "again.parquet", "de-sw+self")
    assert again == rows and written(root, tmp_path / "other.parquet", "de-sw+self", seed=4) != rows


def test_the_shard_is_what_was_kept_packed_and_a_larger_one_begins_with_the_same_texts(root: Path, tmp_path: Path):
    rows = written(root, tmp_path / "text.parquet", "de+self")
    values = {"sampling": "packed", "others": {}, "provenance": {}, **TEXT, **FRAMING}
    build_calibration_set(
        root / "model.json", [], [tmp_path / "text.parquet"], "de+self", 3, output=tmp_path / "tokens", **values
    )
    tokenizer = open_tokenizer(root / "checkpoint")
    kept = [row["text"] for row in rows if row["kept"]]
    expected, _ = packed_windows(kept, tokenizer.plain, tokenizer.frame(), LENGTH, 4, "")
    assert np.array_equal(load_tokens(tmp_path / "tokens").tokens, expected)
    larger = written(root, tmp_path / "larger.parquet", "de+n40+self", n_sequences=40)
    texts = [row["text"] for row in rows]
    assert len(larger) > len(rows) and [row["text"] for row in larger[: len(rows)]] == texts
    with pytest.raises(UserError, match="has seed 3, expected 4"):
        build_calibration_set(
            root / "model.json", [], [tmp_path / "text.parquet"], "de+self", 4, output=tmp_path / "t", **values
        )


def test_a_tokenizer_without_an_end_ends_nothing_not_even_at_the_word_none(tmp_path: Path):
    words = Tokenizer(models.WordLevel({"<unk>": 0, "None": 1, "end": 2}, unk_token="<unk>"))
    (tmp_path / "config.json").write_text("{}")
    for eos, ends in ((None, set()), ("end", {2})):
        fast = PreTrainedTokenizerFast(tokenizer_object=words, eos_token=eos)
        writer = _Writer(None, ModelTokenizer(tmp_path, fast, words, 3), None, HOW, LENGTH)  # type: ignore[arg-type]
        assert writer.sampling.end_tokens == ends


def test_too_few_documents_are_refused_with_numbers(root: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"80 documents are begun, and what is kept makes [\d,]+ tokens; 24,000 are"):
        written(root, tmp_path / "text.parquet", "de+n1000+self", n_sequences=1000)
