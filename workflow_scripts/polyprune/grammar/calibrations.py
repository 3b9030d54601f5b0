"""How calibrations are spelt: source, language, share, budget and form of the text, one spelling each.

de                      text in one language, of the corpus that the model is evaluated on
de-en                   in several, in equal shares
de75-en25  de12.5-en87.5   in unequal shares: per cent, with at most one decimal, 100 together
de@tico19  de-en@code   the term's text is another corpus of the configuration, whose name has no hyphen
…+n64                   64 sequences instead of the model's `calibration_sequences`
…+chat  …+n64+chat      each document as an exchange of user and assistant, in the model's chat template
…+self  …+n64+self      text that the dense model writes itself, from beginnings of the documents
random  random+n64      ordinary tokens drawn uniformly: no text at all, the floor

Terms stand in alphabetical order, of languages and then of corpora, those without one first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

from polyprune.grammar.spelling import SpellingError, nearest

# In wildcard constraints: Snakemake understands {2,3} but not {2,}.
LANGUAGE_PATTERN = "[a-z]{2,3}(?:_[a-z]{2,4})*"
"""A code of two or three letters, with a script or region where need be: zh_hant, pt_br, sr_latn."""
_SHARE = r"(?:0\.[1-9]|[1-9][0-9]?(?:\.[1-9])?)"
_CORPUS = "[a-z0-9][a-z0-9.]*"
_TERM_PATTERN = rf"{LANGUAGE_PATTERN}(?:{_SHARE})?(?:@{_CORPUS})?"
CHAT, SELF, RANDOM = "chat", "self", "random"
FORMS = (CHAT, SELF)
_TERMS = rf"{_TERM_PATTERN}(?:-{_TERM_PATTERN})*"
_BUDGET_PATTERN = r"(?:\+n[1-9][0-9]*)?"
SELF_PATTERN = rf"{_TERMS}{_BUDGET_PATTERN}\+{SELF}"
"""Of those on text that a model writes."""
CALIBRATION_PATTERN = rf"(?:(?:{RANDOM}|{_TERMS}){_BUDGET_PATTERN}|{_TERMS}{_BUDGET_PATTERN}\+(?:{'|'.join(FORMS)}))"
"""Of all of them."""
_TERM = re.compile(rf"(?P<language>{LANGUAGE_PATTERN})(?P<share>[0-9.]+)?(?:@(?P<corpus>{_CORPUS}))?")
_BUDGET = re.compile(r"n([1-9][0-9]*)")
_WRITE = "write language codes joined by '-', e.g. de or de-en"
_WRITE_SHARES = "write per cents with at most one decimal that add up to 100, one for each or none, e.g. de75-en25"
PLAIN = "en"
"""A calibration that says a language and nothing else."""
Known = Mapping[str | None, Collection[str]]
"""Languages by corpus; of None, those of the corpus that the model is evaluated on."""


@dataclass(frozen=True)
class Term:
    """Text in one language; `share` is of all sequences, `corpus` None where it is the model's own."""

    language: str
    share: Fraction
    corpus: str | None = None

    @property
    def name(self) -> str:
        """Apart from its share: `de`, `de@tico19`."""
        return self.language if self.corpus is None else f"{self.language}@{self.corpus}"


@dataclass(frozen=True)
class Calibration:
    """What a cell is calibrated on; `budget` is None for the model's own number of sequences.

    `form` is one of `FORMS`, None for documents as they are. Random tokens have no terms.
    """

    text: str
    terms: tuple[Term, ...]
    budget: int | None = None
    form: str | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """One for each term."""
        return tuple(term.language for term in self.terms)

    @property
    def corpora(self) -> tuple[str, ...]:
        """Those that it names, each once, sorted."""
        return tuple(sorted({term.corpus for term in self.terms if term.corpus is not None}))

    @property
    def is_on_own_text(self) -> bool:
        """Whether a term is of the model's own corpus."""
        return any(term.corpus is None for term in self.terms)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What it asks of the model's settings besides languages and their shares; that of `de` sorts first."""
        return self.form or "", self.budget or 0, self.corpora, not self.is_on_own_text

    @property
    def is_equal(self) -> bool:
        """Whether all terms have the same share."""
        return len({term.share for term in self.terms}) < 2

    @property
    def is_plain(self) -> bool:
        """Whether it says languages, and nothing else."""
        return self.kind == ("", 0, (), False) and self.is_equal

    @property
    def source(self) -> Calibration:
        """The same with the model's own number of sequences."""
        return Calibration(spelt(self.terms, None, self.form), self.terms, None, self.form)

    def sequences_of(self, n_sequences: int) -> tuple[int, ...]:
        """How many of `n_sequences` each term has: the whole part of its share; what is left over goes to the largest
        remainders, one each, of equal ones to the first.
        """
        exact = [term.share * n_sequences for term in self.terms]
        found = [int(each) for each in exact]
        order = sorted(range(len(exact)), key=lambda index: (found[index] - exact[index], index))
        for index in order[: n_sequences - sum(found)]:
            found[index] += 1
        return tuple(found)

    def by_language(self, n_sequences: int) -> tuple[slice, ...]:
        """Which of `n_sequences` are in each language, in its order; of random tokens all, which are in none."""
        counts: dict[str, int] = {}
        for term, count in zip(self.terms, self.sequences_of(n_sequences), strict=True):
            counts[term.language] = counts.get(term.language, 0) + count
        ends = accumulate(counts.values() or [n_sequences], initial=0)
        return tuple(slice(start, end) for start, end in pairwise(ends))

    def why_not_of(self, n_sequences: int) -> str | None:
        """Why so many sequences cannot be shared out like this, or None: a term would silently be left out."""
        counts = self.sequences_of(n_sequences)
        if self.is_equal:
            few = len(self.terms) > n_sequences
            return f"a mix of {len(self.terms)} languages needs as many sequences" if few else None
        left_out = [term.name for term, count in zip(self.terms, counts, strict=True) if not count]
        return f"{left_out[0]!r} would have none of {n_sequences} sequences" if left_out else None


