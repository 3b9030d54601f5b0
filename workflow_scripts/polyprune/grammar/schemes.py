"""How schemes and seeds are spelt; calibrations in `calibrations.py`.

`parse_scheme` refuses everything else and names the nearest valid spelling.

scheme       0.50  0.65           unstructured: share of weights removed, two decimals or more, no padding
             2of4  4of8           n:m, n weights kept of every m consecutive inputs
             …-dense-ends         the first and the last decoder layer stay dense
             0.70-owl             unstructured on average; layers with more outliers are pruned less
             0.70-correlation     unstructured on average; layers that languages use less alike are pruned less
             w4g128  w8g128       quantisation: bits (2 to 8) and group size
             w8channel            quantisation with a scale a row, of cells that are read from checkpoints
             …-ends-from-dense    composed of finished cells of the scheme before this ending, nothing compressed anew:
                                  the first and the last layer are the dense model's
             …-layer3-from-en     the third layer is that of the cell calibrated on English with the same seed
             …-layers1to8-from-de layers 1 to 8 are those of the cell calibrated on German
seed         seed0  seed12
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from polyprune.grammar.calibrations import CALIBRATION_PATTERN, parse_calibration
from polyprune.grammar.paths import DENSE
from polyprune.grammar.spelling import SpellingError

DENSE_ENDS = "-dense-ends"
ENDS = "ends"
OWL, CORRELATION = "owl", "correlation"
ALLOCATIONS = (OWL, CORRELATION)
"""What gives layers sparsities of their own."""
_UNSTRUCTURED = re.compile(r"0\.[0-9]{2,}")
_N_OF_M = re.compile(r"([1-9][0-9]*)of([1-9][0-9]*)")
_QUANTISED = re.compile(r"w([2-8])(?:g([1-9][0-9]*)|channel)")
_LAYERS = re.compile(r"layers?([1-9][0-9]*)(?:to([1-9][0-9]*))?")
_EXCHANGE = re.compile(r"(?P<plain>.+)-(?P<layers>ends|layers?[0-9][0-9a-z]*)-from-(?P<part>[^/]+)")

PLAIN_PATTERN = (
    r"(?:(?:0\.[0-9][0-9]+|[1-9][0-9]*of[1-9][0-9]*)(?:-dense-ends)?|0\.[0-9][0-9]+-(?:owl|correlation)"
    r"|w[2-8](?:g[1-9][0-9]*|channel))"
)
"""Schemes that a method is asked for."""
COMPOSED_PATTERN = (
    rf"{PLAIN_PATTERN}-(?:ends|layer[1-9][0-9]*|layers[1-9][0-9]*to[1-9][0-9]*)-from-(?:dense|{CALIBRATION_PATTERN})"
)
"""Schemes of cells that are made of others."""
SCHEME_PATTERN = f"{COMPOSED_PATTERN}|{PLAIN_PATTERN}"
SEED_PATTERN = r"0|[1-9][0-9]*"
MOST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Exchange:
    """Layers that a composed cell has from elsewhere: the first and the last, or those of `span`, counted from 1.

    `part` is where they are from: a calibration, whose cell differs in nothing else, or the dense model.
    """

    part: str
    span: tuple[int, int] | None = None

    def indices(self, n_layers: int) -> frozenset[int]:
        """The layers of a model of `n_layers`, counted from 0."""
        if self.span is None:
            return frozenset({0, n_layers - 1})
        return frozenset(range(self.span[0] - 1, self.span[1]))


@dataclass(frozen=True)
class Scheme:
    """What a method does to each weight matrix.

    Exactly one of `sparsity`, `n_of_m`, `bits` is set. `dense_ends` leaves the first and last decoder layer alone,
    `allocation`, one of `ALLOCATIONS`, gives every layer a sparsity of its own, of which `sparsity` is the mean. With
    an `exchange` the cell is composed of finished ones, those of the scheme `plain`. `bits` without `group_size` have a
    scale a row.
    """

    text: str
    sparsity: Fraction | None = None
    n_of_m: tuple[int, int] | None = None
    bits: int | None = None
    group_size: int | None = None
    dense_ends: bool = False
    allocation: str | None = None
    exchange: Exchange | None = None

    @property
    def plain(self) -> str:
        """The scheme of the cells that a composed one is made of; of any other its own."""
        match = _EXCHANGE.fullmatch(self.text)
        return match["plain"] if match else self.text

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
    if match := _EXCHANGE.fullmatch(text):
        exchange = Exchange(match["part"], _span(match["layers"], text))
        if exchange.part != DENSE:
            parse_calibration(exchange.part)
        whole = parse_scheme(match["plain"])
        if whole.exchange is not None:
            raise SpellingError(f"scheme {text!r}: {whole.text!r} is composed, and cells are composed of whole ones")
        return replace(whole, text=text, exchange=exchange)
    suffix = next((ending for ending in (DENSE_ENDS, *map("-{}".format, ALLOCATIONS)) if text.endswith(ending)), "")
    body, dense_ends = text.removesuffix(suffix), suffix == DENSE_ENDS
    allocation = suffix[1:] if suffix and not dense_ends else None
    if _UNSTRUCTURED.fullmatch(body):
        canonical = canonical_sparsity(body)
        if body == canonical and Fraction(body) > 0:
            return Scheme(text, sparsity=Fraction(body), dense_ends=dense_ends, allocation=allocation)
    if allocation is None and (match := _N_OF_M.fullmatch(body)):
        n, m = int(match[1]), int(match[2])
        if n < m:
            return Scheme(text, n_of_m=(n, m), dense_ends=dense_ends)
    if not suffix and (match := _QUANTISED.fullmatch(body)):
        return Scheme(text, bits=int(match[1]), group_size=int(match[2]) if match[2] else None)
    raise SpellingError(f"{text!r} is not a scheme; {_scheme_hint(body, suffix)}")


def _span(layers: str, scheme: str) -> tuple[int, int] | None:
    """`ends` is None, `layer3` (3, 3), `layers1to8` (1, 8)."""
    if layers == ENDS:
        return None
    match = _LAYERS.fullmatch(layers)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    canonical = f"layer{first}" if first == last else f"layers{first}to{last}"
    if not 0 < first <= last:
        raise SpellingError(f"scheme {scheme!r}: {layers!r} are no layers; write ends, layer3 or layers1to8")
    if layers != canonical:
        raise SpellingError(f"scheme {scheme!r}: {layers!r} is spelt {canonical!r}")
    return first, last


def require_parts(scheme: Scheme, calibration: str) -> None:
    """Refuse a composed cell whose parts are the same cell.

    Raises:
        SpellingError: names the scheme and the calibration.
    """
    if scheme.exchange is not None and scheme.exchange.part == calibration:
        raise SpellingError(
            f"scheme {scheme.text!r} takes from calibration {calibration!r} what it has; that cell is {scheme.plain!r}"
        )


def require_languages(scheme: Scheme, calibration: str) -> None:
    """Refuse layers' sparsities by how alike languages use them where there is one language.

    Raises:
        SpellingError: names the scheme and the calibration.
    """
    if scheme.allocation == CORRELATION and len({*parse_calibration(calibration).languages}) < 2:
        raise SpellingError(
            f"scheme {scheme.text!r} compares languages, and calibration {calibration!r} has not two of them; "
            "calibrate on a mix, e.g. de-en"
        )


def canonical_sparsity(text: str) -> str:
    """`0.5` and `0.500` become `0.50`; `0.375` stays: two decimals at least, no trailing zeros beyond them."""
    digits = text.split(".")[1] if "." in text else ""
    return "0." + digits.rstrip("0").ljust(2, "0")


def _scheme_hint(body: str, suffix: str) -> str:
    if re.fullmatch(r"0?\.[0-9]+", body) and Fraction("0" + body[body.index(".") :]) > 0:
        return f"did you mean {canonical_sparsity(body)}{suffix}?"
    if suffix in ("", DENSE_ENDS) and (match := re.fullmatch(r"([0-9]+)\s*[:_/]\s*([0-9]+)", body)):
        return f"did you mean {match[1]}of{match[2]}{suffix}?"
    return "valid spellings are 0.50, 2of4 (n kept of m), 0.50-dense-ends, w4g128, 0.50-layers1to8-from-de"
