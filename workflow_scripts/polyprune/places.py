"""Where things lie that are not results: folders of models, text, prompts and data of benchmarks that the user names.

A place decides no result: the same content elsewhere makes the same bytes. So specs and headers hold a reference,
`outside:models/mine`, and what it stands for on this machine reaches jobs in their environment:

    {"models/mine": "/data/mine", "corpora/own/de": ["text/*.txt"], "prompts/own/de": "de.jsonl", "benchmarks": "/data"}

Text that is no reference stands for itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from polyprune.errors import UserError

VARIABLE = "POLYPRUNE_PLACES"
_OUTSIDE = "outside:"


def reference(*names: str) -> str:
    """What stands in specs and headers for the place of the thing with these names."""
    return _OUTSIDE + "/".join(names)


def is_reference(text: str) -> bool:
    return text.startswith(_OUTSIDE)


def export_places(places: Mapping[str, str | list[str]]) -> None:
    """Set what `paths_at` reads of the environment, for this process and its jobs; keys lack the prefix."""
    os.environ[VARIABLE] = json.dumps(places)


def paths_at(text: str) -> list[str]:
    """The paths or patterns that a reference stands for.

    Raises:
        UserError: nobody has said where it is.
    """
    if not is_reference(text):
        return [text]
    name = text.removeprefix(_OUTSIDE)
    places = json.loads(os.environ.get(VARIABLE, "{}"))
    if name not in places:
        raise UserError(
            f"where {name} lies is said by config.yaml to jobs that snakemake starts, and not here; "
            f'set {VARIABLE} to JSON such as {{"{name}": "/path/to/it"}}'
        )
    found = places[name]
    return found if isinstance(found, list) else [found]


def path_at(text: str) -> Path:
    """The one path that a reference stands for, absolute; raises `UserError` like `paths_at`."""
    return Path(os.path.normpath(Path.cwd() / Path(paths_at(text)[0]).expanduser()))
