"""Whether a model can be calibrated like this: corpora and languages that there are, sequences enough for all terms.

And how much text of a corpus that takes.
"""

from __future__ import annotations

from collections.abc import Mapping

from polyprune.grammar.calibrations import CHAT, SELF, parse_calibration, require_known, require_needed
from polyprune.grammar.paths import DENSE
from polyprune.grammar.schemes import Scheme, require_languages, require_parts
from polyprune.settings.config import Settings
from polyprune.settings.models import Model
from polyprune.settings.text import Corpus


def require_calibration(text: str, model: Model, corpora: Mapping[str, Corpus]) -> None:
    """Raises `SpellingError` if it is not of the grammar, or if the model cannot be calibrated like this."""
    calibration, own = parse_calibration(text), model.text.corpus
    languages = {None if name == own else name: sorted(corpus.languages) for name, corpus in corpora.items()}
    require_needed(calibration, own, model.text.calibration_sequences)
    require_known(calibration, languages)


def sequences_wanted(settings: Settings, name: str, corpus: str, language: str) -> int:
    """The most packed sequences that a model or a cell of a study on it takes of a corpus in a language."""
    text, of_cells = settings.models[name].text, sequences_of_cells(settings, name, corpus, language)
    if text.corpus != corpus:
        return of_cells
    return max(of_cells, text.calibration_sequences if text.sampling == "packed" else 0, text.evaluation_sequences)


def sequences_of_cells(settings: Settings, name: str, corpus: str, language: str) -> int:
    """The most packed sequences that a cell of a study takes of a corpus in a language, on a model; 0 if none does."""
    text, most = settings.models[name].text, 0
    packed = text.sampling_of.get(corpus, text.sampling) == "packed"
    cells = (cell for study in settings.studies.values() for cell in study.all_cells() if cell.model == name)
    for asked in map(parse_calibration, {cell.calibration for cell in cells}):
        if asked.form == SELF or not (packed or asked.form == CHAT):
            continue
        counts = asked.sequences_of(asked.budget or text.calibration_sequences)
        for term, count in zip(asked.terms, counts, strict=True):
            if (term.corpus or text.corpus, term.language) == (corpus, language):
                most = max(most, count)
    return most


def require_cell(scheme: Scheme, calibration: str, model: Model, corpora: Mapping[str, Corpus]) -> None:
    """The same of a cell's calibration and, of a composed one, of its part's, which has to be another."""
    require_calibration(calibration, model, corpora)
    require_parts(scheme, calibration)
    require_languages(scheme, calibration)
    if scheme.exchange is not None and scheme.exchange.part != DENSE:
        require_calibration(scheme.exchange.part, model, corpora)
        require_languages(scheme, scheme.exchange.part)
