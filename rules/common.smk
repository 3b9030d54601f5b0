# Settings, wildcard constraints and path helpers: the only Python of the workflow.
import re
import sys
from collections import namedtuple
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

PACKAGES = Path(workflow.basedir) / "workflow_scripts"
sys.path.insert(0, str(PACKAGES))

from polyprune.cluster import slurm
from polyprune.cluster.site import load_cluster, shell_prefix
from polyprune.errors import UserError
from polyprune.grammar import schemes as grammar
from polyprune.grammar.benchmarks import BENCHMARKS
from polyprune.grammar.methods import METHODS
from polyprune.grammar.reports import DRAWINGS
from polyprune.grammar.paths import DENSE, PAPER, artifact, study_path
from polyprune.provenance import canonical_json, code_digest, digest
from polyprune.report.names import method_title
from polyprune.running import worker
from polyprune.running.run import export_engine
from polyprune.settings.load import load_settings
from polyprune.settings.text import FilesCorpus
from polyprune.workflow import bundles as bundling
from polyprune.workflow import needs as resources
from polyprune.workflow.targets import check_target

# Snakemake lists the command line's files first, but merges them last.
of_command_line = workflow.overwrite_configfiles
config_files = [*workflow.configfiles[len(of_command_line) :], *of_command_line]

try:
    settings = load_settings(config, [Path(file) for file in config_files])
    for word in sys.argv[1:]:
        check_target(word, settings)
    cluster = load_cluster()
except UserError as error:
    raise WorkflowError(str(error)) from None

export_engine(settings.engine)
brings_python = workflow.deployment_settings.deployment_method
python = None if brings_python else Path(sys.executable).parent
shell.prefix(shell_prefix(PACKAGES, python, cluster.modules))


wildcard_constraints:
    model="|".join(map(re.escape, settings.models)),
    corpus="|".join(map(re.escape, settings.corpora)),
    prompts="|".join(map(re.escape, settings.prompts)) or "(?!)",
    method="|".join(METHODS),
    scheme=grammar.SCHEME_PATTERN,
    calibration=grammar.CALIBRATION_PATTERN,
    seed=grammar.SEED_PATTERN,
    benchmark="|".join(BENCHMARKS),
    language="[a-z]{2,3}",


def spec(stage, wildcards, *plugins, **values):
    """All that a stage's result depends on besides its inputs, as one canonical string: Snakemake compares it."""
    job = " ".join([stage, *wildcards])
    return canonical_json({"code": code_digest(stage, *plugins), "job": job, **values})


def any_of(names):
    """Wildcard constraint: one of these names."""
    return "|".join(map(re.escape, names)) or "(?!)"


def models_with(kind):
    """Wildcard constraint: models whose source is of this kind."""
    return any_of(name for name, model in settings.models.items() if model.source.kind == kind)


def from_hub(sources):
    """Wildcard constraint: corpora or prompts that are fetched."""
    return any_of(name for name, source in sources.items() if source.kind == "hub")


def at_hand(sources):
    """Wildcard constraint: corpora or prompts that are generated or lie in files."""
    return any_of(name for name, source in sources.items() if source.kind != "hub")


def corpus_files(wildcards):
    """The corpus of a model, one file a language."""
    return corpus_paths(settings.models[wildcards.model].text.corpus)


def corpus_paths(corpus):
    return [f"results/corpora/{corpus}/{language}.parquet" for language in languages_of(corpus)]


def calibration_corpus_files(wildcards):
    corpus = settings.models[wildcards.model].text.corpus
    return [f"results/corpora/{corpus}/{language}.parquet" for language in wildcards.calibration.split("-")]


ANY_CELL = "{model}/{method}/{scheme}/{calibration}/seed{seed}"


def cell_artifacts(variants):
    """Input function: the compressed weights of variants."""

    def of(wildcards):
        return [f"results/{variant}/{artifact(wildcards.method)}" for variant in variants]

    return of


cell_artifact = cell_artifacts([ANY_CELL])


def methods_that_update(updates):
    """Wildcard constraint: methods that do or do not change the surviving weights."""
    return any_of(name for name, traits in METHODS.items() if traits.updates == updates)


