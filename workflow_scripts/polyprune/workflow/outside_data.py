"""Text and data outside of `results/`, compared with what was made of them when a run is planned (`outside.py`).

Each function yields a sentence a thing that is no longer as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from polyprune.corpora.outside_files import content_digest
from polyprune.settings.sizes import read_lock
from polyprune.workflow.outside_models import changes_of_commit, registration


def changes_of_files(files: Sequence[Path], output: Path) -> Iterator[str]:
    """Of the user's files of text or prompts, which `output` is made of."""
    from polyprune.artifacts.any_kind import read_any_header

    if registered := registration(read_any_header, output):
        now, before = content_digest(files), registered.get("revision")
        if now != before:
            yield f"{', '.join(map(str, files))} has digest {now}, registered was {before}"


def changes_of_fetched(dataset: str, output: Path) -> Iterator[str]:
    """Of text or prompts of the hub: another commit. Of their table, which may be large, only the header is read."""
    if not output.exists() or dataset not in read_lock().get("datasets", {}):
        return
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    from polyprune.artifacts.tables import header_of

    with suppress(OSError, ArrowInvalid), ParquetFile(output) as file:  # what is damaged, jobs say that read it
        yield from changes_of_commit("dataset", dataset, header_of(file)["revision"])
