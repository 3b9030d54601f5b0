"""How much room letters take, measured as they are drawn without hinting, and in which fonts. Lengths are inches, sizes
are points.

`FONT` has Latin, Greek, Cyrillic, Arabic, Hebrew and more. What it lacks, as Chinese or Hindi, is drawn in the first
font of this machine that has it, by an order of names: the same machine draws the same bytes.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"
"""Comes with matplotlib: pictures are the same on every machine."""
LINE_SPACING = 1.4
"""Of all text of several lines."""
_BREAK = re.compile(r"(?<! [−<≤=+·]) (?!%|[−<≤=+·] )")
"""Where a line may end: not before the sign of a percentage, nor beside one between two quantities."""
_WIDE = re.compile(
    r"(?<=[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff])(?=[\u2e80-\u2fff\u3040-\u9fff\uac00-\ud7af\uf900-\ufaff])"
)
"""Between Chinese, Japanese and Korean characters, where a line may end, too; not before their punctuation."""
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
"""That a font has one weight alone is no news: the nearest will do."""
_NO_FONT = "Last Resort"
"""matplotlib's, which draws a box for every character."""
_PREFERRED = "Noto Sans CJK SC"
"""Of fonts that have Chinese characters in the forms of several countries."""


def families(text: str) -> tuple[str, ...]:
    """Fonts that draw all of the text that can be drawn here, `FONT` first."""
    found = {name for character in set(text) if (name := _family_of(character))}
    return FONT, *sorted(found - {FONT}, key=_order)


def undrawable(text: str) -> str:
    """Characters that no font of this machine has, in their order."""
    return "".join(character for character in dict.fromkeys(text) if _family_of(character) is None)


def shown(text: str) -> str:
    """The text as it can be drawn here: ? for each of those characters, where a font would have a box."""
    return text.translate(dict.fromkeys(map(ord, undrawable(text)), "?"))


@lru_cache(maxsize=50_000)
def _family_of(character: str) -> str | None:
    """The first font that has it; what is not seen needs none."""
    if not character.isprintable() or _has(FONT, character):
        return FONT
    return next((name for name in _installed() if _has(name, character)), None)


def _has(family: str, character: str) -> bool:
    """In both weights, the nearest where a font has one alone."""
    properties = [FontProperties(family=family, weight=weight) for weight in ("normal", "bold")]
    with suppress(ValueError, RuntimeError):  # not upright; no font that can be drawn with
        faces = [findfont(each, fallback_to_default=False) for each in properties]
        return all(get_font(face).get_char_index(ord(character)) for face in faces)
    return False


@lru_cache
def _installed() -> tuple[str, ...]:
    """Other fonts, also those that were installed after matplotlib listed them."""
    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with suppress(Exception):  # files of fonts that FreeType cannot read, in as many ways
            fontManager.addfont(path)
    names = {entry.name for entry in fontManager.ttflist if not entry.name.startswith(_NO_FONT)}
    return tuple(sorted(names - {FONT}, key=_order))


def _order(name: str) -> tuple[bool, bool, bool, str]:
    return name != _PREFERRED, not name.startswith("Noto Sans"), "Mono" in name, name


def package_for(characters: str) -> str:
    """Debian's and Ubuntu's that has fonts for them."""
    of_east_asia = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")
    named = [unicodedata.name(character, "") for character in characters]
    wanted = {"fonts-noto-cjk" if name.startswith(of_east_asia) else "fonts-noto-core" for name in named}
    return " ".join(sorted(wanted))


@lru_cache(maxsize=50_000)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of one line, as it is shown."""
    properties = FontProperties(family=list(families(text)), size=size, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(shown(text), properties, ismath=False)
    return width / 72


def widest(texts: Iterable[str], size: float, bold: bool = False) -> float:
    """Width of the widest line; 0 if there is none."""
    return max((text_width(text, size, bold) for text in texts), default=0.0)


def wrapped(text: str, width: float, size: float, bold: bool = False) -> str:
    """The text with its lines filled up to `width`; a word that is wider has a line of its own, as has `50 %`."""
    lines: list[str] = []
    for word in _BREAK.split(" ".join(text.split())):
        for place, part in enumerate(_WIDE.split(word)):
            longer = f"{lines[-1]}{'' if place else ' '}{part}" if lines else part
            if lines and text_width(longer, size, bold) <= width:
                lines[-1] = longer
            else:
                lines.append(part)
    return "\n".join(lines)


def text_height(text: str, size: float) -> float:
    """Height of a text with its line breaks, and the space above a line."""
    return (text.count("\n") + 1) * LINE_SPACING * 1.02 * size / 72
