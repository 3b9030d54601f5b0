"""The page of `report/why/why.py`: what is known of languages, and what of it goes with damage, in tables and notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from polyprune.grammar.titles import Titles
from polyprune.report.pipe_tables import pipe_table
from polyprune.report.why.why import ALL_BENCHMARKS, BLOCK, GIVEN, LOSSES

Row = Mapping[Any, Any]
METRICS = {"perplexity": "perplexity", "snr": "SNR", "kl": "KL divergence", "pruning_error": "pruning error"}
TRAITS = {
    "kinship": "kinship",
    "writing_system": "writing system",
    "tokens_per_prompt": "tokens per prompt",
    "bits_per_byte": "bits per byte",
    "text": "amount of text",
}
"""In the order of the page."""
OF_LANGUAGES = ("family", "phylum", "writing_system", "tokens_per_prompt", "bits_per_byte", "text")
ON_LANGUAGES = (
    "Tokens per prompt: the same prompts in all languages, in the model's tokenizer. Bits per byte: the dense model on "
    "its evaluation text. Text: of models that are trained here the share of the training documents; the makers of the "
    "others do not say how much of which language they read, and billions of tokens in mC4 stand for it."
)
ON_MANTEL = (
    "Correlation, over pairs of languages, of how much two differ and how much calibrating in one harms the other "
    "(Mantel), and in parentheses its p under all relabellings of the languages. **Bold**: p < .05 after Holm over the "
    "traits of a row. After *from*: the correlation from which on p could have been below .05 at all; a dash where no "
    "relabelling is that rare. The power is low: so few languages are so few independent observations, however many "
    "their pairs, and what is not bold may still be so."
)
ON_PREDICTIONS = (
    "Partial correlation of drift on a language's text with the loss on its benchmarks, over calibrations and columns "
    "(a benchmark in a language), with a 95 % interval that takes cells for independent and is therefore too narrow, "
    "and p of relabelling the calibrations of the drift in all columns alike. What is held constant grows from left to "
    "right; the last column asks whether drift says anything beyond *calibrated in the language itself, or not*."
)


def render_why(rows: pd.DataFrame, title: str, titles: Titles) -> str:
    """The page; `titles` have the models in its order."""
    parts = [f"# {title}", "## Languages", ON_LANGUAGES, *_languages(rows, titles)]
    parts += ["## Do languages that differ more harm each other more?", ON_MANTEL, *_mantel(rows, titles)]
    parts += ["## Does drift in a language say how its benchmarks suffer?", ON_PREDICTIONS, *_predictions(rows, titles)]
    return "\n\n".join(parts) + "\n"


def _blocks(rows: pd.DataFrame, titles: Titles) -> Iterator[tuple[str, pd.DataFrame]]:
    """Heading and rows of each block."""
    for (model, method, scheme), of_block in rows.groupby(BLOCK, sort=False):
        yield f"### {titles.heading(str(model), str(method), str(scheme))}", of_block


def _by(rows: pd.DataFrame, column: str) -> dict[str, Row]:
    """Rows by one of their columns."""
    return {str(row[column]): row for row in rows.to_dict("records")}


def _languages(rows: pd.DataFrame, titles: Titles) -> Iterator[str]:
    traits = rows[rows["kind"] == "trait"]
    for model, title in titles.models.items():
        of_model = traits[traits["model"] == model]
        shown = [name for name in OF_LANGUAGES if name in set(of_model["explained_by"])]
        lines = []
        for language, of_language in of_model.groupby("language"):
            found = _by(of_language, "explained_by")
            lines.append([str(language).upper(), *(_told(found, name, _trait) for name in shown)])
        yield f"### {title}"
        yield pipe_table([["", *(TRAITS.get(name, name) for name in shown)], *lines])


def _told(found: Mapping[str, Row], name: str, words: Callable[[Row], str]) -> str:
    return words(found[name]) if name in found else "–"


def _trait(row: Row) -> str:
    return str(row["text"]) if pd.isna(row["value"]) else f"{row['value']:.3g}"


def _mantel(rows: pd.DataFrame, titles: Titles) -> Iterator[str]:
    for heading, of_block in _blocks(rows[rows["kind"] == "mantel"], titles):
        shown = [name for name in TRAITS if name in set(of_block["explained_by"])]
        lines = []
        for metric, of_metric in of_block.groupby("metric", sort=False):
            found = _by(of_metric, "explained_by")
            name = METRICS.get(str(metric)) or titles.benchmarks[str(metric)]
            n = f"({of_metric['n'].iloc[0]})"
            lines.append([f"{name} {n}", *(_told(found, trait, _correlation) for trait in shown)])
        yield heading
        yield pipe_table([["damage (languages)", *(TRAITS[name] for name in shown)], *lines])


def _correlation(row: Row) -> str:
    number = f"**{row['r']:.2f}**" if row["p_holm"] < 0.05 else f"{row['r']:.2f}"
    floor = "–" if pd.isna(row["detectable"]) else f"{row['detectable']:.2f}"
    return f"{number} ({row['p']:.3f}) from {floor}".replace("-", "−")


def _predictions(rows: pd.DataFrame, titles: Titles) -> Iterator[str]:
    for heading, of_block in _blocks(rows[rows["kind"] == "prediction"], titles):
        single = [name for name in dict.fromkeys(of_block["metric"]) if name != ALL_BENCHMARKS]
        lines = []
        for benchmark in (ALL_BENCHMARKS, *single):
            for metric in LOSSES:
                found = _by(of_block[(of_block["metric"] == benchmark) & (of_block["explained_by"] == metric)], "given")
                if found:
                    name = "all" if benchmark == ALL_BENCHMARKS else titles.benchmarks[benchmark]
                    lines.append([name, METRICS[metric], *(_told(found, given, _partial) for given in GIVEN)])
        yield heading
        yield pipe_table([["loss on", "drift", *(f"given {given}" for given in GIVEN)], *lines])


def _partial(row: Row) -> str:
    return f"{row['r']:.2f} [{row['low']:.2f}, {row['high']:.2f}], p {row['p']:.3f}".replace("-", "−")