def evaluation_paths(corpus):
    return [f"results/{{model}}/evaluation_text/{corpus}/{language}.safetensors" for language in languages_of(corpus)]


def dump_outputs(corpus, variant):
    return [f"{variant}/hidden_states/{corpus}/{language}.h5" for language in languages_of(corpus)]


def languages_of(corpus):
    return sorted(settings.corpora[corpus].languages)


def outliers(wildcards):
    """Where OWL gives layers sparsities of their own: what it reads."""
    if not grammar.parse_scheme(wildcards.scheme).owl:
        return []
    return "results/{model}/calibration/{calibration}/seed{seed}/outliers.json"


def cell_spec(wildcards):
    owl = grammar.parse_scheme(wildcards.scheme).owl
    return spec(
        "prune_model",
        wildcards,
        f"methods/{wildcards.method}.py",
        *(["model/allocation.py"] if owl else []),
        **{name: wildcards[name] for name in ("method", "scheme", "calibration")},
        seed=int(wildcards.seed),
        compression=settings.compression.read_by(wildcards.method, wildcards.scheme),
    )


def export_spec(wildcards):
    model = settings.models[wildcards.model]
    return spec(
        "export_model",
        wildcards,
        title=model.title,
        source=model.source.model_dump(mode="json"),
    )


def dump_spec(wildcards):
    return spec(
        "dump_hidden_states",
        wildcards,
        sampled_tokens=settings.models[wildcards.model].text.sampled_tokens,
    )


def variant_columns(wildcards):
    """The columns that name a variant in score files."""
    names = ("method", "scheme", "calibration")
    cell = {name: wildcards.get(name, DENSE) for name in names}
    seed = int(wildcards.seed) if "seed" in wildcards.keys() else None
    return {
        "model": wildcards.model,
        **cell,
        "seed": seed,
        "corpus": settings.models[wildcards.model].text.corpus,
    }


def growing(amount):
    """Of a resource: more of it with each attempt, as a job that failed may have lacked it."""
    return lambda wildcards, attempt: attempt * amount


def cpus(wildcards):
    return resources.cpus(settings.models[wildcards.model])


def gpus(wildcards):
    return resources.gpus(settings.models[wildcards.model])


def gpu_model(wildcards):
    return cluster.gpu_model if gpus(wildcards) else None


def constraint(wildcards):
    return cluster.constraint if gpus(wildcards) else None


def compression_memory(wildcards, attempt):
    method = getattr(wildcards, "method", resources.OUTLIERS_COST_LIKE)
    return attempt * resources.compression_memory_mb(settings.models[wildcards.model], method)


def compression_minutes(wildcards, attempt):
    method = getattr(wildcards, "method", resources.OUTLIERS_COST_LIKE)
    flops = resources.compression_flops(settings.models[wildcards.model], method)
    return attempt * resources.minutes(flops, settings.engine.planning_flops)


def dump_memory(n_cells):
    """Resource function: host memory of a job that pushes the dense model and so many cells."""

    def of(wildcards, attempt):
        return attempt * resources.dump_memory_mb(settings.models[wildcards.model], n_cells)

    return of


def dump_minutes(n_cells):
    """Resource function: time limit of the same job."""

    def of(wildcards, attempt):
        n_languages = len(settings.languages_of(wildcards.model))
        flops = resources.dump_flops(settings.models[wildcards.model], n_languages, n_cells)
        return attempt * resources.minutes(flops, settings.engine.planning_flops)

    return of


Dump = namedtuple("Dump", "rule variants log model method scheme")
"""How cells are dumped by one job: name, paths of the variants, name of its logs, wildcard constraints."""


def dump_rules(data, models, cells):
    """What dumps cells on a corpus or on prompts: one for any cell by itself, and one for each bundle of `cells`.

    A bundle is named by its members, so that a job of Slurm's with this name does the same whatever the settings.
    """
    by_itself = Dump(f"dump_cell_{data}", [ANY_CELL], data, models, "|".join(METHODS), grammar.SCHEME_PATTERN)
    bundled = [
        Dump(
            f"dump_cells_{data}_{digest(*map(cell_path, bundle))[:8]}",
            [f"{{model}}/{{method}}/{{scheme}}/{cell.calibration}/seed{cell.seed}" for cell in bundle],
            f"{data}-bundle",
            *map(re.escape, (bundle[0].model, bundle[0].method, bundle[0].scheme)),
        )
        for bundle in bundling.bundles(cells, settings.engine.cells_per_dump)
    ]
    workflow.ruleorder(*(dump.rule for dump in (*bundled, by_itself)))
    return [by_itself, *bundled]


