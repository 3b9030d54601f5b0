"""Why does a calibration language do less for one language than for another? A row a finding; `kind` says which.

    kind        trait: what is known of a language for a model; mantel: whether languages that differ more in a trait
                damage each other more; prediction: whether drift in a language goes with loss on its benchmarks
    model, method, scheme   string   of a trait the model only
    metric      string   the damage: perplexity, snr, kl, pruning_error, a benchmark; `benchmarks`: all columns
    explained_by   string   a trait, or a metric of drift
    given       string   of predictions: what is held constant (`GIVEN`)
    language    string   of traits
    value       double   of traits: family, phylum and writing system are in `text`
    text        string
    source      string   of traits
    r, low, high   double   MANTEL-1; PART-2 with its interval PART-3
    p           double   MANTEL-2, PART-4: one-sided, of relabelled languages or calibrations
    p_holm      double   together with the other traits of the same damage
    detectable  double   MANTEL-3; null where no r could be that rare
    n           int64    languages; cells

Damage of calibrating in c for e is what evaluation in e loses against calibrating in e itself: in ln perplexity, dB of
SNR, nats of KL, ln pruning error, points of accuracy. It is made symmetric for MANTEL: the mean of c for e and e for c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polyprune.errors import UserError
from polyprune.grammar.calibrations import is_single_language
from polyprune.grammar.paths import DENSE
from polyprune.maths.inference import holm
from polyprune.maths.mantel import mantel
from polyprune.maths.partial import Partial, partial_correlation
from polyprune.report.names import language_of

BLOCK = ["model", "method", "scheme"]
ALL_BENCHMARKS = "benchmarks"
LOSSES: dict[str, Callable[[Any], Any]] = {
    "perplexity": np.log,
    "snr": np.negative,
    "kl": np.asarray,
    "pruning_error": np.log,
}
"""Metrics of drift, and how they become losses: larger is worse."""
NOT_HARMED = (
    "bits_per_byte", "nll", "top1_agreement", "special_targets", "pruning_error_robust", "snr_robust", "massive_tokens"
)  # fmt: skip
"""What score files have besides: the same told in other units or over fewer tokens, and counts."""
GIVEN = ("nothing", "column", "column and calibration", "these and own language")
"""What is held constant, more and more: a column is a benchmark in a language."""
PUBLISHED = "mC4, billions of tokens (mT5, arXiv 2010.11934, table 6)"
"""What stands for the training text of models whose makers do not say."""

Matrix = pd.DataFrame
"""Losses: calibration languages down, evaluation languages across."""


def traits(
    languages: pd.DataFrame,
    scores: pd.DataFrame,
    tokens_per_prompt: Mapping[tuple[str, str], float],
    shares: Mapping[str, Mapping[str, float]],
) -> pd.DataFrame:
    """Rows of all models of the scores.

    `languages` is data/paper/languages.csv; `tokens_per_prompt` by model and language, of parallel prompts; `shares`
    are of the training documents, by model and language, of models that are trained here.
    """
    rows: list[dict[str, Any]] = []
    dense = scores[(scores["method"] == DENSE) & (scores["metric"] == "bits_per_byte")]
    known = languages.set_index("language")
    means = dense.groupby(["model", "eval_language"], as_index=False)["value"].mean()
    for model, language, value in means.itertuples(index=False, name=None):
        found: dict[str, tuple[float | str, str]] = {"bits_per_byte": (value, "dense model, evaluation text")}
        if (model, language) in tokens_per_prompt:
            found["tokens_per_prompt"] = (tokens_per_prompt[model, language], "parallel prompts, model's tokenizer")
        if language in known.index:
            about = known.loc[language]
            found |= {name: (str(about[name]), "table 5 of the paper") for name in ("family", "writing_system")}
            found |= {"phylum": (str(about["phylum"]), "Glottolog"), "text": (float(about["mc4_tokens"]), PUBLISHED)}
        if model in shares:
            found["text"] = (shares[model][language], "share of the training documents")
        for name, (value_of, source) in found.items():
            what = "text" if isinstance(value_of, str) else "value"
            about_row = {"kind": "trait", "model": model, "language": language, "explained_by": name}
            rows.append(about_row | {what: value_of, "source": source})
    return pd.DataFrame(rows)


def distances(of_model: pd.DataFrame, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Between languages, by trait, from one model's rows of `traits`; traits that a language lacks are left out.

    `kinship` is 0 within a family, 1 within a phylum, 2 else; `writing_system` 0 or 1; of numbers the difference, of
    amounts of tokens and text the difference of their logarithms.
    """
    numbers = of_model.pivot_table(index="language", columns="explained_by", values="value").reindex(list(names))
    words = of_model[of_model["text"].notna()].pivot(index="language", columns="explained_by", values="text")
    words = words.reindex(list(names))
    found: dict[str, np.ndarray] = {}
    if {"family", "phylum", "writing_system"} <= set(words) and words.notna().all(axis=None):
        apart = {name: _apart(words[name].to_numpy()) for name in words}
        found = {"kinship": apart["family"] + apart["phylum"], "writing_system": apart["writing_system"]}
    for name in numbers:
        values = numbers[name].to_numpy(dtype=float)
        if np.isfinite(values).all():
            values = values if name == "bits_per_byte" else np.log(values)
            found[str(name)] = np.abs(values[:, None] - values)
    return found


def _apart(words: np.ndarray) -> np.ndarray:
    return (words[:, None] != words).astype(float)


