"""What the names of methods and calibrations say of their place in a table, and how calibrations are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polyprune.artifacts.measurements import WHOLE_EXPERTS
from polyprune.grammar.paths import DENSE, ORIGIN

PAPER_MODELS = {
    "llama-3-8b": "Llama-3 8B",
    "llama-3-70b": "Llama-3 70B",
    "llama-3.1-8b": "Llama-3.1 8B",
    "aya-23-8b": "Aya-23 8B",
    "aya-23-35b": "Aya-23 35B",
}
"""The models of the paper's printed numbers, as it writes them."""
PAPER_METHODS = {"wanda": "Wanda", "sparsegpt": "SparseGPT", "gptq": "GPTQ"}
"""The paper's methods, in the order of its tables, as it writes them."""
_IN_TABLES = (DENSE, *PAPER_METHODS)
TARGET = "target"
"""In the place of a calibration: in each column that in the column's own language."""


def method_rank(method: str) -> int:
    """Place in tables: the dense model, the paper's methods, all others (which follow by name).

    `wanda@paper` has the place of Wanda.
    """
    name = method.partition(ORIGIN)[0]
    return _IN_TABLES.index(name) if name in _IN_TABLES else len(_IN_TABLES)


def removed_by(matrices: Iterable[str]) -> str:
    """What masks are sets of, from the names of their matrices."""
    whole = {name == WHOLE_EXPERTS for name in matrices}
    if whole == {True, False}:
        return f"pruned weights ({WHOLE_EXPERTS}: of removed experts)"
    return "removed experts" if True in whole else "pruned weights"


def language_of(column: object) -> str:
    """The language of a column: `en-c` and `en-e`, the parts of English ARC, are English."""
    return str(column).split("-")[0]


def is_mix(calibration: str) -> bool:
    """Whether it is several languages."""
    return "-" in calibration


def is_single_language(calibration: str) -> bool:
    return calibration != DENSE and not is_mix(calibration)


def calibration_label(calibration: str, languages: Sequence[str] = ()) -> str:
    """`de` is DE, `de-en` is DE+EN, and a mix of all `languages` is `all 7`."""
    if calibration in (DENSE, TARGET):
        return calibration
    parts = calibration.split("-")
    if is_mix(calibration) and set(parts) == set(languages):
        return f"all {len(parts)}"
    return "+".join(part.upper() for part in parts)


def pair_label(calibrations: str) -> str:
    """Two calibrations that are compared: `de-en` is DE & EN, which DE+EN, one calibration in both, is not."""
    return " & ".join(part.upper() for part in calibrations.split("-"))
