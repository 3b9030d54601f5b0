"""Typed settings: what `config.yaml` may say. Read once, at parse time; refused within a second when wrong.

Unknown keys and bad values are all reported together, each with its file, line and valid choices (`explain`).
The types are the documentation: `config.schema.json` is generated from them for editors.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from itertools import product
from operator import getitem
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from polyprune.benchmarks import BENCHMARKS, columns
from polyprune.errors import UserError
from polyprune.grammar import SpellingError, canonical_sparsity, nearest, parse_calibration, parse_scheme
from polyprune.methods import METHODS, Cell, settings_read, takes, why_not
from polyprune.yaml_lines import LineMap, Place, read_yaml_lines

DEMO_LANGUAGES = ("ar", "de", "en", "es", "ru", "sw", "zh")
"""Languages for which the demo corpus has sentence templates."""
RESERVED_NAMES = ("benchmarks", "corpora", "mask_iou", "paper", "prompts")
"""Folders of `results/` that a model or a study cannot be called after (`paper` has no folder: it is the root)."""


_HINT = "\0"


class Section(BaseModel):
    """Base of all settings: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _hint_at_known_keys(cls, values: Any) -> Any:
        """Write the valid keys beside an unknown one: the refusal, which comes later, does not know them."""
        if not isinstance(values, Mapping):
            return values
        known = cls.model_fields
        return {
            key if key in known else f"{key}{_HINT}{nearest(str(key), known)}": value for key, value in values.items()
        }


def _distinct(values: list[Any]) -> list[Any]:
    if twice := [value for value, count in Counter(map(str, values)).items() if count > 1]:
        raise ValueError(f"{', '.join(twice)} listed twice")
    return values


def _canonical_scheme(text: Any) -> Any:
    if isinstance(text, float) and 0 < text < 1:
        raise ValueError(f'{text!r} is a number; quote it: "{canonical_sparsity(f"{Decimal(repr(text)):f}")}"')
    if not isinstance(text, str):
        raise ValueError(f'{text!r} is not a scheme; write text in quotes, e.g. "0.50"')
    parse_scheme(text)
    return text


def _canonical_calibration(text: str) -> str:
    parse_calibration(text)
    return text


def _known_method(name: str) -> str:
    if name not in METHODS:
        raise ValueError(f"{name!r} is {nearest(name, METHODS)}")
    return name


def _only_language_in_braces(pattern: str) -> str:
    if left := re.findall(r"\{.*?\}|[{}]", pattern.replace("{language}", "")):
        raise ValueError(f"{pattern!r}: only {{language}} is replaced, not {left[0]}")
    return pattern


Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Languages = Annotated[list[Language], Field(min_length=1), AfterValidator(_distinct)]
SchemeName = Annotated[str, BeforeValidator(_canonical_scheme)]
CalibrationName = Annotated[str, AfterValidator(_canonical_calibration)]
MethodName = Annotated[str, AfterValidator(_known_method)]
Count = Annotated[int, Field(ge=1)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash: a branch would move on")]
FilePattern = Annotated[str, AfterValidator(_only_language_in_braces)]
Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.]*(-[a-z0-9.]+)*$")]


class DemoDocuments(Section):
    """How many documents of each part are generated for a language."""

    train: Count = 3000
    calibration: Count = 400
    evaluation: Count = 150


class DemoCorpus(Section):
    """Text generated from CLDR facts: no download."""

    kind: Literal["demo"]
    languages: Languages
    documents: DemoDocuments = DemoDocuments()


class HubDocuments(Section):
    """How many documents of each part are fetched for a language."""

    calibration: Count = 200_000
    evaluation: Count = 20_000


class HubFiles(Section):
    """File patterns in the data set's repository; `{language}` is replaced."""

    calibration: FilePattern
    evaluation: FilePattern


class HubCorpus(Section):
    """A data set on the Hugging Face hub, streamed from pinned files."""

    kind: Literal["hub"]
    languages: Languages
    dataset: str = Field(description="repository, e.g. allenai/c4")
    revision: Commit | None = Field(None, description="else resolved once into revisions.lock")
    files: HubFiles
    field: str = "text"
    documents: HubDocuments = HubDocuments()


