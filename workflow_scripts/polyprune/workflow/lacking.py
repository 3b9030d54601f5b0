"""Languages of a model's text in which a benchmark asks nothing, and answers that a model has no positions for: said
when evaluations are planned, in dry runs too.

The paper's study has such: there is no ARC in Swahili, though models are calibrated in it. So they are not refused, but
nobody is to wait for a column that will not come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polyprune.grammar.benchmarks import GENERATED, columns
from polyprune.settings.config import Settings
from polyprune.workflow.wildcards import Wildcards


class Lacking:
    """Says each once, through `say`; processes that Snakemake starts for single jobs say nothing."""

    def __init__(self, settings: Settings, workflow: Any, say: Callable[[str], None]) -> None:
        self.settings, self.workflow, self.say = settings, workflow, say
        self._said: set[tuple[str, str]] = set()

    def languages(self, wildcards: Wildcards) -> list[str]:
        """An input function of evaluations, of no files; ends the run where a benchmark has nothing for a model."""
        benchmark, model = wildcards["benchmark"], wildcards["model"]
        corpus = self.settings.models[model].text.corpus
        if self.workflow.is_main_process:
            if said := self._no_room(benchmark, model):
                raise SystemExit(f"error: {said}")
            if (benchmark, corpus) not in self._said:
                self._said.add((benchmark, corpus))
                self._look(benchmark, corpus, model)
        return []

    def _look(self, benchmark: str, corpus: str, model: str) -> None:
        source, languages = self.settings.source_of(model, benchmark), self.settings.languages_of(model)
        if source == "demo" and benchmark not in GENERATED:
            raise SystemExit(f"error: the demo has no {benchmark}, and {model} is on its text")
        asked = {column.language for column in columns(self.settings.all_benchmarks[benchmark], source)}
        known = f"{benchmark} asks only in {', '.join(sorted(asked))}"
        if not asked & set(languages):
            raise SystemExit(f"error: {benchmark} is in none of {model}'s languages ({', '.join(languages)}): {known}")
        if lacking := sorted(set(languages) - asked):
            self.say(f"{known}: no scores of it in {', '.join(lacking)}, which corpus {corpus} has, too")

    def _no_room(self, benchmark: str, model: str) -> str | None:
        """Why a model cannot answer: with a token of the prompt, an answer fills more positions than it has."""
        sizes, answer = self.settings.models[model].known_sizes, self.settings.evaluation.mkqa.max_new_tokens
        if benchmark != "mkqa" or sizes is None or answer < sizes.max_positions:
            return None
        return (
            f"an answer of {answer} tokens (evaluation.mkqa.max_new_tokens) leaves no room for a prompt in the "
            f"{sizes.max_positions} positions of {model}; lower it"
        )
