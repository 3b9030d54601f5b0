"""Data sets of the Hugging Face hub, each at one commit."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from itertools import islice
from typing import Any

from huggingface_hub import HfApi

from polyprune.artifacts.prompts import Prompt
from polyprune.corpora.prompts import prompts_of_rows
from polyprune.errors import UserError
from polyprune.hub import dataset_file, explained, resolve_revision
from polyprune.settings.text import HubCorpus, HubPrompts


def split_documents(corpus: HubCorpus, language: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Documents of calibration and evaluation; the data set and the commit they are from."""
    revision = resolve_revision("dataset", corpus.dataset, corpus.revision)
    code = corpus.codes.get(language, language)
    splits = {
        split: stream_documents(
            corpus.dataset, revision, getattr(corpus.files, split).format(language=code), corpus.field,
            getattr(corpus.documents, split),
        )
        for split in ("calibration", "evaluation")
    }  # fmt: skip
    return splits, {"dataset": corpus.dataset, "revision": revision}


def stream_documents(dataset: str, revision: str, pattern: str, field: str, n: int) -> list[str]:
    """The first `n` non-blank texts of a data set's JSON or parquet files that match `pattern`, in file order."""
    from datasets import load_dataset

    with explained("dataset", dataset):
        names = HfApi().list_repo_files(dataset, repo_type="dataset", revision=revision)
        files = sorted(fnmatch.filter(names, pattern))
        if not files:
            raise UserError(f"dataset {dataset} at {revision} has no file {pattern}")
        urls = [dataset_file(dataset, revision, file) for file in files]
        kind = "parquet" if files[0].endswith(".parquet") else "json"
        rows = load_dataset(kind, data_files={"documents": urls}, split="documents", streaming=True)
        texts = (_text_of(row, field, dataset) for row in rows)
        return list(islice((text for text in texts if text.strip()), n))


def _text_of(row: Mapping[str, Any], field: str, dataset: str) -> str:
    if not isinstance(row.get(field), str):
        raise UserError(f"dataset {dataset} has no text field {field!r}, it has: {', '.join(row)}; set `field`")
    return row[field]


def parallel_prompts(prompts: HubPrompts, language: str) -> tuple[list[Prompt], dict[str, str]]:
    """The prompts of a language; the data set and the commit they are from."""
    from datasets import load_dataset

    revision = resolve_revision("dataset", prompts.dataset, prompts.revision)
    file = prompts.file.format(language=prompts.codes[language])
    with explained("dataset", prompts.dataset):
        url = dataset_file(prompts.dataset, revision, file)
        rows = list(load_dataset("json", data_files={"prompts": [url]}, split="prompts", streaming=True))
    found = prompts_of_rows(rows, prompts.n_prompts, f"dataset {prompts.dataset}, {file}")
    return found, {"dataset": prompts.dataset, "revision": revision}
