"""Typed settings: what `config.yaml` may say. Read once, at parse time; refused within a second when wrong.

Unknown keys and bad values are all reported together, each with its file, line and valid choices (`explain`).
The types are the documentation: `config.schema.json` is generated from them for editors.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from polyprune.errors import UserError
from polyprune.settings.config import Settings
from polyprune.settings.consistency import (
    inconsistencies,
)
from polyprune.settings.problems import Problem, explain, readable
from polyprune.settings.yaml_lines import read_yaml_lines


def load_settings(config: Mapping[str, Any], files: Sequence[Path] = ()) -> Settings:
    """Validate the merged configuration.

    `files` are the YAML files it was merged from, later ones win: only used to name lines.

    Raises:
        UserError: everything that is wrong, one line each: file:line: key: what is wrong and what is valid.
    """
    try:
        settings = Settings.model_validate(config)
    except ValidationError as error:
        problems = [readable(item, config) for item in error.errors()]
        problems += _inconsistencies_of_the_rest(config)
    else:
        problems = list(inconsistencies(settings))
        if not problems:
            return settings
    raise UserError(explain(problems, [read_yaml_lines(file) for file in files], "config"))


def _inconsistencies_of_the_rest(config: Mapping[str, Any]) -> list[Problem]:
    """Inconsistencies among what is valid by itself: all problems in one round, whatever their kind.

    What the types refuse is taken out, and whatever then lacks a part, until the rest is valid; complaints about names
    that were taken out are left out.
    """
    rest, gone = copy.deepcopy(dict(config)), set[str]()
    while True:
        try:
            return [
                (place, message)
                for place, message in inconsistencies(Settings.model_validate(rest))
                if not any(repr(name) in message for name in gone)
            ]
        except ValidationError as error:
            places = [readable(item, rest)[0] for item in error.errors()]
        present = {place if _has(rest, place) else place[:-1] for place in places}
        if () in present:
            return []
        for *inside, last in sorted(present, key=lambda place: tuple(map(str, place)), reverse=True):
            if _has(rest, (*inside, last)):
                del _at(rest, inside)[last]
                gone.add(str(last))


def _at(config: Any, place: Sequence[str | int]) -> Any:
    return reduce(getitem, place, config)


def _has(config: Any, place: Sequence[str | int]) -> bool:
    try:
        _at(config, place)
    except (KeyError, IndexError, TypeError):
        return False
    return True