class FileShares(Section):
    """Shares of a language's documents, in file order: first training, then calibration, the rest is evaluation."""

    train: float = Field(0.0, ge=0, lt=1)
    calibration: float = Field(gt=0, lt=1)
    evaluation: float = Field(gt=0, lt=1)


class FilesCorpus(Section):
    """Your own text: .txt (a document a line), .jsonl, .jsonl.gz or .parquet (a document a row)."""

    kind: Literal["files"]
    files: dict[Language, str | list[str]] = Field(min_length=1, description="paths or globs, per language")
    field: str = Field("text", description="name of the text field in .jsonl and .parquet")
    shares: FileShares

    @property
    def languages(self) -> list[str]:
        return sorted(self.files)


LocalCorpus = Annotated[DemoCorpus | FilesCorpus, Field(discriminator="kind")]
Corpus = Annotated[DemoCorpus | HubCorpus | FilesCorpus, Field(discriminator="kind")]


class DemoPrompts(Section):
    """Reading questions about the demo world, generated."""

    kind: Literal["demo"]
    languages: Languages
    n_prompts: Count = 100


class HubPrompts(Section):
    """Passages with questions from a data set of parallel JSON lines on the Hugging Face hub, in Belebele's layout."""

    kind: Literal["hub"]
    dataset: str = Field(description="repository, e.g. facebook/belebele")
    revision: Commit | None = Field(None, description="else resolved once into revisions.lock")
    codes: dict[Language, str] = Field(min_length=1, description="the data set's name of each language")
    file: FilePattern = "data/{language}.jsonl"
    n_prompts: Count = 900

    @property
    def languages(self) -> list[str]:
        return sorted(self.codes)


class FilesPrompts(Section):
    """The same from local files, one a language, in Belebele's layout: .jsonl."""

    kind: Literal["files"]
    files: dict[Language, str] = Field(min_length=1)
    n_prompts: Count = 900

    @property
    def languages(self) -> list[str]:
        return sorted(self.files)


LocalPrompts = Annotated[DemoPrompts | FilesPrompts, Field(discriminator="kind")]
Prompts = Annotated[DemoPrompts | HubPrompts | FilesPrompts, Field(discriminator="kind")]


class HubSource(Section):
    """A model on the Hugging Face hub."""

    kind: Literal["hub"]
    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: Commit | None = Field(None, description="else resolved once into revisions.lock")
    gated: str | None = Field(None, description="licence that must be accepted on the model's page first")


class FolderSource(Section):
    """A local folder in Hugging Face layout: config.json, safetensors, tokenizer.json."""

    kind: Literal["folder"]
    path: str


class TrainedSource(Section):
    """A tiny model trained by the workflow on the training part of its corpus."""

    kind: Literal["train"]
    architecture: Literal["llama", "cohere"]
    seed: int = Field(0, ge=0)
    steps: Count = 900
    batch_sequences: Count = 8
    sequence_length: Count = 160
    vocabulary: Count = 3072
    muon_learning_rate: float = Field(1e-2, gt=0, description="weight matrices of the decoder layers")
    adam_learning_rate: float = Field(1.2e-2, gt=0, description="embedding and norms")
    weight_decay: float = Field(0.2, ge=0)
    outlier_languages: dict[Language, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=dict, description="share of the training documents kept, e.g. sw: 0.01"
    )


Source = Annotated[HubSource | FolderSource | TrainedSource, Field(discriminator="kind")]


class Shape(Section):
    """Sizes from the model's config.json: what resources are estimated from before anything is downloaded."""

    layers: Count
    hidden: Count
    intermediate: Count
    heads: Count
    kv_heads: Count
    vocabulary: Count
    max_positions: Count
    bytes_per_weight: Literal[2, 4] = 2

    @property
    def linear_weights(self) -> int:
        """Weights in the linear layers of the decoder."""
        head = self.hidden // self.heads
        attention = self.hidden * head * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)


class TextSettings(Section):
    """The text a model is calibrated and evaluated on, in its own tokens."""

    corpus: str
    sequence_length: Count
    calibration_sequences: Count
    evaluation_sequences: Count
    sampling: Literal["long_documents", "packed"] = Field(
        description="long_documents: a random window of a random document longer than the window (the paper's); "
        "packed: short documents joined"
    )
    sampled_tokens: Count = Field(256, description="tokens a language whose hidden states are kept whole")


