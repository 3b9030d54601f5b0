"""Digests of the code of stages, worked out once for each state of the package.

To work them out takes half a second: every file is parsed, to leave out what cannot matter. Each plan would take it
anew, and each job on a cluster, where Snakemake reads the rules again. They are remembered in the user's cache folder
with the digest of all the package's bytes, a file for each checkout.
"""

from __future__ import annotations

import atexit
import json
from functools import cache

from polyprune.artifacts.known_digests import memory_of, remember
from polyprune.provenance import PACKAGE, canonical_json, code_digest, digest, package_digest


def known_code_digest(stage: str, *plugins: str) -> str:
    """`provenance.code_digest`."""
    _, codes = _known()
    key = " ".join([stage, *plugins])
    if key not in codes:
        codes[key] = code_digest(stage, *plugins)
        _keep_at_exit()
    return codes[key]


@cache
def _known() -> tuple[str, dict[str, str]]:
    """The package's digest, and what is remembered of it as it is: nothing if the memory is of another, or damaged."""
    package, memory = package_digest(), memory_of(PACKAGE)
    try:
        known, seal, codes = json.loads(memory.read_bytes()) if memory else ("", "", {})
    except (OSError, ValueError):
        return package, {}
    return package, codes if (known, seal) == (package, digest(canonical_json(codes))) else {}


@cache
def _keep_at_exit() -> None:
    atexit.register(_keep)


def _keep() -> None:
    """Of a package that was edited meanwhile, nothing: what was parsed may be of before or after."""
    package, codes = _known()
    memory = memory_of(PACKAGE)
    if memory and package_digest() == package:
        remember(memory, canonical_json([package, digest(canonical_json(codes)), codes]))