def dumped_on_corpus(corpus):
    """Cells whose dumps on this corpus the studies' tables ask for."""
    cells = [cell for study, table in tables_that_report("drift") for cell in settings.studies[study].cells(table)]
    return [cell for cell in cells if settings.models[cell.model].text.corpus == corpus]


def dumped_on_prompts(prompts):
    """Cells whose dumps on these prompts the studies' figures ask for."""
    cells = [cell for study, figure in figures_by("plot_lsar") for cell in settings.studies[study].cells(figure)]
    return [cell for cell in cells if settings.models[cell.model].prompts == prompts]


def benchmark_data(wildcards):
    """Manifest of a benchmark's data."""
    return f"results/benchmarks/{settings.benchmarks_of(wildcards.model)}/{wildcards.benchmark}.json"


def evaluation_spec(wildcards):
    model, benchmark = wildcards.model, wildcards.benchmark
    source = settings.benchmarks_of(model)
    variant = variant_columns(wildcards)
    del variant["corpus"]
    return spec(
        "evaluate_model",
        wildcards,
        variant=variant,
        benchmark=benchmark,
        source=source,
        languages=settings.benchmark_languages(model, benchmark),
        profile="cloze" if source == "demo" else settings.evaluation.profile,
        mkqa=settings.evaluation.mkqa.model_dump() if benchmark == "mkqa" else None,
        generation=settings.evaluation.generation if benchmark == "mkqa" else None,
    )


def evaluation_memory(wildcards, attempt):
    return attempt * resources.evaluation_memory_mb(settings.models[wildcards.model])


def evaluation_minutes(wildcards, attempt):
    model, benchmark = wildcards.model, wildcards.benchmark
    flops = resources.evaluation_flops(settings.models[model], benchmark)
    return attempt * resources.minutes(flops, settings.engine.planning_flops)


def models_of(corpus):
    """Wildcard constraint: models whose text is from this corpus."""
    return any_of(name for name, model in settings.models.items() if model.text.corpus == corpus)


def dump_paths(wildcards, variant):
    corpus = settings.models[wildcards.model].text.corpus
    folder = f"results/{wildcards.model}/{variant}/hidden_states/{corpus}"
    return [f"{folder}/{language}.h5" for language in settings.languages_of(wildcards.model)]


def dense_dumps(wildcards):
    return dump_paths(wildcards, "dense")


def cell_dumps(wildcards):
    variant = f"{wildcards.method}/{wildcards.scheme}/{wildcards.calibration}/seed{wildcards.seed}"
    return dump_paths(wildcards, variant)


def table_scores(study, table):
    """Score files of a table: its cells', and the dense models' for reference."""
    cells = settings.studies[study].cells(table)
    dense = [f"results/{model}/dense/perplexity.parquet" for model in dict.fromkeys(cell.model for cell in cells)]
    return dense + [f"{cell_path(cell)}/{scores}.parquet" for cell in cells for scores in ("perplexity", "drift")]


def tables_that_report(report):
    """(study, table) of all tables of this kind of report."""
    return [
        (name, table)
        for name, study in settings.studies.items()
        for table, entry in study.tables.items()
        if entry.report == report
    ]


def benchmark_scores(study, table):
    """Score files of a table's cells and of their dense models, on all of its benchmarks."""
    cells = settings.studies[study].cells(table)
    dense = [f"{model}/dense" for model in dict.fromkeys(cell.model for cell in cells)]
    return [
        f"results/{variant}/evaluation/{benchmark}.parquet"
        for variant in [*dense, *(f"{cell.model}/{cell.variant}" for cell in cells)]
        for benchmark in settings.studies[study].tables[table].benchmarks
    ]