class Model(Section):
    """A model and how it is used; the key is its name in every path."""

    title: str = Field(description="name in tables")
    source: Source
    shape: Shape
    text: TextSettings
    prompts: str | None = Field(None, description="parallel prompts for LSAR: a key of `prompts`")


class Gptq(Section):
    """GPTQ; bits and group size are the scheme's (w4g128). "GPTQ at 4 bit" is not one method: public codes differ.

    Defaults are those of transformers' GPTQConfig, the stack of 2024. IST-DASLab/gptq: damping 0.01, asymmetric, not
    true-sequential; llm-compressor: damping 0.01, static groups, act order; GPTQModel: damping 0.05.
    """

    damping: float = Field(default=0.1, gt=0, lt=1, description="share of mean(diag H) added to diag H")
    symmetric: bool = Field(default=True, description="grids symmetric about 0")
    act_order: bool = Field(default=False, description="columns by falling diag H instead of as stored (desc_act)")
    static_groups: bool = Field(default=False, description="grids from the original weights")
    true_sequential: bool = Field(default=True, description="within a layer: q, k, v, then o, then gate, up, then down")


class Ria(Section):
    """RIA, as in the authors' code."""

    exponent: float = Field(default=0.5, ge=0, description="of the input norm")
    per_row: bool = Field(default=False, description="compare weights within a row instead of the whole matrix")


class Dsnot(Section):
    """DSnoT, which refines Wanda's mask, as in the authors' code."""

    threshold: float = Field(default=0.1, ge=0, description="a row whose output lacks no more than this is done")
    max_cycles: Count = 50


class Alps(Section):
    """ALPS, as in the authors' code."""

    max_iterations: Count = 300
    refit_iterations: Count = Field(default=10, description="conjugate gradient steps once the support is found")


class Owl(Section):
    """Sparsity by layer (schemes that end in -owl), as in the authors' code."""

    outlier_factor: float = Field(default=5.0, gt=0, description="times the layer's mean score makes an outlier")
    spread: float = Field(default=0.08, ge=0, lt=0.5, description="largest distance of a layer from the mean sparsity")


class Compression(Section):
    """Settings of the compression methods, as in the published code."""

    damping: float = Field(default=0.01, gt=0, lt=1, description="share of mean(diag H) added to diag H")
    block_size: Count = Field(default=128, description="columns a block of SparseGPT")
    gptq: Gptq = Gptq()
    ria: Ria = Ria()
    dsnot: Dsnot = Dsnot()
    alps: Alps = Alps()
    owl: Owl = Owl()

    def read_by(self, method: str, scheme: str) -> dict[str, Any]:
        """What a cell depends on."""
        return self.model_dump(mode="json", include=settings_read(method, parse_scheme(scheme)))


def _asks_a_question(prompt: str) -> str:
    if prompt.count("{question}") != 1 or re.search(r"[{}]", prompt.replace("{question}", "")):
        raise ValueError(f"{prompt!r} must hold {{question}} once and no other braces")
    return prompt


class Mkqa(Section):
    """Closed-book questions: what neither the harness nor the paper says."""

    prompt: Annotated[str, AfterValidator(_asks_a_question)] = "Q: {question}?\nA:"
    max_new_tokens: Count = 32
    commit: Commit = Field(
        default="651b8cc85c407270b024157aff06ee6ab8c4fc6d", description="of github.com/apple/ml-mkqa"
    )


class Evaluation(Section):
    """Benchmarks. Models on the demo corpus have generated ones, of their own profile; all others these."""

    profile: Literal["paper", "current"] = Field(
        default="paper", description="paper: prompts as harness 0.4.3 sent them; current: as the installed harness does"
    )
    data_root: str | None = Field(default=None, description="folder in the hub's layout to read instead of the hub")
    demo_questions: int = Field(default=60, ge=4, le=89, description="generated, a benchmark and language")
    generation: Literal["own", "vllm"] = Field(
        default="own", description="what generates MKQA's answers; vllm: faster, if installed"
    )
    mkqa: Mkqa = Mkqa()


