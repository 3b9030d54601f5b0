"""What headers of files of measurements say, for tests that write such files by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyprune.artifacts.identity import DENSE_VARIANT

VARIANT_COLUMNS = ("method", "scheme", "calibration", "seed")


def measured(language: str, variant: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Attributes of a file of one variant (None: dense) on one text, as `model/variant.py` writes them."""
    columns = variant or DENSE_VARIANT
    return {
        **{name: columns[name] for name in VARIANT_COLUMNS},
        "model_digest": "0123456789abcdef",
        "tokenizer_digest": "tokenizer",
        "data_digest": f"text-{language}",
        "language": language,
        "corpus": "demo",
        "provenance": {"cell": {"code": "c"} if columns["method"] != "dense" else None},
    }


def scored(variant: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Header of a file of scores or measurements of one variant."""
    return {"variant": dict(variant), "sources": {"model": "0123456789abcdef"}, "cell": None, **changes}
