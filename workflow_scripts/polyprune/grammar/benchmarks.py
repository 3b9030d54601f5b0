"""Which of the harness's tasks make up a benchmark, column by column of a table. Imported at parse time: no harness.

A column is an evaluation language; English ARC has two, `en-c` (Challenge, as all other languages) and `en-e` (Easy).
Tasks are named by their YAML file in the harness, so that its index of 14,000 names need not be built.

The harness has no task for ARC, MMLU and MKQA in Swahili and for HellaSwag in Swahili and Chinese. Generated data has
these languages: there another language's task is taken, with this language's part of the data set (`part`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polyprune.grammar.columns import OWN_TASKS, Asked, Column, place_in_tables
from polyprune.grammar.languages import DEMO_LANGUAGES, FLORES_CODES

SOURCES = ("demo", "hub")
"""Where benchmark data come from: generated, or the hub's data sets (or a folder in their layout)."""

_OKAPI = ("ar", "de", "es", "ru", "zh")
_MKQA = ("ar", "de", "en", "es", "ru", "zh")


def _arc() -> list[Column]:
    english = [
        Column("en-c", "arc_challenge", "arc/arc_challenge.yaml", "allenai/ai2_arc"),
        Column("en-e", "arc_easy", "arc/arc_easy.yaml", "allenai/ai2_arc"),
    ]
    return english + [
        Column(language, f"arc_{language}", f"okapi/arc_multilingual/arc_{language}.yaml", "alexandrainst/m_arc")
        for language in _OKAPI
    ]


def _belebele() -> list[Column]:
    return [
        Column(language, f"belebele_{code}", f"belebele/belebele_{code}.yaml", "facebook/belebele")
        for language, code in FLORES_CODES.items()
    ]


def _m_mmlu(language: str) -> Column:
    task = f"m_mmlu_{language}"
    return Column(language, task, f"okapi/mmlu_multilingual/{task}.yaml", "alexandrainst/m_mmlu")


def _mmlu() -> list[Column]:
    return [Column("en", "mmlu", "mmlu/default/mmlu_*.yaml", "cais/mmlu"), *map(_m_mmlu, _OKAPI)]


def _hellaswag() -> list[Column]:
    folder = "okapi/hellaswag_multilingual"
    return [Column("en", "hellaswag", "hellaswag/hellaswag.yaml", "Rowan/hellaswag")] + [
        Column(language, f"hellaswag_{language}", f"{folder}/hellaswag_{language}.yaml", "alexandrainst/m_hellaswag")
        for language in _OKAPI
        if language != "zh"
    ]


def _mkqa() -> list[Column]:
    return [
        Column(language, f"mkqa_{language}", f"{OWN_TASKS}mkqa_{language}.yaml", "apple/ml-mkqa") for language in _MKQA
    ]


def _stand_in(columns: list[Column], like: str, language: str) -> Column:
    """A column of a language that the harness lacks, from the task of the language `like`."""
    model = next(column for column in columns if column.name == like)
    return Column(language, model.task.replace(f"_{like}", f"_{language}"), model.yaml, model.dataset, language)


@dataclass(frozen=True)
class Benchmark:
    """`title`: its name in print. `hub` and `demo`: its columns by source.

    Without `demo` it is not for models on the demo's text, unless it is of the configuration: then `asked` says how,
    and all models are asked the same. `tokens`: what a variant reads in all languages, prompts once, estimated from the
    data sets' characters. `chance`: share of right answers by guessing. `generates`: answers are written, not chosen.
    """

    title: str
    tokens: int
    hub: list[Column]
    demo: list[Column]
    chance: float = 0.25
    generates: bool = False
    asked: Asked | None = None


BENCHMARKS = {
    "arc": Benchmark("ARC", 1_000_000, _arc(), [*_arc(), _stand_in(_arc(), "de", "sw")]),
    "belebele": Benchmark("Belebele", 2_000_000, _belebele(), _belebele()),
    "mmlu": Benchmark("MMLU", 12_000_000, _mmlu(), [*map(_m_mmlu, ("en", *_OKAPI)), _stand_in(_mmlu(), "de", "sw")]),
    "hellaswag": Benchmark(
        "HellaSwag",
        12_000_000,
        _hellaswag(),
        [*_hellaswag(), *(_stand_in(_hellaswag(), "de", language) for language in ("sw", "zh"))],
    ),
    "mkqa": Benchmark("MKQA", 3_000_000, _mkqa(), [*_mkqa(), _stand_in(_mkqa(), "de", "sw")], 0, True),
}
GENERATED = tuple(name for name, each in BENCHMARKS.items() if each.demo)
"""Those of which the demo has questions."""


def columns(benchmark: str | Benchmark, source: str, languages: Sequence[str] | None = None) -> list[Column]:
    """The columns of a benchmark for which `source` has data, in the order of tables; all, or those of `languages`."""
    asked = BENCHMARKS[benchmark] if isinstance(benchmark, str) else benchmark
    generated = [column for column in asked.demo if column.language in DEMO_LANGUAGES]
    found = {"hub": asked.hub, "demo": generated}[source]
    return sorted(
        (column for column in found if languages is None or column.language in languages),
        key=lambda column: place_in_tables(column.name),
    )


def datasets(benchmark: str | Benchmark, source: str, languages: Sequence[str] | None = None) -> list[str]:
    """The hub's names of the data sets of a benchmark, all or those that `languages` need."""
    return sorted({column.dataset for column in columns(benchmark, source, languages)})
