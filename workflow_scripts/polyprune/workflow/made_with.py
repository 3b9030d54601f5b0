"""What inputs are to be made with, as their headers say it: the settings upstream of a job.

A spec (`specs.py`) takes from here what it shares with those downstream of it: the settings that a corpus, a model, a
shard, a dump depend on are written once, and said twice, to the job that makes the file and to those that read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from polyprune.grammar.schemes import parse_calibration, parse_scheme
from polyprune.places import reference
from polyprune.settings.config import Settings
from polyprune.settings.text import FilesCorpus, FilesPrompts, HubPrompts
from polyprune.workflow.spec_values import framing
from polyprune.workflow.wildcards import Wildcards

Entries = dict[str, Any]


class MadeWith:
    """Entries of headers under some settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def corpus_in(self, corpus: str, language: str) -> Entries:
        """The settings that one language of a corpus depends on: not which other languages there are."""
        values = self.settings.corpora[corpus].model_dump(mode="json")
        if isinstance(self.settings.corpora[corpus], FilesCorpus):
            return values | {"files": {language: reference("corpora", corpus, language)}}
        return values | {"languages": [language]}

    def prompts_in(self, prompts: str, language: str) -> Entries:
        """The settings that one language of the prompts depends on."""
        values = self.settings.prompts[prompts].model_dump(mode="json")
        match self.settings.prompts[prompts]:
            case FilesPrompts():
                return values | {"files": {language: reference("prompts", prompts, language)}}
            case HubPrompts():
                return values | {"codes": {language: values["codes"][language]}}
        return values | {"languages": [language]}

    def source(self, model: str) -> Entries:
        """Where a model is from."""
        values = self.settings.models[model].source.model_dump(mode="json")
        return values | ({"path": reference("models", model)} if values["kind"] == "folder" else {})

    def shape(self, model: str) -> Entries:
        """What config.json also says; not what only plans memory."""
        return self.settings.models[model].shape.model_dump(mode="json", exclude={"bytes_per_weight"})

    def corpus_files(self, model: str, languages: Sequence[str]) -> list[Entries]:
        """A model's corpus in some languages."""
        corpus = self.settings.models[model].text.corpus
        return [{"corpus": self.corpus_in(corpus, language)} for language in languages]

    def model(self, model: str) -> Entries:
        """A trained model by its training, one of the hub by its name; a folder's may be anywhere."""
        source = self.source(model)
        if source["kind"] != "train":
            return {"source": {name: source[name] for name in ("kind", "id") if name in source}}
        languages = self.settings.languages_of(model)
        return {"provenance": {"source": source, "shape": self.shape(model), "languages": languages}}

    def shard(self, model: str) -> Entries:
        """The text of any calibration shard of a model."""
        text = self.settings.models[model].text
        return {
            "sampling": text.sampling,
            "n_sequences": text.calibration_sequences,
            "sequence_length": text.sequence_length,
            **framing(text, text.sampling == "packed"),
        }

    def evaluation_text(self, model: str) -> Entries:
        """A model's evaluation text, in any language."""
        text, languages = self.settings.models[model].text, self.settings.languages_of(model)
        return {
            "n_sequences": text.evaluation_sequences,
            "sequence_length": text.sequence_length,
            **framing(text, packed=True),
            "inputs": {"model": self.model(model), "corpus": self.corpus_files(model, languages)},
        }

    def prompt_set(self, model: str) -> Entries:
        """Prompts in a model's tokens, in any language."""
        name = self.settings.models[model].prompts
        languages = sorted(self.settings.prompts[name].languages) if name else []
        prompts = [{"prompts": self.prompts_in(name, language)} for language in languages] if name else []
        return {
            "max_positions": self.settings.models[model].shape.max_positions,
            "inputs": {"model": self.model(model), "prompts": prompts},
        }

    def of_compression(self, wildcards: Wildcards) -> Entries:
        """What is read to make a cell."""
        model, languages = wildcards["model"], parse_calibration(wildcards["calibration"])
        corpus = self.corpus_files(model, languages)
        return {"model": self.model(model), "tokens": self.shard(model) | {"inputs": {"corpus": corpus}}}

    def cell(self, wildcards: Mapping[str, Any]) -> Entries:
        """Any cell of a model, method and scheme: cells of several calibrations and seeds are dumped by one job."""
        whole = self.whole_cell(wildcards)
        return {"inputs": {"rest": whole}} if parse_scheme(wildcards["scheme"]).exchange else whole

    def whole_cell(self, wildcards: Mapping[str, Any]) -> Entries:
        """Such a cell, or those that a composed one is put together from."""
        compression = self.settings.compression.read_by(wildcards["method"], wildcards["scheme"])
        return {"compression": compression, "inputs": {"tokens": self.shard(wildcards["model"])}}

    def of_variant(self, wildcards: Wildcards) -> Entries:
        """A model, and a cell unless it is the dense one."""
        cell = {"cell": self.cell(wildcards)} if _is_of_cell(wildcards) else {}
        return {"model": self.model(wildcards["model"]), **cell}

    def dump(self, wildcards: Wildcards) -> Entries:
        """A variant's hidden states on its corpus."""
        model = wildcards["model"]
        return {
            "sampled_tokens": self.settings.models[model].text.sampled_tokens,
            "inputs": self.of_variant(wildcards) | {"evaluation": self.evaluation_text(model)},
        }

    def prompt_dump(self, wildcards: Wildcards) -> Entries:
        """A variant's hidden states on its prompts."""
        return {"inputs": self.of_variant(wildcards) | {"prompts": self.prompt_set(wildcards["model"])}}

    def activations(self, wildcards: Wildcards) -> Entries:
        """A variant's activations on its corpus."""
        return {
            "activation_tokens": self.settings.analysis.activation_tokens,
            "inputs": self.of_variant(wildcards) | {"evaluation": self.evaluation_text(wildcards["model"])},
        }

    def of_pair(self, wildcards: Wildcards, made: Callable[[Wildcards], Entries]) -> Entries:
        """The dense model's measurements, and a cell's unless it is the dense one that is measured."""
        dense = {"dense": {"provenance": made({"model": wildcards["model"]})}}
        return dense | ({"cell": {"provenance": made(wildcards)}} if _is_of_cell(wildcards) else {})


def _is_of_cell(wildcards: Wildcards) -> bool:
    return wildcards.get("method") is not None