def losses(rows: pd.DataFrame) -> Iterator[tuple[dict[str, str], str, Matrix]]:
    """Block, metric and matrix of losses of single languages, means over seeds and over a language's columns.

    `rows` are scores of drift and of benchmarks (in per cent). Where a layer is the dense model's, SNR is infinite and
    says nothing of what was lost.
    """
    cells = rows[[is_single_language(str(name)) for name in rows["calibration"]]]
    cells = cells.assign(eval_language=[language_of(column) for column in cells["eval_language"]])
    for (model, method, scheme, metric), of_metric in cells.groupby([*BLOCK, "metric"], sort=False):
        if metric in NOT_HARMED:
            continue
        mean = of_metric.pivot_table(index="calibration", columns="eval_language", values="value")
        loss = LOSSES.get(str(metric), np.negative)
        names = dict(zip(BLOCK, map(str, (model, method, scheme)), strict=True))
        lost = mean.apply(loss)
        if not np.isinf(lost.to_numpy(dtype=float)).any():
            yield names, str(metric), lost


def damage(loss: Matrix) -> tuple[list[str], np.ndarray]:
    """Languages that are calibrated and evaluated in, and what each two do to each other; see the module."""
    names = sorted(set(loss.index) & set(loss.columns))
    square = loss.loc[names, names].to_numpy(dtype=float)
    off = square - np.diag(square)
    return names, (off + off.T) / 2


def mantel_rows(rows: pd.DataFrame, of_languages: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Every damage against every trait."""
    for block, metric, loss in losses(rows):
        names, between = damage(loss)
        if len(names) < 3 or not np.isfinite(between).all():
            continue
        of_model = of_languages[of_languages["model"] == block["model"]]
        tests = {name: mantel(apart, between) for name, apart in distances(of_model, names).items()}
        found = {name: test for name, test in tests.items() if test is not None}
        together = holm([test.p for test in found.values()])
        for (name, test), p_holm in zip(found.items(), together, strict=True):
            about = {"kind": "mantel", **block, "metric": metric, "explained_by": name, "n": len(names)}
            yield about | {"r": test.r, "p": test.p, "p_holm": p_holm, "detectable": test.detectable}


class Pairs:
    """Of a block: losses on benchmarks, and a metric of drift, in the same calibrations and columns."""

    def __init__(self, drift: Matrix, accuracy: pd.DataFrame) -> None:
        """`accuracy` has a column a benchmark and language, as (benchmark, column); calibrations down."""
        self.calibrations = sorted(set(drift.index) & set(accuracy.index))
        self.columns = [column for column in accuracy.columns if language_of(column[1]) in drift.columns]
        self.languages = [language_of(column) for _, column in self.columns]
        self.drift = drift.loc[self.calibrations, self.languages].to_numpy(dtype=float)
        self.loss = -accuracy.loc[self.calibrations, self.columns].to_numpy(dtype=float)

    def controls(self, given: str) -> np.ndarray:
        """A row a cell, a column a control; see `GIVEN`."""
        k, j = self.loss.shape
        row, column = np.divmod(np.arange(k * j), max(j, 1))
        parts = [np.zeros((k * j, 0))]
        if given != GIVEN[0]:
            parts.append((column[:, None] == np.arange(j)).astype(float))
        if given in GIVEN[2:]:
            parts.append((row[:, None] == np.arange(k)).astype(float))
        if given == GIVEN[3]:
            own = np.array([self.calibrations[r] == self.languages[c] for r, c in zip(row, column, strict=True)])
            parts.append(own[:, None].astype(float))
        return np.column_stack(parts)

    def partial(self, given: str) -> Partial | None:
        return partial_correlation(self.drift, self.loss, self.controls(given))


def pairs(rows: pd.DataFrame) -> Iterator[tuple[dict[str, str], str, str, Pairs]]:
    """Block, benchmark (or all of them), metric of drift, and the pairs; of blocks that have both."""
    single = rows[[is_single_language(str(name)) for name in rows["calibration"]]]
    drift = {(tuple(block.values()), metric): loss for block, metric, loss in losses(rows) if metric in LOSSES}
    accuracy = single[~single["metric"].isin([*LOSSES, *NOT_HARMED])]
    for key, of_block in accuracy.groupby(BLOCK, sort=False):
        block = dict(zip(BLOCK, map(str, key), strict=True))
        table = of_block.pivot_table(index="calibration", columns=["metric", "eval_language"], values="value")
        for metric in LOSSES:
            loss = drift.get((tuple(block.values()), metric))
            if loss is None:
                continue
            for benchmark in (*dict.fromkeys(of_block["metric"]), ALL_BENCHMARKS):
                shown = table if benchmark == ALL_BENCHMARKS else table.loc[:, [benchmark]]
                found = Pairs(loss, shown.dropna(axis=0))
                if found.columns and len(found.calibrations) > 2:
                    yield block, benchmark, metric, found


def prediction_rows(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Every metric of drift against every benchmark, with more and more held constant."""
    for block, benchmark, metric, found in pairs(rows):
        for given in GIVEN:
            partial = found.partial(given)
            if partial is not None:
                about = {"kind": "prediction", **block, "metric": benchmark, "explained_by": metric, "given": given}
                yield about | vars(partial) | {"n": found.loss.size}


def explain(rows: pd.DataFrame, of_languages: pd.DataFrame) -> pd.DataFrame:
    """All rows; `of_languages` are those of `traits`.

    Raises:
        UserError: the study has too few calibration languages for any test.
    """
    found = pd.DataFrame([*mantel_rows(rows, of_languages), *prediction_rows(rows)])
    if found.empty:
        raise UserError(
            "the study has too little to explain: of one model, method and scheme it needs at least three single "
            "calibration languages whose perplexity (or drift) and benchmarks are measured"
        )
    return pd.concat([of_languages, found], ignore_index=True).astype({"n": "Int64"})
