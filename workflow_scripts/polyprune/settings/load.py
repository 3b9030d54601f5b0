"""Typed settings: what the configuration may say. Read once, at parse time; refused within a second when wrong.

Unknown keys and bad values are all reported together, each with its file, line and valid choices (`explain`).
The types are the documentation: `config.schema.json` is generated from them for editors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from polyprune.errors import UserError
from polyprune.settings.config import Settings
from polyprune.settings.consistency import inconsistencies
from polyprune.settings.entries import read_entries
from polyprune.settings.problems import Problem, explain, readable
from polyprune.settings.yaml_lines import read_yaml_lines, repeated_keys

SHIPPED_FILES = ("config.yaml", "studies/demo.yaml")
"""What the Snakefile reads, in this order, before the files that --configfile names."""


def load_settings(config: Mapping[str, Any], files: Sequence[Path] = ()) -> Settings:
    """Validate the merged configuration.

    `files` are the YAML files it was merged from, later ones win: they have lines, and keys that stand twice.

    Raises:
        UserError: everything that is wrong, one line each: file:line: key: what is wrong and what is valid.
    """
    settings, problems = None, [problem for file in files for problem in _said_twice(file)]
    try:
        settings = Settings.model_validate(config)
    except ValidationError as error:
        problems += [readable(item, config, Settings) for item in error.errors()]
    if entries := read_entries(config):
        problems += inconsistencies(entries)
    if settings is None or problems:
        raise UserError(explain(problems, [read_yaml_lines(file) for file in files], "config"))
    return settings


def _said_twice(file: Path) -> list[Problem]:
    return [
        (place, f"stands twice in {file}, on lines {first} and {second}, and only the last would count; delete one")
        for place, first, second in repeated_keys(file)
    ]
