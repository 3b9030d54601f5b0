"""`figure{n}.png`: a picture that says what it is, in texts of its own (PNG's text chunks).

Title, Description    its title and caption
polyprune             what it was made with, as JSON; schema `picture/1`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from polyprune.artifacts.identity import DamagedError, again, introduced, require

SCHEMA, HEADER = "picture/1", "polyprune"


class Picture(NamedTuple):
    """Title and caption, width and height in pixels."""

    title: str
    caption: str
    width: int
    height: int


def header_text(path: Path, about: Mapping[str, Any]) -> dict[str, str]:
    """The text chunk of the header of a picture that is to lie at `path`."""
    return {HEADER: json.dumps(introduced(path, SCHEMA, about), sort_keys=True)}


def load_picture(path: Path) -> Picture:
    """Raises `UserError` if the file is missing, damaged (by its chunks' checksums), or not what was asked for."""
    try:
        with Image.open(path) as image:
            image.verify()
        with Image.open(path) as image:
            texts = dict(getattr(image, "text", {}))
        header = json.loads(texts[HEADER])
        found = Picture(texts["Title"], texts["Description"], *image.size)
    except (OSError, SyntaxError, ValueError, KeyError) as error:
        raise DamagedError(f"{path} is no picture of ours, or damaged: {error}; {again(path)}") from error
    require(path, header, SCHEMA)
    return found
