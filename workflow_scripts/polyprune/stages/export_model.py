"""Write a compressed model as a plain Hugging Face folder, which anything that loads the dense model loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.exports import RECORD, save_export_record
from polyprune.artifacts.scores import SCHEMA
from polyprune.artifacts.tables import open_table
from polyprune.log import logger
from polyprune.model.cells import open_cell
from polyprune.model.checkpoint import open_model
from polyprune.model.export import export_weights
from polyprune.model.export_experts import remaining
from polyprune.model.packed_export import export_packed
from polyprune.model.prompting import locate_prompting
from polyprune.model.source import read_manifest
from polyprune.report.card import model_card

BESIDE_THE_WEIGHTS = (".json", ".txt", ".model", ".jinja")
"""Small files of a model folder that a loader may want: configuration, tokenizer, chat template, licence."""


def export_model(
    model: Path,
    prompting: Path,
    cell: Path,
    scores: list[Path],
    output: Path,
    title: str,
    source: dict[str, Any],
    layout: str | None,
    provenance: dict[str, Any],
) -> None:
    """Fill the folder of `output`, its config.json, which appears last, with a record of all files (see
    `artifacts/exports.py`); `source` is the model's in config.yaml.

    `layout` packs codes for other programs (`model/packed_export.py`), None is plain weights. `scores` are the cell's
    and its dense model's perplexity, for the card.
    """
    reader, said = open_cell(cell, model), read_manifest(model)["source"]
    locate_prompting(prompting, model)
    checkpoint, folder = open_model(model), output.parent
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    packed = None
    if layout is None:
        export_weights(checkpoint, reader, folder)
    else:
        packed = export_packed(checkpoint, reader, layout, folder)
    for file in sorted(checkpoint.folder.iterdir()):
        wanted = file.suffix in BESIDE_THE_WEIGHTS or file.name.startswith(("LICENSE", "USE_POLICY"))
        if file.is_file() and wanted and file.name not in (output.name, RECORD) and not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)
    about = {**source, **{name: said.get(name) for name in ("quantised", "revision")}}
    card = model_card(reader.metadata, title, about, layout, [_perplexities(file) for file in scores])
    (folder / "README.md").write_text(card, encoding="utf-8")
    with atomic_write(output) as part:
        config = remaining(checkpoint, reader).in_config(checkpoint.config_as_used)
        config |= {"quantization_config": packed} if packed else {}
        part.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        save_export_record(folder, {"cell": reader.job, "export": provenance}, part)
    size = sum(file.stat().st_size for file in folder.iterdir())
    logger.info("%d files, %.2f GB, in %s", len(list(folder.iterdir())), size / 1e9, folder)


def _perplexities(scores: Path) -> dict[str, float]:
    """By evaluation language."""
    with open_table(scores, SCHEMA) as file:
        rows = file.read().to_pylist()
    return {row["eval_language"]: row["value"] for row in rows if row["metric"] == "perplexity"}