def printed_numbers(study, table):
    """The paper's own numbers, where the study is the paper's."""
    return [f"{workflow.basedir}/data/paper/{table}.csv"] if study == PAPER else []


def table_spec(stage, study, table):
    cells = settings.studies[study].cells(table)
    entry = settings.studies[study].tables[table]
    titles = [[model, settings.models[model].title] for model in dict.fromkeys(cell.model for cell in cells)]
    benchmarks = {"benchmarks": entry.benchmarks} if entry.benchmarks else {}
    return spec(stage, (), title=entry.title, titles=titles, **benchmarks)


def tables_of(study):
    return [study_path(study, f"{table}.parquet") for table in settings.studies[study].tables]


SCORES_OF = {"drift": table_scores, "benchmarks": benchmark_scores}
"""Score files of a table, by its kind of report."""


def cell_files(study):
    """Every cell of a study, and the scores that its tables are made from."""
    tables = settings.studies[study].tables
    cells = settings.studies[study].all_cells()
    artifacts = [f"{cell_path(cell)}/{artifact(cell.method)}" for cell in cells]
    scores = [
        path
        for table, entry in tables.items()
        if entry.report in SCORES_OF
        for path in SCORES_OF[entry.report](study, table)
    ]
    return artifacts + list(dict.fromkeys(scores))


def on_start():
    """Before the first job: a warm worker for jobs of this machine and Python; no jobs of a killed run on Slurm."""
    if not workflow.non_local_exec and not brings_python:
        worker.start()
    elif workflow.executor_plugin.name == "slurm":
        jobs = {workflow.dag.jobid(job): job for job in workflow.dag.needrun_jobs()}
        logger.addHandler(slurm.FailureReports(jobs.get, logger.error))
        try:
            slurm.end_orphans(
                {work for job in jobs.values() for work in bundling.works_like(job.rule.name, job.wildcards, job.output)},
                Path.cwd(),
                logger.warning,
            )
        except UserError as error:
            raise WorkflowError(str(error)) from None


def corpus_settings(corpus, language):
    """The settings that one language of a corpus depends on: not which other languages there are."""
    values = settings.corpora[corpus].model_dump(mode="json")
    if isinstance(settings.corpora[corpus], FilesCorpus):
        values["files"] = {language: values["files"][language]}
    else:
        values["languages"] = [language]
    return values


def cell_path(cell):
    return f"results/{cell.model}/{cell.variant}"


def mask_grids():
    """(study, grid) whose masks are compared by a table or a figure."""
    found = [
        (study, grid)
        for study, entries in settings.studies.items()
        for entry in [*entries.tables.values(), *entries.figures.values()]
        if "mask_iou" in getattr(entry, "report", getattr(entry, "draws", ""))
        for grid in entry.grids
    ]
    return list(dict.fromkeys(found))


def mask_cells(study, grid):
    return [
        f"{cell_path(cell)}/{artifact(cell.method)}" for cell in settings.studies[study].grids[grid].cells()
    ]


def mask_iou_spec(study, grid):
    cells = settings.studies[study].grids[grid].cells()
    return spec("measure_mask_iou", (), variants=[vars(cell) for cell in cells])


def mask_iou_files(study, grids):
    return [study_path(study, f"mask_iou/{grid}.parquet") for grid in grids]


def mask_tables():
    """(study, table) of all tables that report the overlap of masks."""
    return [
        (name, table)
        for name, study in settings.studies.items()
        for table, entry in study.tables.items()
        if entry.report in ("mask_iou", "mask_iou_languages")
    ]


def mask_table_spec(study, table):
    entry = settings.studies[study].tables[table]
    models = {cell.model for cell in settings.studies[study].cells(table)}
    return spec(
        "tabulate_mask_iou",
        (),
        title=entry.title,
        titles={model: settings.models[model].title for model in models},
        compares="seeds" if entry.report == "mask_iou" else "languages",
    )


def figures_by(stage):
    """(study, figure) of all figures that this stage plots."""
    return [
        (name, figure)
        for name, study in settings.studies.items()
        for figure, entry in study.figures.items()
        if plot_stage(entry.draws) == stage
    ]


