"""The claims, and what decides each. Words that claim much are held to it.

*always* (consistently, yields): in every column. *mostly* (generally, often, typically, tends): in more than half of
the columns of every block; half if in some blocks only. A block is a model and method. p: labels of the calibrations
permuted over all columns of a block, rows and columns centred (PERM-2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from polyprune.grammar.paths import DENSE
from polyprune.grammar.titles import method_title
from polyprune.maths.permutation import permutation_p, target_advantage
from polyprune.report.claims import Claim, Found, Verdict
from polyprune.report.names import language_of
from polyprune.report.printed import (
    COLUMN,
    NotInTablesError,
    Tables,
    as_matrix,
    count_best,
    of_block,
    over_english,
    target_ranks,
    targets,
)

LLAMA, AYA = "llama-3-8b", "aya-23-8b"
LARGE = ("llama-3-70b", "aya-23-35b")
SMALL = (LLAMA, AYA)
METHODS = ("wanda", "sparsegpt")
BLOCKS = tuple(product(SMALL, METHODS))
SEVEN, FIVE = "ar-de-en-es-ru-sw-zh", "ar-de-en-es-ru"


def table(tables: Tables, number: int) -> pd.DataFrame:
    if number not in tables:
        raise NotInTablesError(f"table {number} is not there")
    return tables[number]


def block(
    tables: Tables, number: int, model: str, method: str, metrics: Sequence[str] | None = None, mixes: bool = False
) -> Any:
    """`as_matrix`, a frame; Any, for its columns are tuples, which pandas' types do not know."""
    return as_matrix(of_block(table(tables, number), model, method), metrics, mixes)


def dense(tables: Tables, number: int, model: str) -> Any:
    """Scores of the uncompressed model by (metric, eval_language)."""
    rows = of_block(table(tables, number), model, DENSE)
    return rows.set_index(COLUMN)["mean"].sort_index()


def name(model: str, method: str) -> str:
    return f"{model} {method_title(method)}"


def of_blocks(shares: Sequence[float], at_least: float = 0.5) -> Verdict:
    """holds if all blocks are above, half if some, no if none."""
    above = [share > at_least for share in shares]
    return "holds" if all(above) else "half" if any(above) else "no"


def counted(tables: Tables, number: int, metrics: Sequence[str] | None, blocks: Sequence[tuple[str, str]]) -> Found:
    """In how many columns the target is best, ties included; mostly."""
    texts, shares = [], []
    for model, method in blocks:
        matrix = block(tables, number, model, method, metrics)
        alone, tied = count_best(matrix)
        texts.append(f"{name(model, method)} {tied}/{matrix.shape[1]} ({alone} alone)")
        shares.append(tied / matrix.shape[1])
    return Found("; ".join(texts), of_blocks(shares))


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
    found = []
    for method in METHODS:
        column = block(tables, 2, LLAMA, method, ["belebele"])["belebele", "en"]
        low, high = column.sort_values().iloc[[0, -1]].items()
        found += [(low[0], low[1]), (high[0], high[1])]
    text = ", ".join(f"{value} ({str(language).upper()})" for language, value in found)
    return Found(text, "holds" if [value for _, value in found] == [58.5, 65.0, 50.0, 71.4] else "no")


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
    printed = bool((rows["ar"] == 45.1).any() and (rows["zh"] == 57.0).any() and before == (55.3, 44.8))
    text = f"AR {before[0]}, ZH {before[1]} become at best {rows['ar'].max()}, {rows['zh'].max()} (two calibrations); "
    verdict: Verdict = "holds" if printed and reversed_in > len(rows) / 2 else "half" if reversed_in else "no"
    return Found(text + f"ZH above AR in {reversed_in} of {len(rows)} rows", verdict)


