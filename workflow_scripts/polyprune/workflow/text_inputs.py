"""Files of text that rules read: corpora, prompts, and what of both is in a model's tokens."""

from __future__ import annotations

from pathlib import Path

from polyprune.grammar.calibrations import CHAT, SELF, parse_calibration
from polyprune.settings.config import Settings
from polyprune.settings.text import PromptsCorpus
from polyprune.workflow.wildcards import Wildcards

WRITTEN = "results/{model}/self_written/{calibration}/seed{seed}/text.parquet"
"""Text that a model writes to be calibrated on."""


class TextInputs:
    """Input files of text under some settings; `root` is the repository's folder."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self.settings, self.root = settings, root

    def corpus(self, corpus: str) -> list[str]:
        """A corpus, one file a language."""
        languages = sorted(self.settings.corpora[corpus].languages)
        return [f"results/corpora/{corpus}/{language}.parquet" for language in languages]

    def training_text(self, wildcards: Wildcards) -> list[str]:
        return self.corpus(self._corpus_of(wildcards))

    def passages(self, wildcards: Wildcards) -> str:
        """The prompts that a corpus of them is made of, in a language."""
        corpus = self.settings.corpora[wildcards["corpus"]]
        name = corpus.prompts if isinstance(corpus, PromptsCorpus) else ""
        return f"results/prompts/{name}/{wildcards['language']}.parquet"

    def calibration_text(self, wildcards: Wildcards) -> list[str]:
        """What a shard is cut from: the text of each term, what the model wrote from it, or nothing."""
        if parse_calibration(wildcards["calibration"]).form == SELF:
            return [WRITTEN.format(**wildcards)]
        return self.terms(wildcards)

    def template(self, wildcards: Wildcards) -> list[str]:
        """Of a shard of exchanges, where the model's chat template is registered; no other reads it."""
        in_chat = parse_calibration(wildcards["calibration"]).form == CHAT
        return [f"results/{wildcards['model']}/prompting.json"] if in_chat else []

    def terms(self, wildcards: Wildcards) -> list[str]:
        """The text of each term of the calibration: in its language, of its corpus or the model's own."""
        own, terms = self._corpus_of(wildcards), parse_calibration(wildcards["calibration"]).terms
        return [f"results/corpora/{term.corpus or own}/{term.language}.parquet" for term in terms]

    def prompts(self, prompts: str) -> list[str]:
        """Prompts, one file a language."""
        languages = sorted(self.settings.prompts[prompts].languages)
        return [f"results/prompts/{prompts}/{language}.parquet" for language in languages]

    def evaluation_text(self, corpus: str) -> list[str]:
        """Patterns of a model's evaluation text."""
        languages = sorted(self.settings.corpora[corpus].languages)
        return [f"results/{{model}}/evaluation_text/{corpus}/{language}.safetensors" for language in languages]

    def texts_of_model(self, wildcards: Wildcards) -> list[str]:
        """A model's evaluation text, one file a language."""
        return [path.format(**wildcards) for path in self.evaluation_text(self._corpus_of(wildcards))]

    def prompt_set(self, prompts: str) -> list[str]:
        """Patterns of the prompts in a model's tokens."""
        languages = sorted(self.settings.prompts[prompts].languages)
        return [f"results/{{model}}/prompts/{prompts}/{language}.safetensors" for language in languages]

    def _corpus_of(self, wildcards: Wildcards) -> str:
        return self.settings.models[wildcards["model"]].text.corpus