class Analysis(Section):
    """How the inside of pruned models is looked at."""

    lape_without: Annotated[list[Language], AfterValidator(_distinct)] = Field(
        default=[], description="languages of the corpus that are left out of LAPE"
    )
    activation_tokens: Count = Field(
        default=1_000_000,
        description="tokens a language over which neurons are counted, in whole sequences; at most all",
    )
    lape_groups: Count = Field(default=50, description="groups of equally many neurons, by LAPE in the dense model")


class Engine(Section):
    """How the machine is used. Changes speed and memory; results only within rounding."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    tokens_per_batch: Count = 16_384
    planning_flops: float = Field(
        default=150e12, gt=0, description="operations a second in 16 bit that time limits and the ledger reckon with"
    )
    offload: Literal["none", "cpu"] = Field(default="none", description="cpu: hidden states wait in host memory")


class Grid(Section):
    """All combinations of its lists: a block of cells."""

    models: Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
    methods: Annotated[list[MethodName], Field(min_length=1), AfterValidator(_distinct)]
    schemes: Annotated[list[SchemeName], Field(min_length=1), AfterValidator(_distinct)]
    calibrations: Annotated[list[CalibrationName], Field(min_length=1), AfterValidator(_distinct)]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_distinct)]

    def cells(self) -> Iterator[Cell]:
        for combination in product(self.models, self.methods, self.schemes, self.calibrations, self.seeds):
            yield Cell(*combination)


def _known_benchmark(name: str) -> str:
    if name not in BENCHMARKS:
        raise ValueError(f"{name!r} is {nearest(name, BENCHMARKS)}")
    return name


Benchmark = Annotated[str, AfterValidator(_known_benchmark)]


class Table(Section):
    """One table of a study: what it reports about which grids."""

    title: str
    report: Literal["drift", "benchmarks", "mask_iou", "mask_iou_languages"] = Field(
        description="drift: perplexity, SNR and pruning error on the model's corpus; "
        "benchmarks: scores on `benchmarks`; mask_iou: overlap of the masks of several seeds of a language; "
        "mask_iou_languages: of what the seeds of two languages agree on"
    )
    grids: Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
    benchmarks: Annotated[list[Benchmark], AfterValidator(_distinct)] = []


LSAR_DRAWINGS = ("token_shift", "prompt_shift", "agnostic_shift", "specific_shift", "shift_overview", "shift_controls")
LAPE_DRAWINGS = ("neuron_overview", "neuron_entropy", "neuron_probability", "neuron_output")
DENSE_DRAWINGS = ("neuron_probability", "neuron_output")
"""Of a grid these need only the model."""
Drawing = Literal[
    "mask_iou",
    "token_shift",
    "prompt_shift",
    "agnostic_shift",
    "specific_shift",
    "shift_overview",
    "shift_controls",
    "neuron_overview",
    "neuron_entropy",
    "neuron_probability",
    "neuron_output",
    "mean_activations",
]


class Figure(Section):
    """One figure of a study: what it draws of which grids."""

    title: str
    draws: Drawing
    grids: Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
    layers: Annotated[list[Count], AfterValidator(_distinct)] = Field(
        default=[], description="decoder layers counted from 1; all if not given"
    )
    matrix: Literal["down_proj", "o_proj"] | None = Field(None, description="for mean_activations")
    projector: Literal["per_model", "dense", "pooled", "cross_fitted", "random"] = Field(
        "per_model", description="where the language-specific subspace is from; per_model is the paper's"
    )
    rank: Count | None = Field(None, description="of that subspace; one less than the languages if not given")


class Study(Section):
    """A set of tables and figures over named grids. `paper` is written to results/, any other to results/{study}/."""

    grids: dict[str, Grid]
    tables: dict[Annotated[str, Field(pattern=r"^table[1-9]\d*$")], Table]
    figures: dict[Annotated[str, Field(pattern=r"^figure[1-9]\d*$")], Figure] = {}

    def cells(self, name: str) -> list[Cell]:
        """The cells of a table or figure, each once, in the order of its grids."""
        grids = (self.tables[name] if name in self.tables else self.figures[name]).grids
        return list(dict.fromkeys(cell for grid in grids for cell in self.grids[grid].cells()))

    def all_cells(self) -> list[Cell]:
        """The cells of all tables and of all figures that are not of the dense model alone, each once."""
        figures = (name for name, figure in self.figures.items() if figure.draws not in DENSE_DRAWINGS)
        return list(dict.fromkeys(cell for name in (*self.tables, *figures) for cell in self.cells(name)))


class Settings(Section):
    """All of config.yaml."""

    corpora: dict[Key, Corpus]
    prompts: dict[Key, Prompts] = {}
    models: dict[Key, Model]
    compression: Compression = Compression()
    evaluation: Evaluation = Evaluation()
    analysis: Analysis = Analysis()
    engine: Engine = Engine()
    studies: dict[Key, Study]

    def corpus_of(self, model: str) -> Any:
        return self.corpora[self.models[model].text.corpus]

    def languages_of(self, model: str) -> list[str]:
        """Languages in which a model is evaluated and may be calibrated, sorted."""
        return sorted(self.corpus_of(model).languages)

    def benchmarks_of(self, model: str) -> str:
        """Where a model's benchmark data come from: `demo` (generated, as its corpus) or `hub`."""
        return "demo" if isinstance(self.corpus_of(model), DemoCorpus) else "hub"

    def benchmark_languages(self, model: str, benchmark: str) -> list[str]:
        """Languages of a model in which there is a task, sorted."""
        found = columns(benchmark, self.benchmarks_of(model), self.languages_of(model))
        return sorted({column.language for column in found})

    def lape_languages_of(self, model: str) -> list[str]:
        """Languages over which LAPE is taken, sorted."""
        return [language for language in self.languages_of(model) if language not in self.analysis.lape_without]


