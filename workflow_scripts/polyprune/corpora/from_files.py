"""Your own text: .txt (a document a line), .jsonl, .jsonl.gz and .parquet (a document a row)."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from polyprune.artifacts.prompts import Prompt
from polyprune.corpora.outside_files import SUFFIXES, matching_files, unchanged_while_read
from polyprune.corpora.prompts import prompts_of_rows
from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.places import path_at, paths_at
from polyprune.settings.text import FilesCorpus, FileShares, FilesPrompts


def split_documents(corpus: FilesCorpus, language: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The documents of a language in file order, cut into the splits by `shares`; what identifies the files.

    Raises:
        UserError: no file, an empty file, an unknown kind, bad UTF-8, NUL, bad JSON, a missing field, or an empty
            split; names file, line and counts.
    """
    named = corpus.files[language]
    patterns = [path for text in ([named] if isinstance(named, str) else named) for path in paths_at(text)]
    files = matching_files(patterns, language)
    with unchanged_while_read(files) as origin:
        documents = [document for file in files for document in read_documents(file, corpus.field)]
    names = ", ".join(map(str, files))
    logger.info("%s: %s", language, names)
    return cut_by_shares(documents, corpus.shares, f"{language} ({names})"), origin


def read_documents(file: Path, field: str) -> list[str]:
    """The non-blank documents of one file."""
    name = file.name
    if name.endswith(".txt"):
        with file.open("rb") as stream:
            documents = [line for _, line in _text_lines(stream, file)]
    elif name.endswith((".jsonl", ".jsonl.gz")):
        with gzip.open(file, "rb") if name.endswith(".gz") else file.open("rb") as stream:
            try:
                documents = [
                    _field_of(line, field, f"{file}:{number}")
                    for number, line in _text_lines(cast(BinaryIO, stream), file)
                ]
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise UserError(f"{file} is not a whole gzip file ({error}); fetch it again") from error
    elif name.endswith(".parquet"):
        documents = _parquet_column(file, field)
    else:
        raise UserError(f"{file}: text can be read from {', '.join(SUFFIXES)}; rename or convert it")
    kept = [document for document in documents if document.strip()]
    if not kept:
        raise UserError(f"{file} holds no text: {len(documents)} documents, all blank")
    return kept


def _text_lines(stream: BinaryIO, file: Path) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(stream, start=1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{file}:{number}: not UTF-8 (byte 0x{raw[error.start]:02x}, column {error.start + 1}); convert it"
            ) from error
        if "\0" in line:
            raise UserError(f"{file}:{number}: holds NUL, as UTF-16 and damaged files do; convert to UTF-8")
        if line.strip():
            yield number, line


def _field_of(line: str, field: str, place: str) -> str:
    record = _record_of(line, place)
    if not isinstance(record, dict) or field not in record:
        has = ", ".join(record) if isinstance(record, dict) else type(record).__name__
        raise UserError(f"{place}: no field {field!r}, the record has: {has}; set the corpus's `field`")
    if not isinstance(record[field], str):
        raise UserError(f"{place}: field {field!r} is {type(record[field]).__name__}, not text")
    if not record[field].isascii() and any("\ud800" <= char <= "\udfff" for char in record[field]):
        raise UserError(f"{place}: field {field!r} has half of a surrogate pair, which is no text; repair or drop it")
    return record[field]


def _record_of(line: str, place: str) -> Any:
    """What a line of JSON lines says; raises `UserError` for what Python cannot read, too."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: not JSON ({error.msg} at column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise UserError(f"{place}: JSON that cannot be read ({error}); drop the line") from error


def _parquet_column(file: Path, field: str) -> list[str]:
    try:
        names = pq.read_schema(file).names
        if field not in names:
            raise UserError(f"{file}: no column {field!r}, it has: {', '.join(names)}; set the corpus's `field`")
        column = pq.read_table(file, columns=[field])[field].to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file} cannot be read as parquet ({error})") from error
    for row, value in enumerate(column):
        if not isinstance(value, str):
            raise UserError(f"{file}: row {row}: column {field!r} is {type(value).__name__}, not text")
    return column


def cut_by_shares(documents: Sequence[str], shares: FileShares, name: str) -> dict[str, list[str]]:
    """Consecutive runs of documents: neighbours, which often continue each other, stay on one side."""
    n = len(documents)
    first, second = round(n * shares.train), round(n * (shares.train + shares.calibration))
    splits = {
        "train": list(documents[:first]),
        "calibration": list(documents[first:second]),
        "evaluation": list(documents[second:]),
    }
    for split, share in (("calibration", shares.calibration), ("evaluation", shares.evaluation)):
        if not splits[split]:
            raise UserError(f"{name}: {n} documents leave none for {split} (share {share:g}); bring more text")
    return splits


def parallel_prompts(prompts: FilesPrompts, language: str) -> tuple[list[Prompt], dict[str, str]]:
    """The prompts of a language's JSON lines; what identifies the file.

    Raises:
        UserError: no such file, no JSON, or another layout.
    """
    file = path_at(prompts.files[language])
    if not file.is_file():
        raise UserError(f"prompts file {file} {'is a folder' if file.is_dir() else 'does not exist'}; correct the path")
    with unchanged_while_read([file]) as origin:
        try:
            with file.open("rb") as stream:
                rows = [_record_of(line, f"{file}:{number}") for number, line in _text_lines(stream, file)]
        except OSError as error:
            raise UserError(f"{file} cannot be read as JSON lines ({error.strerror})") from error
        return prompts_of_rows(rows, prompts.n_prompts, str(file)), origin
