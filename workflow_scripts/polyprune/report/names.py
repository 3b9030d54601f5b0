"""What the names of methods and calibrations say of their place in a table, and how calibrations are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polyprune.artifacts.measurements import WHOLE_EXPERTS
from polyprune.grammar.calibrations import is_single_language, parse_calibration
from polyprune.grammar.paths import DENSE, ORIGIN
from polyprune.grammar.titles import calibration_title

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
    """Whether it is several languages in equal shares, and nothing else is said of it."""
    return is_other(calibration) and (asked := parse_calibration(calibration)).is_plain and len(asked.terms) > 1


def is_other(calibration: str) -> bool:
    """Whether it is a calibration, and not on one language alone: a mix, or text of another source, amount or form."""
    return calibration not in (DENSE, TARGET) and not is_single_language(calibration)


def calibration_rank(calibration: str) -> tuple[int, str, tuple[str, ...], float, int]:
    """Place in tables: single languages, mixes by their number of languages, others by their form and what they are
    made of: those of the same terms together, by the share of the first, then by their amount; random tokens last.
    """
    if calibration == DENSE or not is_other(calibration):
        return 0, "", (), 0.0, 0
    asked = parse_calibration(calibration)
    if not asked.terms:
        return 10**6 + 1, "", (), 0.0, asked.budget or 0
    if asked.is_plain:
        return len(asked.terms), "", (), 0.0, 0
    terms = tuple(term.name for term in asked.terms)
    return 10**6, asked.form or "", terms, float(asked.terms[0].share), asked.budget or 0


def calibration_label(calibration: str, languages: Sequence[str] = ()) -> str:
    """`de` is DE, `de-en` is DE+EN, and a mix of all `languages` is `all 7`; see `calibration_title`."""
    if calibration in (DENSE, TARGET):
        return calibration
    if is_mix(calibration) and set(parts := calibration.split("-")) == set(languages):
        return f"all {len(parts)}"
    return calibration_title(calibration)


PAIR = " & "
"""Between two calibrations that are compared, unless both are single languages, which are spelt `de-en`."""


def is_pair(calibrations: str) -> bool:
    """Whether it can be two calibrations that are compared."""
    return PAIR in calibrations or is_mix(calibrations)


def pair_label(calibrations: str) -> str:
    """Two calibrations that are compared: `de-en` is DE & EN, which DE+EN, one calibration in both, is not."""
    return PAIR.join(map(calibration_label, calibrations.split(PAIR if PAIR in calibrations else "-")))
