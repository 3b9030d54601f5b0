"""Calibration text that the dense model writes itself, from beginnings of documents of each term's corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.corpus import load_documents
from polyprune.artifacts.self_written import save_written
from polyprune.artifacts.tokens import Frame
from polyprune.corpora.windows import framed_length, seeded_order
from polyprune.errors import UserError
from polyprune.evaluation.scoring import Weights
from polyprune.evaluation.writing import Sampling, write
from polyprune.grammar.calibrations import parse_calibration
from polyprune.log import Progress, logger
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder
from polyprune.model.source import locate, read_manifest
from polyprune.model.tokenizer import ModelTokenizer, open_tokenizer
from polyprune.provenance import file_digest
from polyprune.settings.models import SelfWritten

_AT_ONCE = 16
"""Texts that are written side by side; fixed, for sums of floats may depend on it."""


def write_text(
    model: Path,
    corpus: list[Path],
    calibration: str,
    seed: int,
    n_sequences: int,
    sequence_length: int,
    framing: str,
    bos: str,
    separator: str,
    self_written: SelfWritten,
    output: Path,
    device: torch.device,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/self_written.py`): of each term as many texts as fill its share of the sequences.

    Documents are begun in the order in which packed text takes them; each text is at most a sequence long.

    Raises:
        UserError: the corpus has too few documents to begin with.
    """
    folder, asked = locate(model), parse_calibration(calibration)
    tokenizer = open_tokenizer(folder)
    if reason := asked.why_not_of(n_sequences):
        raise UserError(f"calibration {calibration}: {reason}; raise `calibration_sequences`, now {n_sequences}")
    frame, around = tokenizer.framing(framing, bos, separator)
    weights = Weights(Decoder(open_model(model), device), None)
    rows: list[dict[str, Any]] = []
    for term, count, file in zip(asked.terms, asked.sequences_of(n_sequences), corpus, strict=True):
        documents = load_documents(file, "calibration", {"language": term.language})
        writer = _Writer(weights, tokenizer, frame, self_written, sequence_length)
        found = writer.enough(documents, f"{term.language}/{seed}", count * sequence_length, f"text {file}")
        kept = sum(row["kept"] for row in found)
        logger.info("%s: %d texts, %d kept", term.name, len(found), kept)
        rows += [{"term": term.name, **row} for row in found]
    about = {"model_digest": read_manifest(model)["digest"], "tokenizer_digest": file_digest(folder / "tokenizer.json")}
    save_written(output, rows, provenance | around | about)


class _Writer:
    """Texts of one term."""

    def __init__(
        self, weights: Weights, tokenizer: ModelTokenizer, frame: Frame | None, how: SelfWritten, length: int
    ) -> None:
        self.weights, self.tokenizer, self.frame, self.how, self.length = weights, tokenizer, frame, how, length
        begin, end = tokenizer.frame()
        self.begin = [] if begin is None else [begin]
        stop: Any = tokenizer.fast.eos_token_id
        ends = frozenset(id for id in (end, stop, frame[1] if frame else None) if id is not None)
        most = max(1, length - how.prefix_tokens - len(self.begin))
        self.sampling = Sampling(how.temperature, how.top_p, most, ends)

    def enough(self, documents: list[str], draw: str, n_tokens: int, name: str) -> list[dict[str, Any]]:
        """Texts until those that are kept make `n_tokens`, in their frame."""
        found: list[dict[str, Any]] = []
        progress = Progress(n_tokens, "token")
        for rows in self._batches(documents, draw):
            found += rows
            self._choose(found)
            made = sum(row["length"] for row in found if row["kept"])
            progress.report(min(made, n_tokens), f"{len(found)} texts")
            if made >= n_tokens:
                return [{key: row[key] for key in row if key != "length"} for row in found]
        made = sum(row["length"] for row in found if row["kept"])
        raise UserError(
            f"{name}: {len(documents)} documents are begun, and what is kept makes {made:,} tokens; {n_tokens:,} are "
            "wanted: bring more documents, or ask for fewer sequences"
        )

    def _batches(self, documents: list[str], draw: str) -> Iterator[list[dict[str, Any]]]:
        order = seeded_order(len(documents), draw)
        for start in range(0, len(order), _AT_ONCE):
            places = order[start : start + _AT_ONCE]
            prefixes = [
                self.tokenizer.plain.encode(documents[place], add_special_tokens=False).ids[: self.how.prefix_tokens]
                for place in places
            ]
            prompts = [[*self.begin, *prefix] for prefix in prefixes]
            written = write(self.weights, prompts, [f"{draw}/{place}" for place in places], self.sampling)
            rows = []
            for place, prefix, each in zip(places, prefixes, written, strict=True):
                text = self.tokenizer.plain.decode([*prefix, *each.tokens], skip_special_tokens=True)
                rows.append(
                    {
                        "document": place,
                        "prefix": self.tokenizer.plain.decode(prefix, skip_special_tokens=True),
                        "text": text,
                        "tokens": len(each.tokens),
                        "surprise": each.surprise,
                        "length": framed_length(text, self.tokenizer.plain, self.frame),
                    }
                )
            yield rows

    def _choose(self, rows: list[dict[str, Any]]) -> None:
        """Say of each whether it is kept: not the least likely ones, and none without a token of the model's."""
        order = sorted(range(len(rows)), key=lambda index: (rows[index]["surprise"], index))
        kept = set(order[: len(rows) - int(len(rows) * self.how.dropped)])
        for index, row in enumerate(rows):
            row["kept"] = index in kept and row["tokens"] > 0
