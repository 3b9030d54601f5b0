"""Which files a rule reads, and which a study is made of. Methods that take wildcards are input functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from polyprune.grammar.methods import artifact, artifact_of
from polyprune.grammar.paths import DENSE, PAPER, Cell, models_of, study_path
from polyprune.grammar.reports import DRAWINGS, TABLES, Kind
from polyprune.grammar.schemes import CORRELATION, OWL, parse_scheme
from polyprune.settings.studies import Figure, Table
from polyprune.workflow.text_inputs import TextInputs
from polyprune.workflow.wildcards import Wildcards

DENSE_VARIANT = "{model}/dense"
CELL_VARIANT = "{model}/{method}/{scheme}/{calibration}/seed{seed}"
InputFunction = Callable[[Wildcards], list[str]]


class Inputs(TextInputs):
    """Input files of all rules under some settings; `root` is the repository's folder."""

    # Cells, dumps and activations.

    def cell(self, wildcards: Wildcards) -> list[str]:
        """The compressed weights of a cell."""
        return [f"results/{CELL_VARIANT.format(**wildcards)}/{artifact(wildcards['method'])}"]

    def cells(self, variants: list[str]) -> InputFunction:
        """The compressed weights of several, by the patterns of their variants."""
        return lambda wildcards: [f"results/{variant}/{artifact(wildcards['method'])}" for variant in variants]

    def rest(self, wildcards: Wildcards) -> list[str]:
        """Of a composed cell, the one that all layers but the exchanged ones are from."""
        return self.cell({**wildcards, "scheme": parse_scheme(wildcards["scheme"]).plain})

    def part(self, wildcards: Wildcards) -> list[str]:
        """Of a composed cell, the one that the exchanged layers are from; none if that is the dense model."""
        scheme = parse_scheme(wildcards["scheme"])
        if scheme.exchange is None or scheme.exchange.part == DENSE:
            return []
        return self.cell({**wildcards, "scheme": scheme.plain, "calibration": scheme.exchange.part})

    def allocation(self, wildcards: Wildcards) -> list[str]:
        """Of a scheme that gives layers sparsities of their own, what they follow from."""
        allocation = parse_scheme(wildcards["scheme"]).allocation
        if allocation is None:
            return []
        name = {OWL: "outliers", CORRELATION: "correlations"}[allocation]
        return [f"results/{{model}}/calibration/{{calibration}}/seed{{seed}}/{name}.json".format(**wildcards)]

    def dumps(self, data: str, *variants: str) -> list[str]:
        """Patterns of the dumps of variants on a corpus or on prompts."""
        sources = self.settings.corpora if data in self.settings.corpora else self.settings.prompts
        languages = sorted(sources[data].languages)
        return [f"results/{variant}/hidden_states/{data}/{each}.h5" for variant in variants for each in languages]

    def corpus_dumps(self, variant: str) -> InputFunction:
        """A variant's dumps of its model's corpus."""
        return lambda wildcards: [path.format(**wildcards) for path in self.dumps(self._corpus_of(wildcards), variant)]

    def prompt_dumps(self, variant: str) -> InputFunction:
        """A variant's dumps of its model's prompts; none where it has none."""

        def of(wildcards: Wildcards) -> list[str]:
            prompts = self.settings.models[wildcards["model"]].prompts
            return [path.format(**wildcards) for path in self.dumps(prompts, variant)] if prompts else []

        return of

    def activations(self, variant: str) -> InputFunction:
        """A variant's activation counts on its model's corpus, in the languages that LAPE is taken over."""

        def of(wildcards: Wildcards) -> list[str]:
            languages = self.settings.lape_languages_of(wildcards["model"])
            folder = f"results/{variant}/activations/{self._corpus_of(wildcards)}".format(**wildcards)
            return [f"{folder}/{language}.h5" for language in languages]

        return of

    def benchmark(self, wildcards: Wildcards) -> str:
        """Manifest of a benchmark's data."""
        source = self.settings.source_of(wildcards["model"], wildcards["benchmark"])
        return f"results/benchmarks/{source}/{wildcards['benchmark']}.json"

    # Studies.

    def tables(self) -> Iterator[tuple[str, str]]:
        """(study, table) of all studies."""
        for name, study in self.settings.studies.items():
            yield from ((name, table) for table in study.tables)

    def figures(self) -> Iterator[tuple[str, str]]:
        """(study, figure) of all studies."""
        for name, study in self.settings.studies.items():
            yield from ((name, figure) for figure in study.figures)

    def sheets(self, study: str) -> list[str]:
        """What a study's tables show, cell by cell."""
        return [study_path(study, f"{table}.json") for table in self.settings.studies[study].tables]

    def pictures(self, study: str) -> list[str]:
        """A study's figures."""
        return [study_path(study, f"{figure}.png") for figure in self.settings.studies[study].figures]

    def manifests(self, study: str) -> list[str]:
        """What a study's models are."""
        return [f"results/{model}/model.json" for model in models_of(self.settings.studies[study].all_cells())]

    def texts(self, study: str) -> list[str]:
        """The corpora of a study's models."""
        models = models_of(self.settings.studies[study].all_cells())
        corpora = dict.fromkeys(self.settings.models[model].text.corpus for model in models)
        return [path for corpus in corpora for path in self.corpus(corpus)]

    def mask_grids(self) -> list[tuple[str, str]]:
        """(study, grid) whose masks are compared by a table or a figure, among themselves."""
        return self._grids_of("mask_iou")

    def imported_grids(self) -> list[tuple[str, str]]:
        """(study, grid) of which a table compares masks of checkpoints with those computed here."""
        return self._grids_of("mask_agreement")

    def _grids_of(self, measurements: str) -> list[tuple[str, str]]:
        return list(
            dict.fromkeys(
                (study, grid)
                for study, name in [*self.tables(), *self.figures()]
                if self.kind(study, name).measurements == measurements
                for grid in self._entry(study, name).grids
            )
        )

    def kind(self, study: str, name: str) -> Kind:
        """Of a table or a figure."""
        tables, figures = self.settings.studies[study].tables, self.settings.studies[study].figures
        return TABLES[tables[name].report] if name in tables else DRAWINGS[figures[name].draws]

    def measurements(self, study: str, name: str) -> list[str]:
        """What a table or a figure is made from."""
        return getattr(self, f"_{self.kind(study, name).measurements}_files")(study, name)

    def printed(self, study: str, table: str) -> list[str]:
        """The paper's own numbers, where the study is the paper's."""
        return [str(self.root / "data" / "paper" / f"{table}.csv")] if study == PAPER else []

    def all_printed(self) -> list[str]:
        """The paper's numbers, of all its tables."""
        return sorted(str(path) for path in (self.root / "data" / "paper").glob("table*.csv"))

    def labels(self, study: str, name: str) -> dict[str, str]:
        """What Snakemake's own report calls a table or a figure."""
        return {"what": name, "title": self._entry(study, name).title}

    def parquet_tables(self, study: str) -> list[str]:
        """A study's tables."""
        return [study_path(study, f"{table}.parquet") for table in self.settings.studies[study].tables]

    def evidence(self, study: str, table: str) -> list[str]:
        """What tells how sure the numbers of a table's cells are, item by item; nothing for kinds without."""
        files = {"answers": self._answers, "dumps": self._dumps, None: lambda *_: []}
        return files[self.kind(study, table).evidence](study, table)

    def answers(self, study: str) -> list[str]:
        """Answers to the questions of all benchmarks that a study's tables report, of their cells."""
        tables = [table for table in self.settings.studies[study].tables if self._reports(study, table, "evaluation")]
        return list(dict.fromkeys(path for table in tables for path in self._answers(study, table)))

    def dumps_of_study(self, study: str) -> list[str]:
        """Dumps on the corpus, in all languages, of the cells that a study's tables report the drift of."""
        tables = [table for table in self.settings.studies[study].tables if self._reports(study, table, "drift")]
        return list(dict.fromkeys(path for table in tables for path in self._dumps(study, table)))

    def _answers(self, study: str, table: str) -> list[str]:
        benchmarks = self.settings.studies[study].tables[table].benchmarks
        cells = self._cells(study, table)
        return [f"{cell.folder}/evaluation/items/{benchmark}.parquet" for benchmark in benchmarks for cell in cells]

    def _dumps(self, study: str, table: str) -> list[str]:
        return [
            path
            for cell in self._cells(study, table)
            for path in self.dumps(self.settings.models[cell.model].text.corpus, f"{cell.model}/{cell.variant}")
        ]

    def explained(self) -> list[str]:
        """Studies with tables of drift and of benchmarks."""

        def kinds(study: str) -> set[str]:
            return {self.kind(study, table).measurements for table in self.settings.studies[study].tables}

        return [study for study in self.settings.studies if {"drift", "evaluation"} <= kinds(study)]

    def scores(self, study: str, measurements: str) -> list[str]:
        """Files of these measurements that a study's tables are made from."""
        tables = [table for table in self.settings.studies[study].tables if self._reports(study, table, measurements)]
        return list(dict.fromkeys(path for table in tables for path in self.measurements(study, table)))

    def prompt_sets(self, study: str) -> list[str]:
        """Parallel prompts in the tokens of a study's models, of those that are given some."""
        found = []
        for model in models_of(self.settings.studies[study].all_cells()):
            if prompts := self.settings.models[model].prompts:
                found += [path.format(model=model) for path in self.prompt_set(prompts)]
        return found

    def languages(self) -> str:
        """The table of what is known of languages."""
        return str(self.root / "data" / "paper" / "languages.csv")

    def _reports(self, study: str, table: str, measurements: str) -> bool:
        return self.kind(study, table).measurements == measurements

    def masks(self, study: str, grid: str) -> list[str]:
        """The compressed weights of a grid's cells."""
        return [artifact_of(cell) for cell in self.settings.studies[study].grids[grid].cells()]

    def study(self, study: str) -> list[str]:
        """Tables, figures, every cell and every score: a deleted cell counts even where the tables are finished."""
        entry = self.settings.studies[study]
        results = [study_path(study, f"{table}.parquet") for table in entry.tables]
        results += [study_path(study, f"{figure}.pdf") for figure in entry.figures]
        scores = [path for table in entry.tables for path in self.measurements(study, table)]
        return list(dict.fromkeys([*results, *map(artifact_of, entry.all_cells()), *scores]))

    def _drift_files(self, study: str, name: str) -> list[str]:
        cells = self._cells(study, name)
        scores = [f"{cell.folder}/{score}.parquet" for cell in cells for score in ("perplexity", "drift")]
        return [f"results/{model}/dense/perplexity.parquet" for model in models_of(cells)] + scores

    def _evaluation_files(self, study: str, name: str) -> list[str]:
        cells = self._cells(study, name)
        variants = [*(f"results/{model}/dense" for model in models_of(cells)), *(cell.folder for cell in cells)]
        benchmarks = self.settings.studies[study].tables[name].benchmarks
        return [f"{variant}/evaluation/{benchmark}.parquet" for variant in variants for benchmark in benchmarks]

    def _mask_iou_files(self, study: str, name: str) -> list[str]:
        return [study_path(study, f"mask_iou/{grid}.parquet") for grid in self._entry(study, name).grids]

    def _mask_agreement_files(self, study: str, name: str) -> list[str]:
        return [study_path(study, f"mask_agreement/{grid}.parquet") for grid in self._entry(study, name).grids]

    def _lsar_files(self, study: str, name: str) -> list[str]:
        return [f"{cell.folder}/lsar.parquet" for cell in self._cells(study, name)]

    def _beside_dense(self, study: str, name: str) -> list[str]:
        """The dense models' and, where pruned models are shown, each cell's."""
        cells, kind = self._cells(study, name), self.kind(study, name)
        pruned = [] if kind.of_dense else [f"{cell.folder}/{kind.measurements}.parquet" for cell in cells]
        return [f"results/{model}/dense/{kind.measurements}.parquet" for model in models_of(cells)] + pruned

    _lape_files = _routing_files = _activation_ranges_files = _beside_dense

    def _mean_activations_files(self, study: str, name: str) -> list[str]:
        """Each cell's, in its own calibration language."""
        corpora = {model: self.settings.models[model].text.corpus for model in models_of(self._cells(study, name))}
        return [
            f"{cell.folder}/mean_activations/{corpora[cell.model]}/{cell.calibration}.parquet"
            for cell in self._cells(study, name)
        ]

    def _cells(self, study: str, name: str) -> Sequence[Cell]:
        return self.settings.studies[study].cells(name)

    def _entry(self, study: str, name: str) -> Table | Figure:
        entry = self.settings.studies[study]
        return entry.tables[name] if name in entry.tables else entry.figures[name]
