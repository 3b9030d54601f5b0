"""Names in print, and what a calibration's name says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polyprune.grammar.paths import DENSE
from polyprune.grammar.schemes import parse_scheme

METHOD_TITLES = {
    "wanda": "Wanda",
    "sparsegpt": "SparseGPT",
    "gptq": "GPTQ",
    "magnitude": "Magnitude",
    "random": "Random",
    "ria": "RIA",
    "alps": "ALPS",
    "dsnot": "DSnoT",
}
"""As their authors write them. The first three are the paper's, in the order of its tables."""
_IN_TABLES = (DENSE, "wanda", "sparsegpt", "gptq")

BENCHMARK_TITLES = {"belebele": "Belebele", "hellaswag": "HellaSwag"}
"""Of those whose name is no abbreviation."""


def method_title(method: str) -> str:
    return METHOD_TITLES.get(method, method.capitalize())


def benchmark_title(benchmark: str) -> str:
    return BENCHMARK_TITLES.get(benchmark, benchmark.upper())


def method_rank(method: str) -> int:
    """Place in tables: the dense model, the paper's methods, all others (which follow by name)."""
    return _IN_TABLES.index(method) if method in _IN_TABLES else len(_IN_TABLES)


def scheme_title(scheme: str) -> str:
    """`0.50` is 50 %, `2of4` 2:4, `w4g128` 4 bit, group 128; what else the spelling says follows a comma."""
    parsed = parse_scheme(scheme)
    if parsed.n_of_m is not None:
        title = "{}:{}".format(*parsed.n_of_m)
    elif parsed.sparsity is not None:
        title = f"{100 * float(parsed.sparsity):g} %"
    else:
        title = f"{parsed.bits} bit, group {parsed.group_size}"
    if parsed.dense_ends:
        title += ", first and last layer dense"
    return f"{title} on average by OWL" if parsed.owl else title


def compression_title(method: str, schemes: Iterable[str]) -> str:
    """`SparseGPT 20 % and 50 %`: a method and what it was asked for."""
    return f"{method_title(method)} {' and '.join(scheme_title(scheme) for scheme in schemes)}"


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
    if calibration == DENSE:
        return DENSE
    parts = calibration.split("-")
    if is_mix(calibration) and set(parts) == set(languages):
        return f"all {len(parts)}"
    return "+".join(part.upper() for part in parts)


def pair_label(calibrations: str) -> str:
    """Two calibrations that are compared: `de-en` is DE & EN, which DE+EN, one calibration in both, is not."""
    return " & ".join(part.upper() for part in calibrations.split("-"))
