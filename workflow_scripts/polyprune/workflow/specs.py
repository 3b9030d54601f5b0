"""What each stage's result depends on besides its input files: a method a stage, of the stage's name.

A spec is one canonical string, which Snakemake stores and compares: a job is made again when it differs. So it holds
what the stage reads and nothing else (`docs/reruns.md` shows what follows for each setting): values of the
configuration, the job's wildcards, and the digest of the stage's code with the plugins that it takes by name. Where
the user's own files lie is none of it (`places.py`): their content decides (`outside.py`).

Its `inputs` say, for each option of input files, what their headers have to say: the settings that those were to be
made with (`made_with.py`); where there are many, `made_with` says so by place (`by_place.py`). They follow from the
settings upstream, so they make nothing again that would not be made again anyway; they are there for results that
Snakemake has no record of (`artifacts/identity.py`).
"""

from __future__ import annotations

from typing import Any

from polyprune.grammar.benchmarks import datasets
from polyprune.grammar.methods import traits_of
from polyprune.grammar.reports import DRAWINGS, TABLES
from polyprune.grammar.schemes import parse_calibration, parse_scheme
from polyprune.places import reference
from polyprune.settings.config import Settings
from polyprune.workflow.by_place import ByPlace, of_study
from polyprune.workflow.made_with import MadeWith, Mixed
from polyprune.workflow.outside import DATA_ROOT
from polyprune.workflow.spec_values import (
    benchmarks_of,
    cell_at,
    name_in_figure,
    named_cell,
    page_of_study,
    plugins_of_evaluation,
    shares_of_training,
    spec,
    titles_of,
    titles_of_study,
    variant_of,
    with_digest,
)
from polyprune.workflow.wildcards import Wildcards


