"""Names in print, and what a calibration's name says."""

from __future__ import annotations

from collections.abc import Sequence

from polyprune.grammar.paths import DENSE

METHOD_TITLES = {"wanda": "Wanda", "sparsegpt": "SparseGPT", "gptq": "GPTQ"}
"""In the order of tables: the paper's. Other methods follow by name, and are called by it."""

BENCHMARK_TITLES = {"arc": "ARC", "belebele": "Belebele", "mmlu": "MMLU", "hellaswag": "HellaSwag", "mkqa": "MKQA"}


def method_title(method: str) -> str:
    return METHOD_TITLES.get(method, method.capitalize())


def method_rank(method: str) -> int:
    """Place in tables; the dense model is first."""
    order = [DENSE, *METHOD_TITLES]
    return order.index(method) if method in order else len(order)


def language_of(column: object) -> str:
    """The language of a column: `en-c` and `en-e`, the parts of English ARC, are English."""
    return str(column).split("-")[0]


def is_mix(calibration: str) -> bool:
    """Whether it is several languages."""
    return "-" in calibration


def is_single_language(calibration: str) -> bool:
    return calibration != DENSE and not is_mix(calibration)


def calibration_label(calibration: str, languages: Sequence[str]) -> str:
    """`de` is DE, `de-en` is DE+EN, and a mix of all `languages` is `all 7`."""
    if calibration == DENSE:
        return DENSE
    parts = calibration.split("-")
    if is_mix(calibration) and set(parts) == set(languages):
        return f"all {len(parts)}"
    return "+".join(part.upper() for part in parts)
