"""Claims of sections 4.1 to 4.3, on calibration in one language, recomputed from the printed tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from polyprune.report.names import PAPER_METHODS, PAPER_MODELS, language_of
from polyprune.report.paper.claim_parts import AYA, BLOCKS, LLAMA, METHODS, SMALL, block, dense, name, of_blocks, table
from polyprune.report.paper.claims import Found, Verdict
from polyprune.report.printed import (
    COLUMN,
    Tables,
    count_best,
    of_block,
    target_ranks,
    targets,
)


def lowest_perplexity(tables: Tables) -> Found:
    found = [count_best(block(tables, 1, *each, ["perplexity"])) for each in BLOCKS]
    n = sum(block(tables, 1, *each, ["perplexity"]).shape[1] for each in BLOCKS)
    alone, tied = (sum(counts) for counts in zip(*found, strict=True))
    verdict: Verdict = "holds" if tied == n else "half" if tied > n / 2 else "no"
    return Found(f"{tied} of {n} columns, {alone} of them alone", verdict)


def russian_for_chinese(tables: Tables) -> Found:
    column = -block(tables, 1, LLAMA, "wanda", ["perplexity"])["perplexity", "zh"]
    order = column.sort_values()
    text = ", ".join(f"{language.upper()} {value}" for language, value in order.iloc[:3].items())
    return Found(text, "holds" if order.index[0] == "ru" and order["ru"] < order["zh"] else "no")


def twenty_six_of_fifty(tables: Tables) -> Found:
    counts = {each: count_best(block(tables, 2, *each)) for each in BLOCKS}
    text = "; ".join(f"{name(*each)} {alone} alone, {tied} with ties" for each, (alone, tied) in counts.items())
    brackets = [
        all(
            counts[model, method][0] <= said <= counts[model, method][1]
            for method, said in zip(METHODS, (8, 18), strict=True)
        )
        for model in SMALL
    ]
    return Found(f"{text}, of 25 each", "holds" if all(brackets) else "half" if any(brackets) else "no")


def else_second_or_comparable(tables: Tables) -> Found:
    texts, shares = [], []
    for model, method in BLOCKS:
        matrix = block(tables, 2, model, method)
        values, own = matrix.to_numpy(), np.arange(matrix.shape[1])
        rest = values[targets(matrix), own] < values.max(axis=0)
        second = rest & ((values > values[targets(matrix), own]).sum(axis=0) == 1)
        spread = of_block(table(tables, 7), model, method).pivot(index="calibration", columns=COLUMN, values="std")
        spread = spread.reindex(index=matrix.index, columns=matrix.columns).to_numpy()
        near = rest & (values.max(axis=0) - values[targets(matrix), own] <= spread[targets(matrix), own])
        counts = f"second {second.sum()}, second or within its std {(second | near).sum()} of {rest.sum()}"
        texts.append(f"{name(model, method)} {counts}")
        shares.append((second | near).sum() / rest.sum())
    return Found("; ".join(texts), of_blocks(shares))


def mmlu_llama(tables: Tables) -> Found:
    matrices = [block(tables, 2, LLAMA, method, ["mmlu"]) for method in METHODS]
    best, n = sum(count_best(each)[1] for each in matrices), sum(each.shape[1] for each in matrices)
    rank = float(np.concatenate([target_ranks(each) for each in matrices]).mean())
    verdict: Verdict = "no" if best > n / 2 else "half" if rank < 4 else "holds"
    return Found(f"target best in {best} of {n} columns, mean rank {rank:.1f} of 7 (chance 4)", verdict)


def belebele_range(tables: Tables) -> Found:
    texts, wide = [], []
    for method in METHODS:
        column = block(tables, 2, LLAMA, method, ["belebele"])["belebele", "en"].sort_values()
        ends = [f"{value:.1f} ({str(language).upper()})" for language, value in column.iloc[[0, -1]].items()]
        texts.append(f"{PAPER_METHODS[method]} {' to '.join(ends)}")
        wide.append(column.iloc[-1] - column.iloc[0] >= 5)
    return Found("; ".join(texts), of_blocks(wide))


def arabic_example(tables: Tables) -> Found:
    hits = []
    for model, method in BLOCKS:
        matrix = block(tables, 2, model, method, ["arc", "mmlu"])
        if all(matrix[metric, "ar"].idxmax() == "ar" for metric in ("arc", "mmlu")):
            hits.append(name(model, method))
    return Found(f"best in both in: {', '.join(hits) or 'none'}", of_blocks([len(hits) == 4, len(hits) > 0]))


def belebele_reversal(tables: Tables) -> Found:
    whole = dense(tables, 2, LLAMA)
    before = (whole["belebele", "ar"], whole["belebele", "zh"])
    rows = pd.concat([block(tables, 2, LLAMA, method, ["belebele"])["belebele"] for method in METHODS])
    reversed_in = int((rows["zh"] > rows["ar"]).sum())
    best = [f"{rows[name].max():.1f} ({str(rows[name].idxmax()).upper()})" for name in ("ar", "zh")]
    text = f"AR {before[0]:.1f}, ZH {before[1]:.1f} become at best {', '.join(best)}; "
    above = before[0] > before[1]
    verdict: Verdict = "holds" if above and reversed_in > len(rows) / 2 else "half" if above and reversed_in else "no"
    return Found(text + f"ZH above AR in {reversed_in} of {len(rows)} rows", verdict)


def order_of_languages(tables: Tables) -> Found:
    texts, right = [], []
    for model in SMALL:
        scores = dense(tables, 2, model)
        means = scores.groupby([language_of(language) for _, language in scores.index]).mean()
        texts.append(
            f"{PAPER_MODELS[model]}: "
            + ", ".join(f"{c.upper()} {v:.0f}" for c, v in means.sort_values(ascending=False).items())
        )
        latin = means[["de", "es"]]
        right.append(means["en"] > latin.max() and latin.min() > means["ru"] > max(means["ar"], means["zh"]))
    return Found("; ".join(texts), of_blocks(right))


def among_the_worst(language: str) -> Callable[[Tables], Found]:
    def check(tables: Tables) -> Found:
        texts, shares = [], []
        for each in BLOCKS:
            matrix = block(tables, 2, *each)
            low = int(((matrix < matrix.loc[language]).sum() <= 1).sum())
            texts.append(f"{name(*each)} {low}/{matrix.shape[1]}")
            shares.append(low / matrix.shape[1])
        return Found("; ".join(texts), of_blocks(shares))

    return check


def pruned_mean(tables: Tables, model: str, method: str) -> Any:
    """By column, over calibrations."""
    return block(tables, 2, model, method).mean()


def aya_better(tables: Tables) -> Found:
    above = {"dense": dense(tables, 2, AYA) > dense(tables, 2, LLAMA)}
    for method in METHODS:
        above[PAPER_METHODS[method]] = pruned_mean(tables, AYA, method) > pruned_mean(tables, LLAMA, method)
    text = ", ".join(f"{key} {each.sum()}/{len(each)}" for key, each in above.items())
    return Found(text, of_blocks([each.mean() for each in above.values()]))


def aya_drops_less(tables: Tables) -> Found:
    texts, less = [], []
    for method in METHODS:
        drop = {model: (dense(tables, 2, model) - pruned_mean(tables, model, method)).mean() for model in SMALL}
        texts.append(f"{PAPER_METHODS[method]} {drop[AYA]:.1f} against {drop[LLAMA]:.1f} points")
        less.append(drop[AYA] < drop[LLAMA] - 0.5)
    return Found("; ".join(texts), of_blocks(less))


def llama_sparsegpt(tables: Tables) -> Found:
    better = pruned_mean(tables, LLAMA, "sparsegpt") > pruned_mean(tables, LLAMA, "wanda")
    return Found(f"{better.sum()} of {len(better)} columns", of_blocks([float(better.mean())]))


def aya_diagonal(tables: Tables) -> Found:
    found = [count_best(block(tables, 2, AYA, "sparsegpt", [metric]))[1] for metric in ("arc", "hellaswag")]
    return Found(f"ARC {found[0]}/7, HellaSwag {found[1]}/5", of_blocks([found[0] == 7, found[1] == 5]))


def aya_wanda_elsewhere(tables: Tables) -> Found:
    texts, others = [], []
    for metric in ("belebele", "mmlu"):
        matrix = block(tables, 2, AYA, "wanda", [metric])
        best = count_best(matrix)[1]
        texts.append(f"{metric}: another is better in {matrix.shape[1] - best} of {matrix.shape[1]}")
        others.append(1 - best / matrix.shape[1])
    return Found("; ".join(texts), of_blocks(others))


def mkqa_order(tables: Tables) -> Found:
    texts, right = [], []
    for model in SMALL:
        scores = dense(tables, 3, model)["mkqa"]
        texts.append(
            f"{PAPER_MODELS[model]}: "
            + ", ".join(f"{c.upper()} {v}" for c, v in scores.sort_values(ascending=False).items())
        )
        latin = scores[["en", "de", "es"]]
        right.append(latin.min() > scores["ru"] > max(scores["ar"], scores["zh"]))
    return Found("; ".join(texts), of_blocks(right))


def mkqa_drop(tables: Tables) -> Found:
    kept = {
        name(*each): float((block(tables, 3, *each).mean() / dense(tables, 3, each[0]))["mkqa", "en"])
        for each in BLOCKS
    }
    text = ", ".join(f"{key} keeps {100 * share:.0f} % in English" for key, share in kept.items())
    return Found(text, of_blocks([share < 0.75 for share in kept.values()]))
