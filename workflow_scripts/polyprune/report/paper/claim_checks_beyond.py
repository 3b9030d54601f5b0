"""Claims of sections 4.4 to 5, on mixes, large models, quantisation and masks, recomputed from the printed tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from polyprune.maths.permutation import permutation_p, target_advantage
from polyprune.report.names import PAPER_MODELS, calibration_label, language_of
from polyprune.report.paper.claim_parts import (
    AYA,
    BLOCKS,
    FIVE,
    LARGE,
    LLAMA,
    METHODS,
    SEVEN,
    block,
    name,
    of_blocks,
    table,
)
from polyprune.report.paper.claims import Found
from polyprune.report.printed import (
    NotInTablesError,
    Tables,
    count_best,
    over_english,
    targets,
)


def mixes_better(tables: Tables) -> Found:
    texts, shares, over_mean = [], [], []
    for each in BLOCKS:
        mixed, single = block(tables, 8, *each, mixes=True), block(tables, 2, *each)
        others = [column for column in single.columns if language_of(column[1]) != "en"]
        mixed, single = mixed[others], single[others]
        own = pd.Series(single.to_numpy()[targets(single), np.arange(len(others))], index=single.columns)
        wins = {label: int((mixed.loc[mix] > own).sum()) for label, mix in (("seven", SEVEN), ("five", FIVE))}
        pairs = [
            mixed.loc["-".join(sorted(("en", language_of(column[1])))), column] > own[column]
            for column in others
            if "-".join(sorted(("en", language_of(column[1])))) in mixed.index
        ]
        average = int((mixed.loc[SEVEN] > single.mean()).sum())
        texts.append(
            f"{name(*each)} seven {wins['seven']}, five {wins['five']} of {len(others)}, with English {sum(pairs)} of "
            f"{len(pairs)} (seven above the average single {average})"
        )
        shares += [wins["seven"] / len(others), sum(pairs) / len(pairs)]
        over_mean.append(average / len(others))
    return Found("; ".join(texts), of_blocks(shares))


def chinese_arc(tables: Tables) -> Found:
    pairs = []
    for each in BLOCKS:
        seven = block(tables, 8, *each, ["arc"], mixes=True).loc[SEVEN][("arc", "zh")]
        pairs.append((float(seven), float(block(tables, 2, *each, ["arc"]).loc["zh"][("arc", "zh")])))
    higher = sum(seven > own for seven, own in pairs)
    text = ", ".join(f"{seven} against {own}" for seven, own in pairs)
    return Found(f"{text}: higher in {higher} of 4", "holds" if higher == 4 else "half" if higher else "no")


def english_degraded(tables: Tables) -> Found:
    changes: dict[str, float] = {}
    for model, method, metric in ((AYA, "sparsegpt", "arc"), (LLAMA, "wanda", "mmlu")):
        mixed = block(tables, 8, model, method, [metric], mixes=True).loc[SEVEN]
        single = block(tables, 2, model, method, [metric]).loc["en"]
        for column in (column for column in single.index if language_of(column[1]) == "en"):
            changes[f"{name(model, method)} {' '.join(column)}"] = float(mixed[column] - single[column])
    text = ", ".join(f"{key} {change:+.1f}" for key, change in changes.items())
    return Found(text, "holds" if max(changes.values()) < 0 else "half" if min(changes.values()) < 0 else "no")


def russian_arc(tables: Tables) -> Found:
    texts, right = [], []
    for model, said in ((LLAMA, "en-es"), (AYA, "ar-en")):
        mixed = block(tables, 8, model, "wanda", ["arc"], mixes=True)["arc", "ru"]
        single = block(tables, 2, model, "wanda", ["arc"])["arc", "ru"]
        texts.append(
            f"{PAPER_MODELS[model]} {calibration_label(said)} {mixed[said]:.1f}, best mix {mixed.max():.1f}, "
            f"best single {calibration_label(single.idxmax())} {single.max():.1f}"
        )
        right.append(mixed[said] >= max(mixed.max(), single.max()))
    return Found("; ".join(texts), of_blocks(right))


def target_tests(tables: Tables, number: int, blocks: Sequence[tuple[str, str]]) -> tuple[str, list[float]]:
    texts, found = [], []
    for model, method in blocks:
        matrix = block(tables, number, model, method)
        p = permutation_p(matrix.to_numpy(), targets(matrix))
        others, english = target_advantage(matrix.to_numpy(), targets(matrix)), over_english(matrix).mean()
        texts.append(f"{name(model, method)} {others:+.2f} over others (p {p:.4f}), {english:+.2f} over English")
        found.append(p)
    return "; ".join(texts), found


def not_reliably(tables: Tables) -> Found:
    text, found = target_tests(tables, 2, BLOCKS)
    best = [count_best(matrix)[1] == matrix.shape[1] for matrix in (block(tables, 2, *each) for each in BLOCKS)]
    evident = [p < 0.05 for p in found]
    return Found(text, "holds" if not any(evident) else "no" if all(best) else "half")


def not_on_large_models(tables: Tables) -> Found:
    text, found = target_tests(tables, 7, tuple(product(LARGE, METHODS)))
    evident = sum(p < 0.05 for p in found)
    return Found(text, "holds" if evident == 0 else "no" if evident == len(found) else "half")


def quantised(tables: Tables) -> Found:
    texts, found = zip(*(target_tests(tables, number, ((LLAMA, "gptq"),)) for number in (14, 15)), strict=True)
    evident = [p < 0.05 for (p,) in found]
    return Found(f"4 bit: {texts[0]}; 8 bit: {texts[1]}", of_blocks(evident))


def stable_masks(tables: Tables) -> Found:
    hits = n = 0
    for number in (16, 17):
        rows = table(tables, number)
        for _, column in rows[rows["metric"].str.startswith("iou:")].groupby("calibration"):
            lowest = set(column.nsmallest(2, "mean")["metric"])
            hits, n = hits + (lowest == {"iou:attn.out", "iou:ffn.down"}), n + 1
    if not n:
        raise NotInTablesError("no overlap of masks is there")
    return Found(f"the two lowest in {hits} of {n} columns", of_blocks([hits == n, hits > 0]))
