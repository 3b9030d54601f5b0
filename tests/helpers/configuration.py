"""A small correct configuration, edits of it, and what is said of a wrong one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from polyprune.errors import UserError
from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings

CORRECT = """\
corpora:
  web:
    kind: hub
    languages: [de, en]
    dataset: org/web
    files:
      calibration: "{language}/train-*.json.gz"
      evaluation: "{language}/validation-*.json.gz"
  mine:
    kind: files
    files:
      de: de.txt
      en: [en-1.txt, en-2.txt]
    shares: {train: 0.5, calibration: 0.25, evaluation: 0.25}
  made:
    kind: demo
    languages: [de, sw]
models:
  big:
    title: Big
    source: {kind: hub, id: org/big}
    shape: &shape
      layers: 2
      hidden: 64
      intermediate: 192
      heads: 4
      kv_heads: 2
      vocabulary: 512
      max_positions: 256
    text: &text
      corpus: web
      sequence_length: 256
      calibration_sequences: 8
      evaluation_sequences: 4
      sampling: packed
  tiny:
    title: Tiny
    source:
      kind: train
      architecture: llama
      vocabulary: 512
      outlier_languages: {sw: 0.01}
    shape: *shape
    text:
      <<: *text
      corpus: made
studies:
  first:
    grids:
      main:
        models: [big]
        methods: [wanda, sparsegpt]
        schemes: ["0.50", 2of4]
        calibrations: [de, de-en]
        seeds: [0, 1]
    tables:
      table1:
        title: First
        report: drift
        grids: [main]
"""


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """As Snakemake merges configuration files: mappings deeply, everything else replaced."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def load(files: list[Path]) -> Settings:
    config: dict[str, Any] = {}
    for file in files:
        config = merged(config, yaml.safe_load(file.read_text(encoding="utf-8")))
    return load_settings(config, files)


def complaints(*texts: str, folder: Path) -> list[str]:
    """The problems of configuration files, without the folder's name."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.yaml")
        files[-1].write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        load(files)
    count, *lines = str(refused.value).replace(f"{folder}/", "").split("\n  ")
    assert count == f"{len(lines)} problem{'s' if len(lines) > 1 else ''} in the configuration"
    return lines


def edited(*edits: tuple[str, str]) -> str:
    text = CORRECT
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def line_of(text: str, part: str) -> str:
    assert text.count(part) == 1, part
    return f"0.yaml:{text[: text.index(part)].count(chr(10)) + 1}"