def order_of_languages(tables: Tables) -> Found:
    texts, right = [], []
    for model in SMALL:
        scores = dense(tables, 2, model)
        means = scores.groupby([language_of(language) for _, language in scores.index]).mean()
        texts.append(
            f"{model}: " + ", ".join(f"{c.upper()} {v:.0f}" for c, v in means.sort_values(ascending=False).items())
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
        above[method_title(method)] = pruned_mean(tables, AYA, method) > pruned_mean(tables, LLAMA, method)
    text = ", ".join(f"{key} {each.sum()}/{len(each)}" for key, each in above.items())
    return Found(text, of_blocks([each.mean() for each in above.values()]))


def aya_drops_less(tables: Tables) -> Found:
    texts, less = [], []
    for method in METHODS:
        drop = {model: (dense(tables, 2, model) - pruned_mean(tables, model, method)).mean() for model in SMALL}
        texts.append(f"{method_title(method)} {drop[AYA]:.1f} against {drop[LLAMA]:.1f} points")
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
            f"{model}: " + ", ".join(f"{c.upper()} {v}" for c, v in scores.sort_values(ascending=False).items())
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
            f"{model} {said} {mixed[said]}, best mix {mixed.max()}, best single {single.idxmax()} {single.max()}"
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


MOSTLY = "mostly: in more than half of the columns, of every block (half: of some)"
CLAIMS = [
    Claim(
        "perplexity-target",
        "1, 4.1",
        "Calibrating in the target language consistently gives the lowest perplexity",
        "",
        "always: in every column of table 1, ties included (half: in most)",
        lowest_perplexity,
    ),
    Claim(
        "perplexity-exception",
        "4.1",
        "An exception: for Chinese, Llama-3 8B pruned by Wanda is best with Russian",
        "23.6, 24.4",
        "RU is the lowest of the column, below ZH",
        russian_for_chinese,
    ),
    Claim(
        "snr-target",
        "4.1",
        "The target language generally gives the best SNR",
        "",
        MOSTLY,
        lambda tables: counted(tables, 1, ["snr"], BLOCKS),
    ),
    Claim(
        "error-target",
        "4.1",
        "The target language generally gives the lowest pruning error",
        "",
        MOSTLY,
        lambda tables: counted(tables, 1, ["pruning_error"], BLOCKS),
    ),
    Claim(
        "not-reliably",
        "abstract, 4.2",
        "The target language does not reliably benefit downstream tasks",
        "",
        "no evidence of a benefit in any block of table 2 (half: evidence, yet not best in all columns)",
        not_reliably,
    ),
    Claim(
        "target-26-of-50",
        "4.2",
        "The target language is best in 26 of 50 groups",
        "8 Wanda, 18 SparseGPT",
        "both numbers between best alone and best with ties, for both models (half: for one)",
        twenty_six_of_fifty,
    ),
    Claim(
        "else-second",
        "4.2",
        "Elsewhere it is second best or comparable",
        "",
        "second, or within its own printed std of the best; " + MOSTLY,
        else_second_or_comparable,
    ),
    Claim(
        "arabic-example",
        "4.2",
        "As Arabic is on ARC and MMLU",
        "",
        "AR best in both, in all four blocks (half: in one)",
        arabic_example,
    ),
    Claim(
        "mmlu-llama",
        "4.2",
        "On MMLU Llama-3 8B is mainly better on other languages than the one of calibration",
        "",
        "target best in at most half of the columns (half: but its mean rank is above chance)",
        mmlu_llama,
    ),
    Claim(
        "belebele-range",
        "4.2",
        "English Belebele of Llama-3 8B varies with the calibration",
        "58.5-65.0, 50.0-71.4",
        "the same numbers",
        belebele_range,
    ),
    Claim(
        "belebele-reversal",
        "4.2",
        "Pruning turns round Arabic and Chinese on Belebele, Llama-3 8B",
        "55.3, 44.8 become 45.1, 57.0",
        "the same numbers, and ZH above AR in most rows (half: in some)",
        belebele_reversal,
    ),
    Claim(
        "order-dense",
        "4.2",
        "Unpruned models are best in English, then other Latin scripts, Russian, and Arabic and Chinese",
        "",
        "EN > DE, ES > RU > AR, ZH by means over benchmarks, both models (half: one)",
        order_of_languages,
    ),
    Claim(
        "swahili-worst",
        "4.2",
        "Calibrating in Swahili is mostly worst or second worst",
        "",
        MOSTLY,
        among_the_worst("sw"),
    ),
    Claim(
        "chinese-low",
        "4.2",
        "Calibrating in Chinese is often among the worst",
        "",
        "worst or second worst; " + MOSTLY,
        among_the_worst("zh"),
    ),
    Claim(
        "aya-better",
        "4.2",
        "Aya-23 8B is generally better than Llama-3 8B before and after pruning",
        "",
        "mean over calibrations; in more than half of the columns",
        aya_better,
    ),
    Claim(
        "aya-drops-less",
        "4.2",
        "Aya-23 8B loses less by pruning",
        "",
        "by half a point or more, mean over columns, both methods (half: one)",
        aya_drops_less,
    ),
    Claim(
        "llama-sparsegpt",
        "4.2",
        "Llama-3 8B loses less with SparseGPT than with Wanda",
        "",
        "mean over calibrations; in more than half of the columns",
        llama_sparsegpt,
    ),
    Claim(
        "aya-diagonal",
        "4.2",
        "SparseGPT gives Aya-23 8B a diagonal on ARC and HellaSwag",
        "",
        "always: target best in every column, ties included (half: of one of the two)",
        aya_diagonal,
    ),
    Claim(
        "aya-wanda-elsewhere",
        "4.2",
        "With Wanda others than the target are often better, on Belebele and MMLU",
        "",
        "another best in more than half of the columns of both (half: of one)",
        aya_wanda_elsewhere,
    ),
    Claim(
        "mkqa-order",
        "4.3",
        "On MKQA Latin scripts are best, Arabic and Chinese worst",
        "",
        "EN, DE, ES > RU > AR, ZH, both models (half: one)",
        mkqa_order,
    ),
    Claim(
        "mkqa-drop",
        "4.3",
        "Pruning costs much of MKQA, even in English",
        "",
        "a quarter of the English score or more, every block (half: some)",
        mkqa_drop,
    ),
    Claim(
        "mixes-better",
        "4.4",
        "Two or seven languages generally beat a single one for other languages than English",
        "",
        "all seven, and target with English, above the target alone; " + MOSTLY,
        mixes_better,
    ),
    Claim(
        "mixes-chinese-arc",
        "4.4",
        "All seven are better than or comparable to Chinese on Chinese ARC",
        "28.3, 30.0, 32.0, 30.9 against 27.0, 30.1, 30.8, 31.7",
        "always: higher in all four blocks (half: some)",
        chinese_arc,
    ),
    Claim(
        "mixes-english",
        "4.4",
        "All seven cost English performance: ARC of Aya by SparseGPT, MMLU of Llama by Wanda",
        "",
        "below English calibration in all three columns (half: some)",
        english_degraded,
    ),
    Claim(
        "mixes-russian-arc",
        "4.4",
        "For Russian ARC and Wanda, EN-ES (Llama) and AR-EN (Aya) are the best",
        "",
        "no mix and no single language above them, both (half: one)",
        russian_arc,
    ),
    Claim(
        "not-on-large",
        "4.5",
        "What holds for small models does not consistently hold for the large ones",
        "",
        "no evidence of target above others, p < .05, in all four blocks of 70B and 35B (half: some)",
        not_on_large_models,
    ),
    Claim(
        "gptq-target",
        "4.6",
        "With GPTQ too the target language tends to be better",
        "",
        "p < .05, 4 and 8 bit (half: one)",
        quantised,
    ),
    Claim(
        "masks-unstable",
        "5.2",
        "Masks agree least in attention output and FFN down projection",
        "",
        "always: the two lowest of every column of tables 16 and 17",
        stable_masks,
    ),
]
"""In the order of the paper."""
