"""How much room letters take, measured as they are drawn without hinting. Lengths are inches, sizes are points."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"
"""Comes with matplotlib: pictures are the same on every machine."""
LINE_SPACING = 1.4
"""Of all text of several lines."""
_BREAK = re.compile(r"(?<! [−<≤=+·]) (?!%|[−<≤=+·] )")
"""Where a line may end: not before the sign of a percentage, nor beside one between two quantities."""


@lru_cache(maxsize=50_000)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of one line."""
    properties = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(text, properties, ismath=False)
    return width / 72


def widest(texts: Iterable[str], size: float, bold: bool = False) -> float:
    """Width of the widest line; 0 if there is none."""
    return max((text_width(text, size, bold) for text in texts), default=0.0)


def wrapped(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text with its lines filled up to `width`; a word that is wider has a line of its own, as has `50 %`."""
    lines: list[str] = []
    for word in _BREAK.split(" ".join(text.split())):
        if lines and text_width(f"{lines[-1]} {word}", size, bold) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def text_height(text: str, size: float) -> float:
    """Height of a text with its line breaks, and the space above a line."""
    return (text.count("\n") + 1) * LINE_SPACING * 1.02 * size / 72
