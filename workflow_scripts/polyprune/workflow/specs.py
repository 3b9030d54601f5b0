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

from polyprune.grammar.benchmarks import datasets
from polyprune.grammar.methods import traits_of
from polyprune.grammar.paths import DENSE
from polyprune.grammar.schemes import OWL, parse_scheme
from polyprune.places import reference
from polyprune.settings.config import Settings
from polyprune.workflow.by_place import ByPlace
from polyprune.workflow.made_with import Entries, MadeWith, Mixed
from polyprune.workflow.outside import DATA_ROOT
from polyprune.workflow.spec_values import cell_at, named_cell, plugins_of_evaluation, spec, variant_of
from polyprune.workflow.study_specs import StudySpecs
from polyprune.workflow.text_specs import TextSpecs
from polyprune.workflow.wildcards import Wildcards


class Specs(TextSpecs, StudySpecs):
    """Specs of all stages under some settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.made_with = settings, MadeWith(settings)
        self.by_place = ByPlace(settings, self.made_with)

    # Models.

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

    def register_prompting(self, wildcards: Wildcards) -> str:
        return spec("register_prompting", wildcards, inputs={"model": self.made_with.model(wildcards["model"])})

    # Cells.

    def measure_outliers(self, wildcards: Wildcards) -> str:
        inputs = self.made_with.of_compression(wildcards)
        return spec("measure_outliers", wildcards, **self.made_with.outliers(), inputs=inputs)

    def measure_correlations(self, wildcards: Wildcards) -> str:
        inputs = self.made_with.of_compression(wildcards)
        return spec("measure_correlations", wildcards, calibration=wildcards["calibration"], inputs=inputs)

    def prune_model(self, wildcards: Wildcards) -> str:
        method, scheme = wildcards["method"], wildcards["scheme"]
        plugins = [f"methods/{method}.py", *(["model/allocation.py"] if parse_scheme(scheme).allocation else [])]
        return spec(
            "prune_model",
            wildcards,
            *plugins,
            **named_cell(wildcards),
            compression=self.settings.compression.read_by(method, scheme),
            inputs=self.made_with.of_compression(wildcards) | self._allocation(wildcards),
        )

    def remove_experts(self, wildcards: Wildcards) -> str:
        inputs = self.made_with.of_compression(wildcards)
        return spec("remove_experts", wildcards, **named_cell(wildcards), inputs=inputs)

    def compose_cell(self, wildcards: Wildcards) -> str:
        exchange = parse_scheme(wildcards["scheme"]).exchange
        part = wildcards["calibration"] if exchange is None or exchange.part == DENSE else exchange.part
        return spec(
            "compose_cell",
            wildcards,
            **named_cell(wildcards),
            n_layers=self.settings.models[wildcards["model"]].sizes.layers,
            inputs={
                "model": self.made_with.model(wildcards["model"]),
                "rest": self.made_with.whole_cell(wildcards),
                "part": self.made_with.whole_cell({**wildcards, "calibration": part}),
            },
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
        model, source = wildcards["model"], self.made_with.source(wildcards["model"])
        return spec(
            "export_model",
            wildcards,
            title=self.settings.models[model].title,
            source={name: source[name] for name in ("kind", "id", "gated") if name in source},
            layout=wildcards.get("layout"),
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

    def measure_activation_ranges(self, wildcards: Wildcards) -> str:
        made_with = self.made_with.activation_ranges(wildcards)
        return spec("measure_activation_ranges", wildcards, variant=variant_of(wildcards), **made_with)

    def measure_mask_iou(self, study: str, grid: str) -> str:
        return spec("measure_mask_iou", {}, **self.made_with.mask_iou(self.settings.studies[study].grids[grid].cells()))

    def compare_masks(self, study: str, grid: str) -> str:
        return spec("compare_masks", {}, **self.made_with.mask_iou(self.settings.studies[study].grids[grid].cells()))

    # Benchmarks.

    def register_benchmark(self, wildcards: Wildcards) -> str:
        found = datasets(self.settings.all_benchmarks[wildcards["benchmark"]], "hub")
        return spec("register_benchmark", wildcards, datasets=found, data_root=reference(DATA_ROOT))

    def fetch_benchmark(self, wildcards: Wildcards) -> str:
        found = datasets(self.settings.all_benchmarks[wildcards["benchmark"]], "hub")
        mkqa = {"mkqa_commit": self.settings.evaluation.mkqa.commit if wildcards["benchmark"] == "mkqa" else None}
        return spec("fetch_benchmark", wildcards, datasets=found, **mkqa)

    def generate_benchmark(self, wildcards: Wildcards) -> str:
        questions = self.settings.evaluation.demo_questions
        return spec("generate_benchmark", wildcards, benchmark=wildcards["benchmark"], questions=questions)

    def evaluate_model(self, wildcards: Wildcards) -> str:
        asked = self.made_with.evaluation(wildcards)
        return spec("evaluate_model", wildcards, *plugins_of_evaluation(asked), variant=variant_of(wildcards), **asked)

    def _allocation(self, wildcards: Wildcards) -> Entries:
        """What sparsities of layers follow from, if the scheme gives them some."""
        allocation = parse_scheme(wildcards["scheme"]).allocation
        if allocation is None:
            return {}
        of_languages = {"calibration": wildcards["calibration"]}
        return {"allocation": self.made_with.outliers() if allocation == OWL else of_languages}

    def _checked_model(self, stage: str, wildcards: Wildcards) -> str:
        model = wildcards["model"]
        source = {name: value for name, value in self.made_with.source(model).items() if name != "gated"}
        return spec(stage, wildcards, source=source, shape=self.made_with.shape(model), name=model)
