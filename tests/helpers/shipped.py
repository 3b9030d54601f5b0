"""The configuration as it is shipped: what the Snakefile reads when nothing else is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from polyprune.settings.load import SHIPPED_FILES

ROOT = Path(__file__).parents[2]


def shipped_config() -> dict[str, Any]:
    """Merged as Snakemake merges it; the caller's own, sections that YAML shares too."""
    config: dict[str, Any] = {}
    for file in SHIPPED_FILES:
        update_config(config, yaml.safe_load((ROOT / file).read_text(encoding="utf-8")))
    return json.loads(json.dumps(config))