class Specs:
    """Specs of all stages under some settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.made_with = settings, MadeWith(settings)
        self.by_place = ByPlace(settings, self.made_with)

    # Text, prompts and models.

    def collect_documents(self, wildcards: Wildcards) -> str:
        source = f"corpora/from_{self.settings.corpora[wildcards['corpus']].kind}.py"
        return spec("collect_documents", wildcards, source, **self.made_with.documents(wildcards))

    def fetch_documents(self, wildcards: Wildcards) -> str:
        return spec("fetch_documents", wildcards, **self.made_with.documents(wildcards))

    def fetch_translations(self, wildcards: Wildcards) -> str:
        return spec("fetch_translations", wildcards, **self.made_with.documents(wildcards))

    def collect_prompts(self, wildcards: Wildcards) -> str:
        prompts, language = wildcards["prompts"], wildcards["language"]
        source = f"corpora/from_{self.settings.prompts[prompts].kind}.py"
        values = self.made_with.prompts_in(prompts, language)
        return spec("collect_prompts", wildcards, source, prompts=values, language=language)

    def fetch_prompts(self, wildcards: Wildcards) -> str:
        prompts, language = wildcards["prompts"], wildcards["language"]
        return spec("fetch_prompts", wildcards, prompts=self.made_with.prompts_in(prompts, language), language=language)

    def train_model(self, wildcards: Wildcards) -> str:
        training = self.made_with.training(wildcards["model"])
        corpus = self.made_with.corpus_files(wildcards["model"], training["languages"])
        return spec("train_model", wildcards, **training, inputs={"corpus": corpus})

    def fetch_model(self, wildcards: Wildcards) -> str:
        return self._checked_model("fetch_model", wildcards)

    def register_model(self, wildcards: Wildcards) -> str:
        return self._checked_model("register_model", wildcards)

    def convert_model(self, wildcards: Wildcards) -> str:
        return self._checked_model("convert_model", wildcards)

    # Text in a model's tokens.

    def build_calibration_set(self, wildcards: Wildcards) -> str:
        model, languages = wildcards["model"], parse_calibration(wildcards["calibration"])
        return spec(
            "build_calibration_set",
            wildcards,
            languages=languages,
            seed=int(wildcards["seed"]),
            **self.made_with.shard(model),
            inputs={"model": self.made_with.model(model), "corpus": self.made_with.corpus_files(model, languages)},
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

    # Cells.

    def measure_outliers(self, wildcards: Wildcards) -> str:
        inputs = self.made_with.of_compression(wildcards)
        return spec("measure_outliers", wildcards, **self.made_with.outliers(), inputs=inputs)

    def prune_model(self, wildcards: Wildcards) -> str:
        method, scheme = wildcards["method"], wildcards["scheme"]
        owl = parse_scheme(scheme).owl
        plugins = [f"methods/{method}.py", *(["model/allocation.py"] if owl else [])]
        return spec(
            "prune_model",
            wildcards,
            *plugins,
            **named_cell(wildcards),
            compression=self.settings.compression.read_by(method, scheme),
            inputs=self.made_with.of_compression(wildcards) | ({"outliers": self.made_with.outliers()} if owl else {}),
        )

    def remove_experts(self, wildcards: Wildcards) -> str:
        inputs = self.made_with.of_compression(wildcards)
        return spec("remove_experts", wildcards, **named_cell(wildcards), inputs=inputs)

    def compose_cell(self, wildcards: Wildcards) -> str:
        whole = self.made_with.whole_cell(wildcards)
        return spec(
            "compose_cell",
            wildcards,
            **named_cell(wildcards),
            n_layers=self.settings.models[wildcards["model"]].sizes.layers,
            inputs={"model": self.made_with.model(wildcards["model"]), "rest": whole, "part": whole},
        )

    def register_checkpoint(self, wildcards: Wildcards) -> str:
        return spec("register_checkpoint", wildcards, source=self.made_with.checkpoint(cell_at(wildcards)))

    def import_cell(self, wildcards: Wildcards) -> str:
        source = self.made_with.origin(cell_at(wildcards))
        return spec(
            "import_cell",
            wildcards,
            **named_cell(wildcards),
            updates=traits_of(wildcards["method"]).updates,
            inputs={"model": self.made_with.model(wildcards["model"]), "checkpoint": {"source": source}},
        )

    def export_model(self, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        return spec(
            "export_model",
            wildcards,
            title=self.settings.models[model].title,
            source={
                name: value for name, value in self.made_with.source(model).items() if name in ("kind", "id", "gated")
            },
            inputs=self.made_with.of_variant(wildcards),
        )

    # Dumps and what is measured in them.

    def dump_hidden_states(self, wildcards: Wildcards, mixed: Mixed = ()) -> str:
        return spec("dump_hidden_states", wildcards, **self.made_with.dump(wildcards, mixed))

    def dump_prompts(self, wildcards: Wildcards, mixed: Mixed = ()) -> str:
        return spec("dump_prompts", wildcards, **self.made_with.prompt_dump(wildcards, mixed))

    def count_activations(self, wildcards: Wildcards) -> str:
        return spec("count_activations", wildcards, **self.made_with.activations(wildcards))

    def measure_drift(self, wildcards: Wildcards) -> str:
        variant = variant_of(wildcards) | {"corpus": self.settings.models[wildcards["model"]].text.corpus}
        return spec("measure_drift", wildcards, variant=variant, **self.made_with.drift(wildcards))

    def measure_lsar(self, wildcards: Wildcards) -> str:
        return spec("measure_lsar", wildcards, variant=variant_of(wildcards), **self.made_with.lsar(wildcards))

    def measure_lape(self, wildcards: Wildcards) -> str:
        return spec("measure_lape", wildcards, variant=variant_of(wildcards), **self.made_with.lape(wildcards))

    def measure_mean_activations(self, wildcards: Wildcards) -> str:
        made_with = self.made_with.mean_activations(wildcards)
        return spec("measure_mean_activations", wildcards, variant=variant_of(wildcards), **made_with)

    def measure_routing(self, wildcards: Wildcards) -> str:
        return spec("measure_routing", wildcards, variant=variant_of(wildcards), **self.made_with.routing(wildcards))

    def measure_mask_iou(self, study: str, grid: str) -> str:
        cells = self.settings.studies[study].grids[grid].cells()
        return spec("measure_mask_iou", {}, **self.made_with.mask_iou(cells))

    def compare_masks(self, study: str, grid: str) -> str:
        cells = self.settings.studies[study].grids[grid].cells()
        return spec("compare_masks", {}, **self.made_with.mask_iou(cells))

    # Benchmarks.

    def register_benchmark(self, wildcards: Wildcards) -> str:
        found = datasets(wildcards["benchmark"], "hub")
        return spec("register_benchmark", wildcards, datasets=found, data_root=reference(DATA_ROOT))

    def fetch_benchmark(self, wildcards: Wildcards) -> str:
        found = datasets(wildcards["benchmark"], "hub")
        mkqa = {"mkqa_commit": self.settings.evaluation.mkqa.commit if wildcards["benchmark"] == "mkqa" else None}
        return spec("fetch_benchmark", wildcards, datasets=found, **mkqa)

    def generate_benchmark(self, wildcards: Wildcards) -> str:
        questions = self.settings.evaluation.demo_questions
        return spec("generate_benchmark", wildcards, benchmark=wildcards["benchmark"], questions=questions)

    def evaluate_model(self, wildcards: Wildcards) -> str:
        asked = self.made_with.evaluation(wildcards)
        return spec("evaluate_model", wildcards, *plugins_of_evaluation(asked), variant=variant_of(wildcards), **asked)

    # Tables and figures.

    def tabulate(self, study: str, table: str) -> str:
        entry, cells = self.settings.studies[study].tables[table], self.settings.studies[study].cells(table)
        kind = TABLES[entry.report]
        made_with = self.by_place.of_report(study, table, kind)
        return spec(
            "tabulate",
            {},
            f"report/tables/{kind.module}.py",
            module=kind.module,
            table=entry.model_dump(mode="json", exclude={"grids"}),
            titles=titles_of(self.settings, cells, entry.benchmarks),
            **with_digest(made_with),
        )

    def plot_figure(self, study: str, figure: str) -> str:
        entry, cells = self.settings.studies[study].figures[figure], self.settings.studies[study].cells(figure)
        kind = DRAWINGS[entry.draws]
        return spec(
            "plot_figure",
            {},
            f"report/figures/{kind.module}.py",
            module=kind.module,
            figure=entry.model_dump(mode="json", include={"title", "draws", *kind.settings}),
            names=name_in_figure(self.settings, cells, kind.of_dense),
            **with_digest(self.by_place.of_report(study, figure, kind)),
        )

    # Answers and the paper.

    def answer_question(self, study: str) -> str:
        cells, asked = self.settings.studies[study].all_cells(), benchmarks_of(self.settings, study)
        return spec(
            "answer_question",
            {},
            title=f"The best calibration, study {study}",
            titles=titles_of_study(self.settings, study),
            **with_digest(self.by_place.dumps(cells) | self.by_place.evaluations(cells, asked)),
        )

    def compare_with_paper(self, study: str) -> str:
        titles = titles_of_study(self.settings, study)
        return spec("compare_with_paper", {}, title=f"study {study}", titles=titles, made_with=self._tables(study))

    def tabulate_claims(self, study: str) -> str:
        titles = titles_of_study(self.settings, study)
        made_with = with_digest(self._tables(study))
        return spec("tabulate_claims", {}, title=f"study {study}", titles=titles, **made_with)

    def explain_damage(self, study: str) -> str:
        cells, asked = self.settings.studies[study].all_cells(), benchmarks_of(self.settings, study)
        models = dict.fromkeys(cell.model for cell in cells)
        made_with = self.by_place.scores(cells) | self.by_place.prompts(models)
        return spec(
            "explain_damage",
            {},
            shares=shares_of_training(self.settings, models),
            title=f"Why, in study {study}",
            titles=titles_of_study(self.settings, study),
            made_with=made_with | self.by_place.evaluations(cells, asked),
        )

    def write_report(self, study: str) -> str:
        entry = self.settings.studies[study]
        made = {f"{table}.json": self.tabulate(study, table) for table in entry.tables}
        made |= {f"{figure}.png": self.plot_figure(study, figure) for figure in entry.figures}
        made["best_calibration.parquet"] = self.answer_question(study)
        made["claims.parquet"] = self.tabulate_claims(study)
        parts = [f"report/page/page.{kind}" for kind in ("html", "css", "js")]
        return spec(
            "write_report",
            {},
            *parts,
            study=page_of_study(self.settings, study),
            inputs=self.made_with.of_page(entry.all_cells()),
            made_with=of_study(study, made),
        )

    def _tables(self, study: str) -> dict[str, Any]:
        tables = self.settings.studies[study].tables
        return of_study(study, {f"{table}.parquet": self.tabulate(study, table) for table in tables})

    def _checked_model(self, stage: str, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        source = {name: value for name, value in self.made_with.source(model).items() if name != "gated"}
        return spec(stage, wildcards, source=source, shape=self.made_with.shape(model), name=model)
