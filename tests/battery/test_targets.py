"""Targets as people mistype them: refused with the part that is wrong, or right; whatever the characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.battery import Cases, examples, part_of
from tests.helpers.leaves import everything

from polyprune.settings.load import load_settings
from polyprune.workflow.targets import check_target

SETTINGS = load_settings(everything())
RIGHT = [
    "results/corpora/made/de.parquet",
    "results/prompts/made-prompts/de.parquet",
    "results/benchmarks/demo/belebele.json",
    "results/trained/model.json",
    "results/trained/calibration/de-en/seed0/tokens.safetensors",
    "results/trained/calibration/de/seed12/outliers.json",
    "results/trained/evaluation_text/made/sw.safetensors",
    "results/trained/wanda/0.50/de/seed0/mask.safetensors",
    "results/trained/sparsegpt/2of4/de-en-sw/seed1/weights.safetensors",
    "results/trained/gptq/w4g32/en/seed0/weights.safetensors",
    "results/trained/wanda/0.50-owl/de/seed0/export/config.json",
    "results/trained/sparsegpt/0.50-dense-ends/de/seed0/hidden_states/made/de.h5",
    "results/trained/wanda/0.50/de/seed0/evaluation/items/belebele.parquet",
    "results/trained/dense/perplexity.parquet",
    "results/all/table1.parquet",
    "results/all/figure2.pdf",
    "results/all/best_calibration.md",
]
"""One of every kind in README.md's table."""
WRONG = {
    "results/trained/wanda/0.5/de/seed0/mask.safetensors": "did you mean 0.50?",
    "results/trained/wanda/2:4/de/seed0/mask.safetensors": "did you mean 2of4?",
    "results/trained/wanda/0.50/en-de/seed0/mask.safetensors": "is spelt 'de-en'",
    "results/trained/wanda/0.50/de-de/seed0/mask.safetensors": "is spelt 'de'",
    "results/trained/wanda/0.50/fr/seed0/mask.safetensors": "'fr' is",
    "results/trained/wanda/0.50/de/seed00/mask.safetensors": "did you mean seed0?",
    "results/trained/wanda/0.50/de/0/mask.safetensors": "did you mean seed0?",
    "results/trained/wanda/0.50/de/seed-1/mask.safetensors": "did you mean seed1?",
    "results/trained/wanda/0.50/de/seed0/weights.safetensors": "mask.safetensors",
    "results/trained/sparsegpt/0.50/de/seed0/mask.safetensors": "weights.safetensors",
    "results/trained/Wanda/0.50/de/seed0/mask.safetensors": "did you mean wanda?",
    "results/trained/wanda/w4g32/de/seed0/mask.safetensors": "does not take scheme",
    "results/trained/gptq/0.50/de/seed0/weights.safetensors": "does not take scheme",
    "results/trained/wanda/3of7/de/seed0/mask.safetensors": "no multiple of 7",
    "results/traned/dense/perplexity.parquet": "did you mean trained?",
    "results/trained/dense/drift.parquet": "'drift.parquet' is",
    "results/trained/dense/evaluation/belebel.parquet": "did you mean belebele?",
    "results/all/tabel1.parquet": "did you mean table1?",
    "results/all/table99.parquet": "'table99' is",
    "results/corpora/mad/de.parquet": "did you mean made?",
    "results/corpora/made/fr.parquet": "'fr' is",
    "results/benchmarks/hubb/arc.json": "did you mean hub?",
    "results/benchmarks/demo/arcc.json": "did you mean arc?",
}
"""Target, and what is to be said of it."""


def mutants(target: str) -> Iterator[str]:
    """A part lost, empty, doubled or of odd characters; a character lost, doubled, in the other case."""
    parts = target.split("/")
    for at in range(len(parts)):
        yield "/".join(parts[:at] + parts[at + 1 :])
        yield "/".join(parts[: at + 1])
        yield "/".join([*parts[: at + 1], ""])
        for other in ("", "..", "*", "ü", "a b", "{model}", "seed0", "0" * 400, "\n", "-", "0.50"):
            yield "/".join([*parts[:at], other, *parts[at + 1 :]])
    for at in range(len("results/"), len(target), 3):
        yield target[:at] + target[at + 1 :]
        yield target[:at] + target[at].swapcase() + target[at:]


MUTANTS = part_of([mutant for target in RIGHT for mutant in mutants(target)], 200)


@pytest.mark.parametrize("target", RIGHT)
def test_a_right_target_is_taken(cases: Callable[[str], Cases], target: str):
    cases("targets").judge(target, lambda: check_target(target, SETTINGS), None, sure=True)


@pytest.mark.parametrize("target", WRONG)
def test_a_misspelt_target_is_refused_with_the_nearest(cases: Callable[[str], Cases], target: str):
    cases("targets").judge(target, lambda: check_target(target, SETTINGS), says=(target, WRONG[target]))


def test_mutants_of_targets_end_in_a_sentence(cases: Callable[[str], Cases]):
    """Those that are taken are of the grammar, or Snakemake finds no rule for them."""
    judge = cases("targets")
    for target in MUTANTS:
        judge.judge(target, lambda t=target: check_target(t, SETTINGS), None)


def test_any_words_end_in_a_sentence(cases: Callable[[str], Cases]):
    judge = cases("targets, any words")
    words = st.one_of(st.sampled_from([part for target in RIGHT for part in target.split("/")]), st.text(max_size=9))

    @examples(500, 50)
    @given(st.lists(words, max_size=8))
    def attempt(parts: list[str]) -> None:
        target = "/".join(["results", *parts])
        judge.judge(target, lambda: check_target(target, SETTINGS), None)

    attempt()