Problem = tuple[Place, str]
"""Where in the configuration (keys and indices from the top), and what is wrong."""


def load_settings(config: Mapping[str, Any], files: Sequence[Path] = ()) -> Settings:
    """Validate the merged configuration.

    `files` are the YAML files it was merged from, later ones win: only used to name lines.

    Raises:
        UserError: everything that is wrong, one line each: file:line: key: what is wrong and what is valid.
    """
    try:
        settings = Settings.model_validate(config)
    except ValidationError as error:
        problems = [readable(item, config) for item in error.errors()]
        problems += _inconsistencies_of_the_rest(config)
    else:
        problems = list(_inconsistencies(settings))
        if not problems:
            return settings
    raise UserError(explain(problems, [read_yaml_lines(file) for file in files]))


def _inconsistencies_of_the_rest(config: Mapping[str, Any]) -> list[Problem]:
    """Inconsistencies among what is valid by itself: all problems in one round, whatever their kind.

    What the types refuse is taken out, and whatever then lacks a part, until the rest is valid; complaints about names
    that were taken out are left out.
    """
    rest, gone = copy.deepcopy(dict(config)), set[str]()
    while True:
        try:
            return [
                (place, message)
                for place, message in _inconsistencies(Settings.model_validate(rest))
                if not any(repr(name) in message for name in gone)
            ]
        except ValidationError as error:
            places = [readable(item, rest)[0] for item in error.errors()]
        present = {place if _has(rest, place) else place[:-1] for place in places}
        if () in present:
            return []
        for *inside, last in sorted(present, key=lambda place: tuple(map(str, place)), reverse=True):
            if _has(rest, (*inside, last)):
                del _at(rest, inside)[last]
                gone.add(str(last))


def _at(config: Any, place: Sequence[str | int]) -> Any:
    return reduce(getitem, place, config)


def _has(config: Any, place: Sequence[str | int]) -> bool:
    try:
        _at(config, place)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def explain(problems: Sequence[Problem], line_maps: Sequence[LineMap], elsewhere: str = "config") -> str:
    """One line a problem, with the line of the last file that says it, or of the file that comes nearest to it.

    `elsewhere` is the name of what has no line.
    """
    lines = []
    for place, message in problems:
        nearest_first = [location for lines_of in reversed(line_maps) if (location := lines_of.locate(place))]
        _, found = max(nearest_first, key=lambda location: location[0], default=(0, elsewhere))
        lines.append(f"{found}: {'.'.join(map(str, place))}: {message}")
    count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''} in the configuration"
    return "\n  ".join([count, *lines])


