"""What inputs are to be made with, as their headers say it: the settings upstream of a job.

A spec (`specs.py`) takes from here what it shares with those downstream of it: the settings that a corpus, a model, a
shard, a dump depend on are written once, and said twice, to the job that makes the file and to those that read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from polyprune.grammar.benchmarks import columns, datasets
from polyprune.grammar.calibrations import CHAT, PLAIN, RANDOM, SELF, parse_calibration
from polyprune.grammar.paths import Cell, origin_of
from polyprune.grammar.schemes import parse_scheme
from polyprune.places import reference
from polyprune.settings.config import Settings
from polyprune.settings.sizes import NOT_COMPARED
from polyprune.settings.text import FilesCorpus, FilesPrompts, HubPrompts, PromptsCorpus, TmxCorpus
from polyprune.workflow.spec_values import cell_at, framing, place_of_import, unsampled
from polyprune.workflow.wildcards import Wildcards

Entries = dict[str, Any]
Mixed = Sequence[Cell]
"""The cells of one job, where they are of several methods or schemes."""


class MadeWith:
    """Entries of headers under some settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self._columns = settings, cache(self._columns_of)

    def _columns_of(self, benchmark: str, source: str, languages: tuple[str, ...]) -> list[Entries]:
        return [asdict(each) for each in columns(self.settings.all_benchmarks[benchmark], source, languages)]

    def corpus_in(self, corpus: str, language: str) -> Entries:
        """The settings that one language of a corpus depends on: not which other languages there are."""
        values = self.settings.corpora[corpus].model_dump(mode="json")
        match self.settings.corpora[corpus]:
            case FilesCorpus():
                return values | {"files": {language: reference("corpora", corpus, language)}}
            case TmxCorpus():
                return values | {"files": {language: values["files"][language]}, "folder": reference("corpora", corpus)}
        codes = {name: code for name, code in values.get("codes", {}).items() if name == language}
        return values | {"languages": [language], **({"codes": codes} if "codes" in values else {})}

    def documents(self, wildcards: Wildcards) -> Entries:
        """The settings of one language's file of text, and which language."""
        corpus, language = wildcards["corpus"], wildcards["language"]
        return {"corpus": self.corpus_in(corpus, language), "language": language}

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
        return values | ({"path": reference("models", model)} if values.get("path") else {})

    def checkpoint(self, cell: Cell) -> Entries:
        """Where a cell of a checkpoint is from."""
        values = self.settings.imported[cell].model_dump(mode="json", exclude_none=True)
        return values | ({"path": reference(*place_of_import(cell))} if "path" in values else {})

    def origin(self, cell: Cell) -> Entries:
        """What of that headers have to say: a repository by name and commit; a folder may be anywhere."""
        source = self.checkpoint(cell)
        return {name: source[name] for name in ("kind", "id", "revision") if name in source}

    def shape(self, model: str) -> Entries | None:
        """What config.json also says, if it is given by hand; not what only plans memory."""
        shape = self.settings.models[model].shape
        return shape and shape.model_dump(mode="json", exclude=set(NOT_COMPARED))

    def corpus_files(self, model: str, languages: Sequence[str]) -> list[Entries]:
        """A model's corpus in some languages."""
        corpus = self.settings.models[model].text.corpus
        return [{"corpus": self.corpus_in(corpus, language)} for language in languages]

    def calibration_files(self, model: str, calibration: str) -> list[Entries]:
        """The text of each term of a calibration."""
        own, terms = self.settings.models[model].text.corpus, parse_calibration(calibration).terms
        return [{"corpus": self.corpus_in(term.corpus or own, term.language)} for term in terms]

    def text(self, model: str) -> Entries:
        """A model's corpus, apart from its languages: files of one language and of several have this in common."""
        return self._text_of(self.settings.models[model].text.corpus)

    def _text_of(self, name: str) -> Entries:
        corpus = self.settings.corpora[name]
        of_languages = {"files", "folder"} if isinstance(corpus, FilesCorpus | TmxCorpus) else {"languages"}
        prompts = {"prompts": self._prompts_of(corpus.prompts)} if isinstance(corpus, PromptsCorpus) else {}
        return corpus.model_dump(mode="json", exclude=of_languages) | prompts

    def asked(self, model: str) -> Entries:
        """A model's prompts, apart from their languages."""
        return self._prompts_of(self.settings.models[model].prompts or "")

    def _prompts_of(self, name: str) -> Entries:
        prompts = self.settings.prompts[name]
        of_languages = {"files", "codes"} if isinstance(prompts, FilesPrompts | HubPrompts) else {"languages"}
        return prompts.model_dump(mode="json", exclude=of_languages)

    def training(self, model: str) -> Entries:
        """How a model is trained."""
        return {
            "source": self.source(model),
            "shape": self.shape(model),
            "languages": self.settings.languages_of(model),
            "text": self.text(model),
        }

    def model(self, model: str) -> Entries:
        """A trained model by its training, one of the hub by name and commit; a folder's may be anywhere."""
        source = self.source(model)
        if source["kind"] == "train":
            return {"provenance": self.training(model)}
        named = {name: source[name] for name in ("kind", "id", "file", "dtype") if name in source}
        chosen = {"revision": source["revision"]} if source.get("revision") else {}
        return {"source": named | chosen, "provenance": {"shape": self.shape(model)}}

    def shard(self, model: str, calibration: str | None = None) -> Entries:
        """The text of a calibration shard of a model; if none is said, of any whose calibration says languages only."""
        text, asked = self.settings.models[model].text, parse_calibration(calibration or PLAIN)
        length = {
            "n_sequences": asked.budget or text.calibration_sequences,
            "sequence_length": text.sequence_length,
        }
        if not asked.terms:
            return {"text": None, "form": RANDOM, **unsampled(), **length}
        samplings = {corpus: text.sampling_of.get(corpus, text.sampling) for corpus in asked.corpora}
        source = {"text": self.text(model) if asked.is_on_own_text else None}
        others = {corpus: {"text": self._text_of(corpus), "sampling": each} for corpus, each in samplings.items()}
        source |= {"others": others} if others else {}
        if asked.form == CHAT:
            return source | {"form": CHAT, **unsampled(), **length}
        if asked.form == SELF:
            written = {"form": SELF, "self_written": text.self_written.model_dump(), "sampling": "packed"}
            return source | written | length | framing(text, packed=True)
        own = {text.sampling} if asked.is_on_own_text else set[str]()
        packed = "packed" in own | set(samplings.values())
        return source | {"sampling": text.sampling} | length | framing(text, packed)

    def written(self, model: str, calibration: str) -> Entries:
        """The text that a model writes for a calibration."""
        shard = self.shard(model, calibration)
        return {name: shard[name] for name in shard if name not in ("form", "sampling")}

    def evaluation_text(self, model: str) -> Entries:
        """A model's evaluation text, in any language."""
        text = self.settings.models[model].text
        return {
            "text": self.text(model),
            "n_sequences": text.evaluation_sequences,
            "sequence_length": text.sequence_length,
            **framing(text, packed=True),
        }

    def prompt_set(self, model: str) -> Entries:
        """Prompts in a model's tokens, in any language."""
        return {"asked": self.asked(model), "max_positions": self.settings.models[model].sizes.max_positions}

    def prompt_files(self, model: str) -> list[Entries]:
        """A model's prompts in all their languages."""
        name = self.settings.models[model].prompts or ""
        languages = sorted(self.settings.prompts[name].languages)
        return [{"prompts": self.prompts_in(name, language)} for language in languages]

    def of_compression(self, wildcards: Wildcards) -> Entries:
        """What is read to make a cell."""
        tokens = self.shard(wildcards["model"], wildcards.get("calibration"))
        return {"model": self.model(wildcards["model"]), "tokens": tokens}

    def outliers(self) -> Entries:
        """What OWL calls an outlier."""
        return {"outlier_factor": self.settings.compression.owl.outlier_factor}

    def cell(self, wildcards: Mapping[str, Any]) -> Entries:
        """A cell; without a calibration any of its model, method and scheme that is calibrated on languages alone."""
        whole, layers = self.whole_cell(wildcards), self.settings.models[wildcards["model"]].sizes.layers
        composed = {"n_layers": layers, "inputs": {"rest": whole}}
        return composed if parse_scheme(wildcards["scheme"]).exchange else whole

    def whole_cell(self, wildcards: Mapping[str, Any]) -> Entries:
        """Such a cell, or those that a composed one is put together from; one of a checkpoint, where it is one only."""
        if origin_of(wildcards["method"]) is not None:
            return (
                {"checkpoint": {"source": self.origin(cell_at(wildcards))}} if wildcards.get("seed") is not None else {}
            )
        compression = self.settings.compression.read_by(wildcards["method"], wildcards["scheme"])
        shard = self.shard(wildcards["model"], wildcards.get("calibration"))
        return {"compression": compression, "inputs": {"tokens": shard}}

    def of_variant(self, wildcards: Wildcards, mixed: Mixed = ()) -> Entries:
        """A model, and a cell unless it is the dense one, or those that one job looks at."""
        cell = {"cell": self.cell(wildcards)} if _is_of_cell(wildcards) else {}
        cells = {"cell": [self.cell(asdict(each)) for each in mixed]} if mixed else {}
        return {"model": self.model(wildcards["model"]), **cell, **cells}

    def dump(self, wildcards: Wildcards, mixed: Mixed = ()) -> Entries:
        """A variant's hidden states on its corpus."""
        model = wildcards["model"]
        return {
            "sampled_tokens": self.settings.models[model].text.sampled_tokens,
            "inputs": self.of_variant(wildcards, mixed) | {"evaluation": self.evaluation_text(model)},
        }

    def prompt_dump(self, wildcards: Wildcards, mixed: Mixed = ()) -> Entries:
        """A variant's hidden states on its prompts."""
        return {"inputs": self.of_variant(wildcards, mixed) | {"prompts": self.prompt_set(wildcards["model"])}}

    def activations(self, wildcards: Wildcards) -> Entries:
        """A variant's activations on its corpus."""
        return {
            "activation_tokens": self.settings.analysis.activation_tokens,
            "inputs": self.of_variant(wildcards) | {"evaluation": self.evaluation_text(wildcards["model"])},
        }

    # What is measured.

    def drift(self, wildcards: Wildcards) -> Entries:
        """A variant's scores on its corpus."""
        languages = self.settings.languages_of(wildcards["model"])
        return {"languages": languages, "inputs": {"dumps": {"provenance": self.dump(wildcards)}}}

    def lsar(self, wildcards: Wildcards) -> Entries:
        """How far a variant moves prompts."""
        prompts = self.settings.models[wildcards["model"]].prompts
        languages = sorted(self.settings.prompts[prompts].languages) if prompts else []
        return {"languages": languages, "inputs": self.of_pair(wildcards, self.prompt_dump) if prompts else {}}

    def lape(self, wildcards: Wildcards) -> Entries:
        """A variant's neurons."""
        return {
            "languages": self.settings.lape_languages_of(wildcards["model"]),
            "n_groups": self.settings.analysis.lape_groups,
            "inputs": self.of_pair(wildcards, self.activations),
        }

    def each_language(self, wildcards: Wildcards) -> Entries:
        """What is measured of a variant in each language of its corpus."""
        model = wildcards["model"]
        return {"languages": self.settings.languages_of(model), **self.activations(wildcards)}

    routing = activation_ranges = each_language

    def mean_activations(self, wildcards: Wildcards) -> Entries:
        """A variant's channels."""
        return {"inputs": self.of_pair(wildcards, self.activations)}

    def of_page(self, cells: Iterable[Cell]) -> Entries:
        """A study's models and their corpora, in the order of `Inputs.manifests` and `Inputs.texts`."""
        models = dict.fromkeys(cell.model for cell in cells)
        corpora = dict.fromkeys(self.settings.models[model].text.corpus for model in models)
        texts = [
            (corpus, language) for corpus in corpora for language in sorted(self.settings.corpora[corpus].languages)
        ]
        return {
            "manifests": [self.model(model) for model in models],
            "corpora": [{"corpus": self.corpus_in(*text)} for text in texts],
        }

    def mask_iou(self, cells: Iterable[Cell]) -> Entries:
        """Overlap of the masks of cells."""
        found = [vars(cell) for cell in cells]
        return {"variants": found, "inputs": {"cells": [self.cell(each) for each in found]}}

    def benchmark_data(self, model: str, benchmark: str) -> Entries:
        """The questions that a model is asked."""
        if self.settings.source_of(model, benchmark) == "demo":
            return {"provenance": {"questions": self.settings.evaluation.demo_questions}}
        of_mkqa = benchmark == "mkqa" and self.settings.evaluation.data_root is None
        mkqa = {"mkqa_commit": self.settings.evaluation.mkqa.commit} if of_mkqa else {}
        return {"provenance": {"datasets": datasets(self.settings.all_benchmarks[benchmark], "hub"), **mkqa}}

    def evaluation(self, wildcards: Wildcards) -> Entries:
        """A variant's answers to a benchmark, and their scores."""
        model, benchmark = wildcards["model"], wildcards["benchmark"]
        source, evaluation = self.settings.source_of(model, benchmark), self.settings.evaluation
        generates, asked = benchmark == "mkqa", self.settings.all_benchmarks[benchmark].asked
        return {
            "benchmark": benchmark,
            "columns": self._columns(benchmark, source, tuple(self.settings.languages_of(model))),
            "profile": "cloze" if source == "demo" else evaluation.profile if asked is None else "current",
            "mkqa": evaluation.mkqa.model_dump(exclude={"commit"}) if generates else None,
            "generation": evaluation.generation if generates else None,
            "asked": None if asked is None else asdict(asked),
            "inputs": self.of_variant(wildcards) | {"data": self.benchmark_data(model, benchmark)},
        }

    def of_pair(self, wildcards: Wildcards, made: Callable[[Wildcards], Entries]) -> Entries:
        """The dense model's measurements, and a cell's unless it is the dense one that is measured."""
        dense = {"dense": {"provenance": made({"model": wildcards["model"]})}}
        return dense | ({"cell": {"provenance": made(wildcards)}} if _is_of_cell(wildcards) else {})


def _is_of_cell(wildcards: Wildcards) -> bool:
    return wildcards.get("method") is not None
