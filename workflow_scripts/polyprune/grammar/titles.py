"""Names in print, of methods, schemes and benchmarks. A change here draws tables and figures again."""

from __future__ import annotations

from collections.abc import Iterable

from polyprune.grammar.paths import DENSE
from polyprune.grammar.schemes import Exchange, parse_scheme

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
BENCHMARK_TITLES = {"belebele": "Belebele", "hellaswag": "HellaSwag"}
"""Of those whose name is no abbreviation."""


def method_title(method: str) -> str:
    return METHOD_TITLES.get(method, method.capitalize())


def benchmark_title(benchmark: str) -> str:
    return BENCHMARK_TITLES.get(benchmark, benchmark.upper())


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
    if parsed.owl:
        title += " on average by OWL"
    return title if parsed.exchange is None else f"{title}, {_exchange_title(parsed.exchange)}"


def _exchange_title(exchange: Exchange) -> str:
    """`layers 1-8 from DE`, `first and last layer from the dense model`."""
    part = "the dense model" if exchange.part == DENSE else exchange.part.upper().replace("-", "+")
    if exchange.span is None:
        return f"first and last layer from {part}"
    first, last = exchange.span
    return f"layer {first} from {part}" if first == last else f"layers {first}-{last} from {part}"


def compression_title(method: str, schemes: Iterable[str]) -> str:
    """`SparseGPT 20 % and 50 %`: a method and what it was asked for."""
    return f"{method_title(method)} {' and '.join(scheme_title(scheme) for scheme in schemes)}"