def readable(item: Any, config: Mapping[str, Any]) -> Problem:
    """A pydantic error as place and sentence."""
    *inner, last = item["loc"] or ("",)
    if item["type"] == "extra_forbidden":
        key, _, hint = str(last).partition(_HINT)
        return (*_place(inner, config), key), f"unknown key; {key!r} is {hint}"
    if item["type"] == "missing":
        return (*_place(inner, config), last), "this key is required"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] not in ("value_error", "union_tag_not_found", "union_tag_invalid"):
        message += f", got {item['input']!r}"
    return _place(item["loc"], config), message


def _place(location: Sequence[str | int], config: Any) -> Place:
    """The error's location without what pydantic adds: tags of unions, types of alternatives and `[key]`."""
    place: list[str | int] = []
    node: Any = config
    tag_waits = False
    for key in location:
        if tag_waits and node.get("kind") == key:
            tag_waits = False
            continue
        has_places = isinstance(node, Mapping | list)
        if key == "[key]" or (place and not has_places):
            continue
        place.append(key)
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            node = None
        tag_waits = isinstance(node, Mapping) and "kind" in node
    return tuple(place)


def _inconsistencies(settings: Settings) -> Iterator[Problem]:
    """What types cannot say: names that must exist, values that must fit each other."""
    for name in sorted(set(settings.models) & set(settings.studies)):
        yield ("studies", name), f"{name!r} is also a model; both would write to results/{name}/"
    for kind, names in (("models", settings.models), ("studies", sorted(set(settings.studies) - {"paper"}))):
        for name in names:
            if name in RESERVED_NAMES:
                yield (kind, name), f"{name!r} is the name of a folder of results/; choose another"
    for name, corpus in settings.corpora.items():
        if isinstance(corpus, FilesCorpus):
            total = corpus.shares.train + corpus.shares.calibration + corpus.shares.evaluation
            if abs(total - 1) > 1e-9:
                yield ("corpora", name, "shares"), f"train + calibration + evaluation must be 1, they are {total:g}"
        if isinstance(corpus, DemoCorpus):
            for index, language in enumerate(corpus.languages):
                if language not in DEMO_LANGUAGES:
                    yield ("corpora", name, "languages", index), f"{language!r} is {nearest(language, DEMO_LANGUAGES)}"
    for name, prompts in settings.prompts.items():
        if name in settings.corpora:
            yield ("prompts", name), f"{name!r} is also a corpus; both would write to hidden_states/{name}/"
        for index, language in enumerate(prompts.languages if isinstance(prompts, DemoPrompts) else []):
            if language not in DEMO_LANGUAGES:
                yield ("prompts", name, "languages", index), f"{language!r} is {nearest(language, DEMO_LANGUAGES)}"
    for name, model in settings.models.items():
        yield from _model_inconsistencies(settings, name, model)
    for name, study in settings.studies.items():
        yield from _study_inconsistencies(settings, name, study)


def _model_inconsistencies(settings: Settings, name: str, model: Model) -> Iterator[Problem]:
    place = ("models", name)
    if model.text.corpus not in settings.corpora:
        yield (*place, "text", "corpus"), f"{model.text.corpus!r} is {nearest(model.text.corpus, settings.corpora)}"
        return
    if model.text.sequence_length > model.shape.max_positions:
        yield (
            (*place, "text", "sequence_length"),
            f"{model.text.sequence_length} is beyond the model's {model.shape.max_positions} positions",
        )
    if model.prompts is not None and model.prompts not in settings.prompts:
        yield (*place, "prompts"), f"{model.prompts!r} is {nearest(model.prompts, settings.prompts)}"
    if model.shape.hidden % model.shape.heads or model.shape.heads % model.shape.kv_heads:
        yield (*place, "shape"), "hidden must be a multiple of heads, and heads of kv_heads"
    if isinstance(model.source, TrainedSource):
        corpus = settings.corpora[model.text.corpus]
        trains = isinstance(corpus, DemoCorpus) or (isinstance(corpus, FilesCorpus) and corpus.shares.train > 0)
        if not trains:
            yield (*place, "text", "corpus"), f"corpus {model.text.corpus!r} has no training part"
        if model.source.vocabulary != model.shape.vocabulary:
            yield (*place, "source", "vocabulary"), f"differs from shape.vocabulary {model.shape.vocabulary}"
        for language in model.source.outlier_languages:
            if language not in corpus.languages:
                yield (
                    (*place, "source", "outlier_languages", language),
                    f"{language!r} is {nearest(language, corpus.languages)}",
                )


