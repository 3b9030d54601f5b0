"""Files of text and prompts that the user names: which they are, and what identifies them. Asked for when a run is
planned, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import escape, glob
from pathlib import Path

from polyprune.artifacts.known_digests import known_digest
from polyprune.errors import UserError
from polyprune.provenance import digest

SUFFIXES = (".txt", ".jsonl", ".jsonl.gz", ".parquet")
DATASET = "files"
"""What headers say of data that are neither generated nor from the hub; `revision` identifies them."""


def matching_files(patterns: Sequence[str], language: str) -> list[Path]:
    """Files of all patterns, each once, each pattern's matches in alphabetical order.

    What exists by its name is taken by its name: brackets in the name of a folder are no pattern.

    Raises:
        UserError: a pattern that nothing matches, or a folder.
    """
    files: list[Path] = []
    for pattern in patterns:
        names = glob(_with_names_as_they_are(Path(pattern).expanduser()), recursive=True)
        found = [Path(name) for name in sorted(names) if Path(name).is_file()]
        if not found and Path(pattern).expanduser().is_dir():
            raise UserError(
                f"corpus files for {language}: {pattern!r} is a folder; name the files in it: {Path(pattern) / '*.txt'}"
            )
        if not found:
            raise UserError(
                f"corpus files for {language}: nothing matches {pattern!r} (seen from {Path.cwd()}); correct the path"
            )
        files += [file for file in found if file not in files]
    return files


def _with_names_as_they_are(pattern: Path) -> str:
    """The pattern with its longest beginning that exists, as a file or folder, taken literally."""
    beginning = next(part for part in (pattern, *pattern.parents) if part.exists() or part == part.parent)
    return str(Path(escape(str(beginning))) / pattern.relative_to(beginning))


def content_digest(files: Sequence[Path]) -> str:
    """Identifies files, in this order, by kind and content: neither their names nor where they lie count."""
    kinds = (next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), "") for file in files)
    return digest(*(part for kind, file in zip(kinds, files, strict=True) for part in (kind, known_digest(file))))


@contextmanager
def unchanged_while_read(files: Sequence[Path]) -> Iterator[dict[str, str]]:
    """What a header says of data from these files; refuses files that change before the end of the block."""
    identity = content_digest(files)
    yield {"dataset": DATASET, "revision": identity}
    if content_digest(files) != identity:
        raise UserError(f"{', '.join(map(str, files))} changed while being read; run again when nobody writes there")
