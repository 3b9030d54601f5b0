"""What becomes of the documents of any source: one corpus file, with nothing held out in the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyprune.artifacts.corpus import save_corpus
from polyprune.errors import UserError
from polyprune.log import logger


def save_collected(
    language: str,
    splits: Mapping[str, Sequence[str]],
    source: Mapping[str, str],
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write `output` (see `artifacts/corpus.py`) from texts by split, and what is to be noted of their `source`.

    Texts of training and calibration that evaluation also has, word for word, are left out.

    Raises:
        UserError: nothing is left of one.
    """
    held_out = set(splits["evaluation"])
    kept = {split: list(documents) for split, documents in splits.items()}
    for split in ("train", "calibration"):
        documents = kept.get(split, [])
        kept[split] = [text for text in documents if text not in held_out]
        if dropped := len(documents) - len(kept[split]):
            logger.info("%s: %d of %d documents left out: evaluation has them too", split, dropped, len(documents))
        if documents and not kept[split]:
            raise UserError(
                f"{language}: all {len(documents)} documents of {split} stand in evaluation, too, word for word, and "
                "are left out; bring text that does not repeat itself"
            )
    counts = {split: len(documents) for split, documents in kept.items()}
    logger.info("%s: %s", language, ", ".join(f"{count} {split}" for split, count in counts.items()))
    save_corpus(output, kept, {**provenance, **source, "documents": counts})