def _study_inconsistencies(settings: Settings, name: str, study: Study) -> Iterator[Problem]:
    for table, spec in study.tables.items():
        for index, grid in enumerate(spec.grids):
            if grid not in study.grids:
                yield ("studies", name, "tables", table, "grids", index), f"{grid!r} is {nearest(grid, study.grids)}"
        if bool(spec.benchmarks) != (spec.report == "benchmarks"):
            yield (
                ("studies", name, "tables", table, "benchmarks"),
                "a table that reports benchmarks lists them, others do not",
            )
    for figure, drawn in study.figures.items():
        for index, grid in enumerate(drawn.grids):
            if grid not in study.grids:
                yield ("studies", name, "figures", figure, "grids", index), f"{grid!r} is {nearest(grid, study.grids)}"
        if all(grid in study.grids for grid in drawn.grids):
            yield from _figure_inconsistencies(settings, study, figure, ("studies", name, "figures", figure))
    for grid_name, grid in study.grids.items():
        place = ("studies", name, "grids", grid_name)
        known = [
            model
            for model in grid.models
            if model in settings.models and settings.models[model].text.corpus in settings.corpora
        ]
        for index, model in enumerate(grid.models):
            if model not in settings.models:
                yield (*place, "models", index), f"{model!r} is {nearest(model, settings.models)}"
        for index, calibration in enumerate(grid.calibrations):
            for model in known:
                try:
                    parse_calibration(calibration, settings.languages_of(model))
                except SpellingError as error:
                    yield (*place, "calibrations", index), f"{error} (languages of {model}'s corpus)"
        for index, scheme in enumerate(grid.schemes):
            for method in grid.methods:
                if not takes(method, parse_scheme(scheme)):
                    yield (
                        (*place, "schemes", index),
                        f"{method} does not take {scheme!r}: {why_not(method)}",
                    )


def _figure_inconsistencies(settings: Settings, study: Study, name: str, place: Place) -> Iterator[Problem]:
    """What a figure needs of its cells; models that do not exist are complained about elsewhere."""
    figure, cells = study.figures[name], study.cells(name)
    models = [name for name in dict.fromkeys(cell.model for cell in cells) if name in settings.models]
    if len({cell.model for cell in cells}) > 1 or len({cell.method for cell in cells}) > 1:
        yield (*place, "grids"), "a figure draws one model and one method"
    for model in models:
        deep = settings.models[model].shape.layers
        for index, layer in enumerate(figure.layers):
            if layer > deep:
                yield (*place, "layers", index), f"{model} has {deep} layers, counted from 1"
    if (figure.matrix is not None) != (figure.draws == "mean_activations"):
        yield (*place, "matrix"), "mean_activations draws one matrix, other figures none"
    if figure.draws in LSAR_DRAWINGS:
        for model in models:
            prompts = settings.prompts.get(settings.models[model].prompts or "")
            if prompts is None:
                yield (*place, "draws"), f"{figure.draws} needs `prompts` of model {model}"
            elif len(prompts.languages) < 2:
                yield (*place, "draws"), f"{figure.draws} needs prompts in two languages at least"
            elif figure.rank is not None and figure.rank >= len(prompts.languages):
                yield (*place, "rank"), f"at most {len(prompts.languages) - 1}, one less than the languages"
        if len({cell.scheme for cell in cells}) > 1:
            yield (*place, "grids"), f"{figure.draws} draws one scheme"
    if figure.draws == "mean_activations":
        if len(figure.layers) != 1:
            yield (*place, "layers"), "mean_activations draws one layer"
        if any("-" in cell.calibration for cell in cells):
            yield (*place, "grids"), "mean_activations evaluates in the calibration language: one language, no mix"
    alone = (*LAPE_DRAWINGS, "mean_activations")
    if figure.draws in alone and len({(cell.calibration, cell.seed) for cell in cells}) > 1:
        yield (*place, "grids"), f"{figure.draws} draws one calibration language and one seed"
