"""Specs of the stages that make text: corpora, prompts, and both in a model's tokens (see `specs.py`)."""

from __future__ import annotations

from polyprune.grammar.calibrations import SELF, parse_calibration
from polyprune.settings.config import Settings
from polyprune.settings.text import PromptsCorpus
from polyprune.workflow.made_with import MadeWith
from polyprune.workflow.spec_values import spec
from polyprune.workflow.wildcards import Wildcards


class TextSpecs:
    """Of `Specs`, the stages that make text."""

    settings: Settings
    made_with: MadeWith

    def collect_documents(self, wildcards: Wildcards) -> str:
        source = f"corpora/from_{self.settings.corpora[wildcards['corpus']].kind}.py"
        return spec("collect_documents", wildcards, source, **self.made_with.documents(wildcards))

    def fetch_documents(self, wildcards: Wildcards) -> str:
        return spec("fetch_documents", wildcards, **self.made_with.documents(wildcards))

    def fetch_translations(self, wildcards: Wildcards) -> str:
        return spec("fetch_translations", wildcards, **self.made_with.documents(wildcards))

    def collect_passages(self, wildcards: Wildcards) -> str:
        corpus = self.settings.corpora[wildcards["corpus"]]
        name = corpus.prompts if isinstance(corpus, PromptsCorpus) else ""
        prompts = {"prompts": self.made_with.prompts_in(name, wildcards["language"])}
        documents = self.made_with.documents(wildcards)
        return spec("collect_passages", wildcards, **documents, inputs={"prompts": prompts})

    def collect_prompts(self, wildcards: Wildcards) -> str:
        prompts, language = wildcards["prompts"], wildcards["language"]
        source = f"corpora/from_{self.settings.prompts[prompts].kind}.py"
        values = self.made_with.prompts_in(prompts, language)
        return spec("collect_prompts", wildcards, source, prompts=values, language=language)

    def fetch_prompts(self, wildcards: Wildcards) -> str:
        prompts, language = wildcards["prompts"], wildcards["language"]
        return spec("fetch_prompts", wildcards, prompts=self.made_with.prompts_in(prompts, language), language=language)

    def build_calibration_set(self, wildcards: Wildcards) -> str:
        model, calibration = wildcards["model"], wildcards["calibration"]
        written = parse_calibration(calibration).form == SELF
        files = self.made_with.written(model, calibration) if written else None
        corpus = files or self.made_with.calibration_files(model, calibration)
        return spec(
            "build_calibration_set",
            wildcards,
            calibration=calibration,
            seed=int(wildcards["seed"]),
            **{"others": {}, **self.made_with.shard(model, calibration)},
            inputs={"model": self.made_with.model(model), "corpus": corpus},
        )

    def write_text(self, wildcards: Wildcards) -> str:
        model, calibration = wildcards["model"], wildcards["calibration"]
        corpus = self.made_with.calibration_files(model, calibration)
        return spec(
            "write_text",
            wildcards,
            calibration=calibration,
            seed=int(wildcards["seed"]),
            **self.made_with.written(model, calibration),
            inputs={"model": self.made_with.model(model), "corpus": corpus},
        )

    def build_evaluation_set(self, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        corpus = self.made_with.corpus_files(model, self.settings.languages_of(model))
        inputs = {"model": self.made_with.model(model), "corpus": corpus}
        return spec("build_evaluation_set", wildcards, **self.made_with.evaluation_text(model), inputs=inputs)

    def build_prompt_set(self, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        inputs = {"model": self.made_with.model(model), "prompts": self.made_with.prompt_files(model)}
        return spec("build_prompt_set", wildcards, **self.made_with.prompt_set(model), inputs=inputs)
