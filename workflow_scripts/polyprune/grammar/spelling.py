"""The refusal of a word, with the valid ones and the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SpellingError(ValueError):
    """A scheme, calibration or path that is not of the grammar; the message names the nearest valid spelling."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """`not one of a, b, c; did you mean b?`: the end of a sentence that refuses `word`."""
    choices = sorted(choices)
    close = get_close_matches(word, choices, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"not one of {', '.join(choices)}{hint}"