def plot_stage(drawing):
    return f"plot_{DRAWINGS[drawing].measurements}"


def figure_spec(study, figure):
    entry = settings.studies[study].figures[figure]
    cells = settings.studies[study].cells(figure)
    return spec(
        plot_stage(entry.draws),
        (),
        figure=entry.model_dump(mode="json"),
        names=figure_names(cells, entry.draws),
    )


def figure_names(cells, drawing):
    """What a figure's caption says of its cells: model, method and schemes."""
    if DRAWINGS[drawing].of_dense:
        return settings.models[cells[0].model].title
    schemes = " and ".join(sorted({cell.scheme for cell in cells}))
    return f"{settings.models[cells[0].model].title}, {method_title(cells[0].method)} {schemes}"


def figures_of(study):
    return [study_path(study, f"{figure}.pdf") for figure in settings.studies[study].figures]


def prompt_settings(prompts, language):
    """The settings that one language of the prompts depends on."""
    values = settings.prompts[prompts].model_dump(mode="json")
    for name in ("files", "codes"):
        if name in values:
            values[name] = {language: values[name][language]}
    if "languages" in values:
        values["languages"] = [language]
    return values


def prompt_languages(prompts):
    return sorted(settings.prompts[prompts].languages)


def prompt_files(prompts, pattern):
    return [pattern.format(prompts=prompts, language=language) for language in prompt_languages(prompts)]


def prompt_outputs(prompts, variant):
    return [f"{variant}/hidden_states/{prompts}/{language}.h5" for language in prompt_languages(prompts)]


def models_asked(prompts):
    """Wildcard constraint: models that are given these prompts."""
    return any_of(name for name, model in settings.models.items() if model.prompts == prompts)


def prompt_dumps(variant):
    """Input function: a variant's dumps of its model's prompts."""

    def of(wildcards):
        prompts = settings.models[wildcards.model].prompts
        if prompts is None:
            raise WorkflowError(f"model {wildcards.model} has no `prompts`")
        return prompt_outputs(prompts, variant.format(**wildcards))

    return of


def cell_columns(wildcards):
    """The columns that name a cell in measurements."""
    names = ("model", "method", "scheme", "calibration")
    return {name: wildcards[name] for name in names} | {"seed": int(wildcards.seed)}


def lsar_spec(wildcards):
    prompts = settings.models[wildcards.model].prompts
    return spec(
        "measure_lsar",
        wildcards,
        variant=cell_columns(wildcards),
        languages=prompt_languages(prompts),
    )


def figure_cells(study, figure, name):
    """A file of each cell of a figure."""
    cells = settings.studies[study].cells(figure)
    return [f"{cell_path(cell)}/{name}" for cell in cells]


def activation_files(variant, languages_of_model):
    """Input function: activation files of a variant on its model's corpus, in these languages."""

    def of(wildcards):
        corpus = settings.models[wildcards.model].text.corpus
        folder = variant.format(**wildcards)
        return [f"{folder}/activations/{corpus}/{language}.h5" for language in languages_of_model(wildcards.model)]

    return of


def lape_spec(wildcards):
    names = ("method", "scheme", "calibration")
    cell = {name: wildcards.get(name, DENSE) for name in names}
    seed = int(wildcards.seed) if "seed" in wildcards.keys() else None
    return spec(
        "measure_lape",
        wildcards,
        variant={"model": wildcards.model, **cell, "seed": seed},
        languages=settings.lape_languages_of(wildcards.model),
        n_groups=settings.analysis.lape_groups,
    )


def lape_files(study, figure):
    """The dense model's and, where pruned models are drawn, each cell's."""
    model = settings.studies[study].cells(figure)[0].model
    dense = [f"results/{model}/dense/lape.parquet"]
    if DRAWINGS[settings.studies[study].figures[figure].draws].of_dense:
        return dense
    return dense + figure_cells(study, figure, "lape.parquet")


def mean_activation_files(study, figure):
    """Each cell's, in its own calibration language."""
    return [
        f"{cell_path(cell)}/mean_activations/{settings.models[cell.model].text.corpus}/{cell.calibration}.parquet"
        for cell in settings.studies[study].cells(figure)
    ]
