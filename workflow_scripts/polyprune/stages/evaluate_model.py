"""One variant on one benchmark in every language: the harness's tasks, our language model."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.benchmark_data import load_manifest
from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.evaluations import is_finished, join_parts, save_part
from polyprune.artifacts.identity import calibration_texts, of_variant
from polyprune.evaluation.data_cache import data_cache
from polyprune.evaluation.language_model import SharedPrefixLM
from polyprune.evaluation.results import evaluate_column, require_asked
from polyprune.evaluation.scoring import Weights
from polyprune.evaluation.tasks import Prompting
from polyprune.grammar.columns import Asked, Column
from polyprune.log import logger
from polyprune.model.cells import open_cell
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder
from polyprune.model.prompting import locate_prompting, read_prompting
from polyprune.model.source import read_manifest
from polyprune.settings.engine import Engine
from polyprune.settings.scores import Mkqa


def evaluate_model(
    model: Path,
    prompting: Path,
    cell: list[Path],
    data: Path,
    benchmark: str,
    columns: list[Column],
    profile: str,
    mkqa: Mkqa | None,
    generation: str | None,
    variant: dict[str, Any],
    scores: Path,
    items: Path,
    device: torch.device,
    engine: Engine,
    asked: Asked | None,
    provenance: dict[str, Any],
) -> None:
    """Write `scores` and `items` (see `artifacts/evaluations.py`); finished languages stay beside until all are there.

    `cell` is the compressed weights, or empty for the dense model; `variant` holds the columns that name it. `mkqa` and
    `generation` are for that benchmark alone, `asked` for those of the configuration.
    """
    manifest, asked_by = read_manifest(model), read_prompting(prompting, model)["digest"]
    reader = open_cell(cell[0], model, of_variant(variant)) if cell else None
    found = load_manifest(data, {"benchmark": benchmark})
    revisions = {column.dataset: found.revision(column.dataset) for column in columns}
    provenance = provenance | {
        "model_digest": manifest["digest"],
        "variant": variant,
        "benchmark": benchmark,
        "prompting_digest": asked_by,
        "sources": {"model": manifest["digest"], **calibration_texts([reader.brief] if reader else [])}
        | {"templates and ends of answers": asked_by, "version of the harness": version("lm_eval")},
        "cell": None if reader is None else reader.brief,
        "data": revisions,
        **({} if asked is None else {"asked": asdict(asked)}),
        **{package: version(package) for package in ("lm_eval", "transformers", "datasets")},
    }
    parts = scores.with_name(scores.name + ".parts")
    missing = [column for column in columns if not is_finished(parts, column.name, provenance)]
    if len(missing) < len(columns):
        logger.info("%d of %d languages are finished from before", len(columns) - len(missing), len(columns))
    if missing:
        folder, asking = locate_prompting(prompting, model), mkqa or Mkqa()
        puts = Prompting(profile, asking.prompt, asking.max_new_tokens, 0 if asked is None else asked.fewshot)
        tables = data.parent / ".cache" / found.digest
        if asked is not None:
            with data_cache(tables) as cache:
                for column in missing:
                    require_asked(column, found.folder, cache, puts, asked)
        lm = _language_model(model, folder, reader, generation, device, engine.tokens_per_batch)
        facts = {
            "benchmark": benchmark,
            "profile": profile,
            "backend": generation or "own",
            "dtype": lm.weights.decoder.dtype_name,
            "harness": version("lm_eval"),
            "chat_template": lm.chat_template_digest,
            "unit": "1",
        }
        for column in missing:
            with data_cache(tables) as cache:
                rows, answers = evaluate_column(lm, benchmark, column, found.folder, cache, puts, asked)
            about = {"eval_language": column.name, "data_revision": revisions[column.dataset]}
            save_part(parts, column.name, [variant | facts | about | row for row in rows], answers, provenance)
            value = next(row for row in rows if row["headline"])
            logger.info(
                "%s: %s %.2f %% ± %.2f of %d questions",
                *(column.task, value["metric"], 100 * value["value"], 100 * value["stderr"], value["n"]),
            )
    join_parts(parts, [column.name for column in columns], scores, items, provenance)


def _language_model(
    model: Path,
    folder: Path,
    reader: CellReader | None,
    generation: str | None,
    device: torch.device,
    tokens_per_batch: int,
) -> SharedPrefixLM:
    """Generating by our own means, or by `evaluation/vllm_backend.py`, which is imported where it is chosen."""
    kind = SharedPrefixLM
    if generation == "vllm":
        kind = importlib.import_module("polyprune.evaluation.vllm_backend").VllmLM
    return kind(Weights(Decoder(open_model(model), device), reader), folder, tokens_per_batch)
