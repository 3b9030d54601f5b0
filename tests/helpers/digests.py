"""Digests of code that tests edit."""

from __future__ import annotations

from polyprune import provenance


def clear_caches() -> None:
    cached = ("code_digest", "import_closure", "_imported_files", "_tree", "_module_file", "_essence")
    for name in cached:
        getattr(provenance, name).cache_clear()