@lru_cache
def parse_calibration(text: str) -> Calibration:
    """The calibration of a spelling.

    Raises:
        SpellingError: not of the grammar, or a second spelling of the same calibration; says the right one.
    """
    body, *endings = text.split("+")
    budget, form = _endings(endings, body, text)
    if body == RANDOM:
        return Calibration(text, (), budget)
    found = [match for part in body.split("-") if (match := _TERM.fullmatch(part))]
    if len(found) < len(body.split("-")):
        raise SpellingError(f"{text!r} is not a calibration; {_WRITE}")
    shares = _shares([match["share"] for match in found], text)
    terms = tuple(Term(match["language"], share, match["corpus"]) for match, share in zip(found, shares, strict=True))
    canonical = Calibration(spelt(terms, budget, form), terms, budget, form)
    if canonical.text != text:
        numbers = ", equal shares without numbers" if any(match["share"] for match in found) else ""
        raise SpellingError(
            f"calibration {text!r} is spelt {canonical.text!r}: each language once, in alphabetical order{numbers}"
        )
    return canonical


def _endings(endings: Sequence[str], body: str, text: str) -> tuple[int | None, str | None]:
    """Number of sequences and form, in this order; of random tokens no form."""
    left = list(endings)
    match = _BUDGET.fullmatch(left[0]) if left else None
    budget = int(match[1]) if match and left.pop(0) else None
    form = left.pop(0) if left and left[0] in FORMS and body != RANDOM else None
    if left:
        raise SpellingError(
            f"{text!r} is not a calibration: after '+' stand a number of sequences and a form, "
            f"{' or '.join(FORMS)} (random has none), e.g. de+n64, de+chat or de+n64+self"
        )
    return budget, form


def _shares(said: Sequence[str | None], text: str) -> list[Fraction]:
    """Of 1; equal ones if none is said."""
    if not any(said):
        return [Fraction(1, len(said))] * len(said)
    if not all(share and re.fullmatch(_SHARE, share) for share in said):
        raise SpellingError(f"calibration {text!r}: {_WRITE_SHARES}")
    shares = [Fraction(str(share)) / 100 for share in said]
    if (total := sum(shares)) != 1:
        raise SpellingError(f"calibration {text!r}: its shares add up to {float(100 * total):g}; {_WRITE_SHARES}")
    return shares


def spelt(terms: Sequence[Term], budget: int | None = None, form: str | None = None) -> str:
    """The one spelling: terms in order, each once, their shares unless they are equal; without terms random."""
    equal = len({term.share for term in terms}) == 1
    parts = {
        (term.language, term.corpus or ""): term.language
        + ("" if equal else f"{float(100 * term.share):g}")
        + (f"@{term.corpus}" if term.corpus else "")
        for term in terms
    }
    body = "-".join(parts[key] for key in sorted(parts)) or RANDOM
    return body + (f"+n{budget}" if budget else "") + (f"+{form}" if form else "")


def require_known(calibration: Calibration, known: Known) -> None:
    """Raises `SpellingError` for a term whose corpus, or whose language in it, there is not."""
    for term in calibration.terms:
        if term.corpus not in known:
            there = nearest(str(term.corpus), [name for name in known if name and "-" not in name])
            raise SpellingError(f"calibration {calibration.text!r}: corpus {term.corpus!r} is {there}")
        if term.language not in (languages := known[term.corpus]):
            of = f" of corpus {term.corpus}" if term.corpus else ""
            raise SpellingError(
                f"calibration {calibration.text!r}: {term.language!r} is {nearest(term.language, languages)}{of}"
            )


def require_needed(calibration: Calibration, corpus: str, n_sequences: int) -> None:
    """Refuse what a model has anyway, `corpus` or `n_sequences` of its own, and too few sequences for the shares.

    Raises:
        SpellingError: says the right spelling, or what there is too little of.
    """
    own = [replace(term, corpus=None if term.corpus == corpus else term.corpus) for term in calibration.terms]
    budget = None if calibration.budget == n_sequences else calibration.budget
    if (canonical := spelt(own, budget, calibration.form)) != calibration.text:
        raise SpellingError(
            f"calibration {calibration.text!r} is spelt {canonical!r}: corpus {corpus!r} and {n_sequences} "
            "calibration_sequences are the model's own"
        )
    if reason := calibration.why_not_of(budget or n_sequences):
        raise SpellingError(f"calibration {calibration.text!r}: {reason}")


def is_single_language(text: str) -> bool:
    """Whether a calibration is one language and says nothing else: what a column has as its own."""
    return re.fullmatch(LANGUAGE_PATTERN, text) is not None
