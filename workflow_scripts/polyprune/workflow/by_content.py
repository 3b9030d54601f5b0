"""Large results that are newer than what was made from them, and yet the same: told by their seals.

Snakemake makes a job again whose input is newer than its output, unless the input's checksum is the one that it has
recorded; files of more than a megabyte (`--max-checksum-file-size`) have none. A study that was copied without its
times, as most copies are, would be made again from there on. A result has its digest in it (`artifacts/seals.py`),
which is read in no time however large the file is, and is the checksum of those that are too large for Snakemake.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from snakemake.io import _IOFile

from polyprune.artifacts.identity import RESULTS

_THEIRS: dict[str, Any] = {name: _IOFile.__dict__[name] for name in ("is_checksum_eligible", "checksum")}
File = Any
"""Snakemake's `_IOFile`."""


def compare_by_content() -> None:
    """Put what is below in the place of Snakemake's own."""
    theirs: Any = _IOFile
    theirs.is_checksum_eligible, theirs.checksum = _is_checksum_eligible, _checksum


async def _is_checksum_eligible(file: File, threshold: int) -> bool:
    return await _THEIRS["is_checksum_eligible"](file, threshold) or await _of_large(file, threshold) is not None


async def _checksum(file: File, threshold: int | None = None, force: bool = False, algorithm: Any = None) -> str | None:
    found = None if force or threshold is None else await _of_large(file, threshold)
    return found or await _THEIRS["checksum"](file, threshold, force, algorithm)


async def _of_large(file: File, threshold: int) -> str | None:
    """Of a result that Snakemake would not read; None of all others."""
    path = Path(file)
    if file.is_storage or path.parts[0] != RESULTS or not path.is_file() or await file.size() <= threshold:
        return None
    from polyprune.artifacts.any_kind import seal_of  # it brings h5py and pyarrow, for which few plans have a use

    seal = seal_of(path)
    return None if seal is None else f"sha256:{sha256(seal.encode()).hexdigest()}"
