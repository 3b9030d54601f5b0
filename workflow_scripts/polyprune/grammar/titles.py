"""Names in print. A change of this code draws tables and figures again; a name is a value (`Titles`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

from polyprune.grammar.calibrations import CHAT, SELF, parse_calibration
from polyprune.grammar.paths import DENSE
from polyprune.grammar.schemes import CORRELATION, OWL, Exchange, parse_scheme


@dataclass(frozen=True)
class Titles:
    """Names in print of what a table or page shows, by name.

    They reach a stage by value: no report imports the tables that they are from (`grammar/methods.py`,
    `grammar/benchmarks.py`), so that only what shows a name is made again when it changes.
    """

    models: Annotated[Mapping[str, str], BeforeValidator(dict)]
    """In the order of the table or page: pairs in a spec, whose objects have no order."""
    methods: Mapping[str, str]
    benchmarks: Mapping[str, str]

    def compression(self, method: str, scheme: str) -> str:
        return compression_title(self.methods[method], [scheme])

    def heading(self, model: str, method: str, scheme: str) -> str:
        """`Llama-3 8B, SparseGPT 50 %`: a model compressed by one method and scheme."""
        return f"{self.models[model]}, {self.compression(method, scheme)}"


_ALLOCATIONS = {OWL: " on average by OWL", CORRELATION: " on average by languages' correlation"}


def scheme_title(scheme: str) -> str:
    """`0.50` is 50 %, `2of4` 2:4, `w4g128` 4 bit, group 128; what else the spelling says follows a comma."""
    parsed = parse_scheme(scheme)
    if parsed.n_of_m is not None:
        title = "{}:{}".format(*parsed.n_of_m)
    elif parsed.sparsity is not None:
        title = f"{100 * float(parsed.sparsity):g} %"
    else:
        title = f"{parsed.bits} bit, " + (f"group {parsed.group_size}" if parsed.group_size else "a scale a row")
    if parsed.dense_ends:
        title += ", first and last layer dense"
    title += _ALLOCATIONS.get(parsed.allocation or "", "")
    return title if parsed.exchange is None else f"{title}, {_exchange_title(parsed.exchange)}"


def _exchange_title(exchange: Exchange) -> str:
    """`layers 1-8 from DE`, `first and last layer from the dense model`."""
    part = "the dense model" if exchange.part == DENSE else calibration_title(exchange.part)
    if exchange.span is None:
        return f"first and last layer from {part}"
    first, last = exchange.span
    return f"layer {first} from {part}" if first == last else f"layers {first}-{last} from {part}"


_FORMS = {CHAT: "as chat", SELF: "written by the model"}


def calibration_title(text: str) -> str:
    """`de` is DE, `de-en` DE+EN, `de75-en25` DE 75 % + EN 25 %; what else is said of the text stands in parentheses.

    `de@tico19+n64` is DE (tico19, 64 sequences), `de-en@code` DE+EN (code), `de+chat` DE (as chat), `de+self` DE
    (written by the model), `random` random tokens.
    """
    asked = parse_calibration(text)
    of_all = asked.corpora[0] if len(asked.corpora) == 1 and not asked.is_on_own_text else None
    amount = None if asked.budget is None else f"{asked.budget:,} sequences"
    said = [each for each in (of_all, amount, _FORMS.get(asked.form or "")) if each]
    shares = [f" {float(100 * term.share):g} %" if not asked.is_equal else "" for term in asked.terms]
    corpora = ["" if term.corpus in (of_all, None) else f" ({term.corpus})" for term in asked.terms]
    languages = [language.upper() for language in asked.languages]
    parts = ["".join(part) for part in zip(languages, shares, corpora, strict=True)]
    title = ("+" if asked.is_equal else " + ").join(parts) or "random tokens"
    return f"{title} ({', '.join(said)})" if said else title


def compression_title(method: str, schemes: Iterable[str]) -> str:
    """`SparseGPT 20 % and 50 %`: a method, by its name in print, and what it was asked for."""
    return f"{method} {' and '.join(scheme_title(scheme) for scheme in schemes)}"
