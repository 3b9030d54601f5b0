"""What each stage's result depends on besides its input files: a method a stage, of the stage's name.

A spec is one canonical string, which Snakemake stores and compares: a job is made again when it differs. So it holds
what the stage reads and nothing else (`docs/reruns.md` shows what follows for each setting): values of the
configuration, the job's wildcards, and the digest of the stage's code with the plugins that it takes by name.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from polyprune.grammar.benchmarks import columns, datasets
from polyprune.grammar.columns import OWN_FOLDER
from polyprune.grammar.paths import DENSE
from polyprune.grammar.reports import DRAWINGS, TABLES
from polyprune.grammar.schemes import parse_calibration, parse_scheme
from polyprune.grammar.titles import compression_title
from polyprune.provenance import canonical_json, code_digest
from polyprune.settings.config import Settings
from polyprune.settings.models import NO_TOKEN, TextSettings
from polyprune.settings.text import FilesCorpus
from polyprune.workflow.wildcards import Wildcards


class Specs:
    """Specs of all stages under some settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    # Text, prompts and models.

    def collect_documents(self, wildcards: Wildcards) -> str:
        corpus, language = wildcards["corpus"], wildcards["language"]
        source = f"corpora/from_{self.settings.corpora[corpus].kind}.py"
        values = self._corpus_in(corpus, language)
        return _spec("collect_documents", wildcards, source, corpus=values, language=language)

    def fetch_documents(self, wildcards: Wildcards) -> str:
        corpus, language = wildcards["corpus"], wildcards["language"]
        return _spec("fetch_documents", wildcards, corpus=self._corpus_in(corpus, language), language=language)

    def collect_prompts(self, wildcards: Wildcards) -> str:
        prompts, language = wildcards["prompts"], wildcards["language"]
        source = f"corpora/from_{self.settings.prompts[prompts].kind}.py"
        values = self._prompts_in(prompts, language)
        return _spec("collect_prompts", wildcards, source, prompts=values, language=language)

    def fetch_prompts(self, wildcards: Wildcards) -> str:
        prompts, language = wildcards["prompts"], wildcards["language"]
        return _spec("fetch_prompts", wildcards, prompts=self._prompts_in(prompts, language), language=language)

    def train_model(self, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        languages = self.settings.languages_of(model)
        return _spec(
            "train_model", wildcards, source=self._source(model), shape=self._shape(model), languages=languages
        )

    def fetch_model(self, wildcards: Wildcards) -> str:
        return self._checked_model("fetch_model", wildcards)

    def register_model(self, wildcards: Wildcards) -> str:
        return self._checked_model("register_model", wildcards)

    # Text in a model's tokens.

    def build_calibration_set(self, wildcards: Wildcards) -> str:
        text = self.settings.models[wildcards["model"]].text
        return _spec(
            "build_calibration_set",
            wildcards,
            languages=parse_calibration(wildcards["calibration"]),
            seed=int(wildcards["seed"]),
            sampling=text.sampling,
            n_sequences=text.calibration_sequences,
            sequence_length=text.sequence_length,
            **_framing(text, text.sampling == "packed"),
        )

    def build_evaluation_set(self, wildcards: Wildcards) -> str:
        text = self.settings.models[wildcards["model"]].text
        return _spec(
            "build_evaluation_set",
            wildcards,
            n_sequences=text.evaluation_sequences,
            sequence_length=text.sequence_length,
            **_framing(text, packed=True),
        )

    def build_prompt_set(self, wildcards: Wildcards) -> str:
        max_positions = self.settings.models[wildcards["model"]].shape.max_positions
        return _spec("build_prompt_set", wildcards, max_positions=max_positions)

    # Cells.

    def measure_outliers(self, wildcards: Wildcards) -> str:
        return _spec("measure_outliers", wildcards, outlier_factor=self.settings.compression.owl.outlier_factor)

    def prune_model(self, wildcards: Wildcards) -> str:
        method, scheme = wildcards["method"], wildcards["scheme"]
        plugins = [f"methods/{method}.py", *(["model/allocation.py"] if parse_scheme(scheme).owl else [])]
        return _spec(
            "prune_model",
            wildcards,
            *plugins,
            method=method,
            scheme=scheme,
            calibration=wildcards["calibration"],
            seed=int(wildcards["seed"]),
            compression=self.settings.compression.read_by(method, scheme),
        )

    def export_model(self, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        return _spec(
            "export_model",
            wildcards,
            title=self.settings.models[model].title,
            source={name: value for name, value in self._source(model).items() if name in ("kind", "id", "gated")},
        )

    # Dumps and what is measured in them.

    def dump_hidden_states(self, wildcards: Wildcards) -> str:
        sampled_tokens = self.settings.models[wildcards["model"]].text.sampled_tokens
        return _spec("dump_hidden_states", wildcards, sampled_tokens=sampled_tokens)

    def dump_prompts(self, wildcards: Wildcards) -> str:
        return _spec("dump_prompts", wildcards)

    def count_activations(self, wildcards: Wildcards) -> str:
        return _spec("count_activations", wildcards, activation_tokens=self.settings.analysis.activation_tokens)

    def measure_drift(self, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        variant = _variant(wildcards) | {"corpus": self.settings.models[model].text.corpus}
        languages = self.settings.languages_of(model)
        return _spec("measure_drift", wildcards, variant=variant, languages=languages)

    def measure_lsar(self, wildcards: Wildcards) -> str:
        prompts = self.settings.models[wildcards["model"]].prompts
        languages = sorted(self.settings.prompts[prompts].languages) if prompts else []
        return _spec("measure_lsar", wildcards, variant=_variant(wildcards), languages=languages)

    def measure_lape(self, wildcards: Wildcards) -> str:
        return _spec(
            "measure_lape",
            wildcards,
            variant=_variant(wildcards),
            languages=self.settings.lape_languages_of(wildcards["model"]),
            n_groups=self.settings.analysis.lape_groups,
        )

    def measure_mean_activations(self, wildcards: Wildcards) -> str:
        return _spec("measure_mean_activations", wildcards, variant=_variant(wildcards))

    def measure_mask_iou(self, study: str, grid: str) -> str:
        cells = self.settings.studies[study].grids[grid].cells()
        return _spec("measure_mask_iou", {}, variants=[vars(cell) for cell in cells])

    # Benchmarks.

    def register_benchmark(self, wildcards: Wildcards) -> str:
        return _spec(
            "register_benchmark",
            wildcards,
            datasets=datasets(wildcards["benchmark"], "hub"),
            data_root=self.settings.evaluation.data_root,
        )

    def fetch_benchmark(self, wildcards: Wildcards) -> str:
        found = datasets(wildcards["benchmark"], "hub")
        mkqa = {"mkqa_commit": self.settings.evaluation.mkqa.commit if wildcards["benchmark"] == "mkqa" else None}
        return _spec("fetch_benchmark", wildcards, datasets=found, **mkqa)

    def generate_benchmark(self, wildcards: Wildcards) -> str:
        return _spec(
            "generate_benchmark",
            wildcards,
            benchmark=wildcards["benchmark"],
            questions=self.settings.evaluation.demo_questions,
        )

    def evaluate_model(self, wildcards: Wildcards) -> str:
        model, benchmark = wildcards["model"], wildcards["benchmark"]
        source, evaluation = self.settings.benchmarks_of(model), self.settings.evaluation
        asked = columns(benchmark, source, self.settings.languages_of(model))
        profile = "cloze" if source == "demo" else evaluation.profile
        generates = benchmark == "mkqa"
        plugins = {
            "evaluation/cloze.py": profile == "cloze",
            "evaluation/vllm_backend.py": generates and evaluation.generation == "vllm",
            f"{OWN_FOLDER}/_mkqa.yaml": generates,
        }
        return _spec(
            "evaluate_model",
            wildcards,
            *(plugin for plugin, chosen in plugins.items() if chosen),
            *(column.own_yaml for column in asked if column.own_yaml),
            variant=_variant(wildcards),
            benchmark=benchmark,
            columns=[asdict(each) for each in asked],
            profile=profile,
            mkqa=evaluation.mkqa.model_dump(exclude={"commit"}) if generates else None,
            generation=evaluation.generation if generates else None,
        )

    # Tables and figures.

    def tabulate(self, study: str, table: str) -> str:
        entry, cells = self.settings.studies[study].tables[table], self.settings.studies[study].cells(table)
        module, models = TABLES[entry.report].module, dict.fromkeys(cell.model for cell in cells)
        return _spec(
            "tabulate",
            {},
            f"report/tables/{module}.py",
            module=module,
            table=entry.model_dump(mode="json", exclude={"grids"}),
            titles=[[model, self.settings.models[model].title] for model in models],
        )

    def plot_figure(self, study: str, figure: str) -> str:
        entry, cells = self.settings.studies[study].figures[figure], self.settings.studies[study].cells(figure)
        kind, first = DRAWINGS[entry.draws], cells[0]
        names = self.settings.models[first.model].title
        if not kind.of_dense:
            names += f", {compression_title(first.method, sorted({cell.scheme for cell in cells}))}"
        return _spec(
            "plot_figure",
            {},
            f"report/figures/{kind.module}.py",
            module=kind.module,
            figure=entry.model_dump(mode="json", include={"title", "draws", *kind.settings}),
            names=names,
        )

    # Answers and the paper.

    def answer_question(self, study: str) -> str:
        return _spec("answer_question", {}, title=f"The best calibration, study {study}", titles=self._titles(study))

    def compare_with_paper(self, study: str) -> str:
        return _spec("compare_with_paper", {}, title=f"study {study}", titles=self._titles(study))

    def tabulate_claims(self, study: str) -> str:
        return _spec("tabulate_claims", {}, title=f"The paper's claims, and study {study}")

    # What several of them hold.

    def _titles(self, study: str) -> list[list[str]]:
        """Models of a study and their names in print."""
        models = dict.fromkeys(cell.model for cell in self.settings.studies[study].all_cells())
        return [[model, self.settings.models[model].title] for model in models]

    def _corpus_in(self, corpus: str, language: str) -> dict[str, Any]:
        """The settings that one language of a corpus depends on: not which other languages there are."""
        values = self.settings.corpora[corpus].model_dump(mode="json")
        if isinstance(self.settings.corpora[corpus], FilesCorpus):
            return values | {"files": {language: values["files"][language]}}
        return values | {"languages": [language]}

    def _prompts_in(self, prompts: str, language: str) -> dict[str, Any]:
        """The settings that one language of the prompts depends on."""
        values = self.settings.prompts[prompts].model_dump(mode="json")
        by_language = {name: {language: values[name][language]} for name in ("files", "codes") if name in values}
        return values | by_language | ({"languages": [language]} if "languages" in values else {})

    def _source(self, model: str) -> dict[str, Any]:
        return self.settings.models[model].source.model_dump(mode="json")

    def _shape(self, model: str) -> dict[str, Any]:
        """What config.json also says; not what only plans memory."""
        return self.settings.models[model].shape.model_dump(mode="json", exclude={"bytes_per_weight"})

    def _checked_model(self, stage: str, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        source = {name: value for name, value in self._source(model).items() if name != "gated"}
        return _spec(stage, wildcards, source=source, shape=self._shape(model), name=model)


def _spec(stage: str, wildcards: Wildcards, *plugins: str, **values: Any) -> str:
    job = " ".join([stage, *(value for _, value in wildcards.items())])
    return canonical_json({"code": code_digest(stage, *plugins), "job": job, **values})


def _framing(text: TextSettings, packed: bool) -> dict[str, str]:
    """What stands around documents: it matters for packed text only."""
    return {"bos": text.bos, "separator": text.separator} if packed else {"bos": NO_TOKEN, "separator": NO_TOKEN}


def _variant(wildcards: Wildcards) -> dict[str, Any]:
    """The columns that name a variant in score files."""
    names = ("method", "scheme", "calibration")
    seed = wildcards.get("seed")
    return {
        "model": wildcards["model"],
        **{name: wildcards.get(name, DENSE) for name in names},
        "seed": None if seed is None else int(seed),
    }
