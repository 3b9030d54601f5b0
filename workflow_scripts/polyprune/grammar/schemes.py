"""How schemes, calibrations and seeds are spelt.

`parse` functions refuse everything else and name the nearest valid spelling.

scheme       0.50  0.65           unstructured: share of weights removed, two decimals or more, no padding
             2of4  4of8           n:m, n weights kept of every m consecutive inputs
             …-dense-ends         the first and the last decoder layer stay dense
             0.70-owl             unstructured on average; layers with more outliers are pruned less
             w4g128  w8g128       quantisation: bits (2 to 8) and group size
calibration  de  de-en            language codes in alphabetical order
seed         seed0  seed12
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from polyprune.grammar.spelling import SpellingError, nearest

DENSE_ENDS = "-dense-ends"
OWL = "-owl"
_UNSTRUCTURED = re.compile(r"0\.[0-9]{2,}")
_N_OF_M = re.compile(r"([1-9][0-9]*)of([1-9][0-9]*)")
_QUANTISED = re.compile(r"w([2-8])g([1-9][0-9]*)")

# In wildcard constraints: Snakemake understands {2,3} but not {2,}.
SCHEME_PATTERN = r"(?:0\.[0-9][0-9]+|[1-9][0-9]*of[1-9][0-9]*)(?:-dense-ends)?|0\.[0-9][0-9]+-owl|w[2-8]g[1-9][0-9]*"
LANGUAGE_PATTERN = "[a-z]{2,3}"
CALIBRATION_PATTERN = f"{LANGUAGE_PATTERN}(?:-{LANGUAGE_PATTERN})*"
SEED_PATTERN = r"0|[1-9][0-9]*"
MOST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Scheme:
    """What a method does to each weight matrix.

    Exactly one of `sparsity`, `n_of_m`, `bits` is set. `dense_ends` leaves the first and last decoder layer alone,
    `owl` gives every layer a sparsity of its own, of which `sparsity` is the mean.
    """

    text: str
    sparsity: Fraction | None = None
    n_of_m: tuple[int, int] | None = None
    bits: int | None = None
    group_size: int | None = None
    dense_ends: bool = False
    owl: bool = False

    @property
    def quantises(self) -> bool:
        return self.bits is not None

    def removed_of(self, n_weights: int) -> int:
        """How many of `n_weights` weights go: floor, as `int(n * sparsity)` does for exact fractions."""
        share = self.sparsity if self.n_of_m is None else 1 - Fraction(*self.n_of_m)
        if share is None:
            raise ValueError(f"scheme {self.text} removes no weights")
        return int(n_weights * share)


@lru_cache
def parse_scheme(text: str) -> Scheme:
    """Parse a scheme.

    Raises:
        SpellingError: not of the grammar, or a second spelling of the same scheme (`0.5`, `0.500` for `0.50`).
    """
    suffix = next((ending for ending in (DENSE_ENDS, OWL) if text.endswith(ending)), "")
    body, dense_ends = text.removesuffix(suffix), suffix == DENSE_ENDS
    if _UNSTRUCTURED.fullmatch(body):
        canonical = canonical_sparsity(body)
        if body == canonical and Fraction(body) > 0:
            return Scheme(text, sparsity=Fraction(body), dense_ends=dense_ends, owl=suffix == OWL)
    if suffix != OWL and (match := _N_OF_M.fullmatch(body)):
        n, m = int(match[1]), int(match[2])
        if n < m:
            return Scheme(text, n_of_m=(n, m), dense_ends=dense_ends)
    if not suffix and (match := _QUANTISED.fullmatch(body)):
        return Scheme(text, bits=int(match[1]), group_size=int(match[2]))
    raise SpellingError(f"{text!r} is not a scheme; {_scheme_hint(body, suffix)}")


def canonical_sparsity(text: str) -> str:
    """`0.5` and `0.500` become `0.50`; `0.375` stays: two decimals at least, no trailing zeros beyond them."""
    digits = text.split(".")[1] if "." in text else ""
    return "0." + digits.rstrip("0").ljust(2, "0")


def _scheme_hint(body: str, suffix: str) -> str:
    if re.fullmatch(r"0?\.[0-9]+", body) and Fraction("0" + body[body.index(".") :]) > 0:
        return f"did you mean {canonical_sparsity(body)}{suffix}?"
    if suffix != OWL and (match := re.fullmatch(r"([0-9]+)\s*[:_/]\s*([0-9]+)", body)):
        return f"did you mean {match[1]}of{match[2]}{suffix}?"
    return "valid spellings are 0.50, 2of4 (n kept of m), 0.50-dense-ends, w4g128"


def parse_calibration(text: str, known: Iterable[str] | None = None) -> tuple[str, ...]:
    """The languages of a calibration, e.g. `de-en` → `("de", "en")`.

    Raises:
        SpellingError: unknown language, twice the same, or not in alphabetical order.
    """
    languages = tuple(text.split("-"))
    if not all(re.fullmatch(LANGUAGE_PATTERN, language) for language in languages):
        raise SpellingError(f"{text!r} is not a calibration; write language codes joined by '-', e.g. de or de-en")
    if known is not None and (unknown := [language for language in languages if language not in set(known)]):
        raise SpellingError(f"calibration {text!r}: {unknown[0]!r} is {nearest(unknown[0], known)}")
    canonical = "-".join(sorted(set(languages)))
    if canonical != text:
        raise SpellingError(f"calibration {text!r} is spelt {canonical!r}: each language once, in alphabetical order")
    return languages
