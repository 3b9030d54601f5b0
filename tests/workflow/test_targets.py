"""Targets: every valid path passes, a misspelt one is refused with the right spelling."""

from __future__ import annotations

import pytest
import yaml

from polyprune.errors import UserError
from polyprune.grammar.methods import METHODS
from polyprune.grammar.paths import study_path
from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings
from polyprune.workflow.targets import check_target

CONFIG = """
corpora:
  mc4:
    kind: hub
    languages: [zh, sw, ru, es, en, de, ar]
    dataset: org/web
    files: {calibration: "{language}-0", evaluation: "{language}-1"}
  demo: {kind: demo, languages: [de, zh]}
models:
  llama-3-8b: &model
    title: Llama
    source: {kind: hub, id: org/name}
    shape: {layers: 2, hidden: 64, intermediate: 192, heads: 4, kv_heads: 2, vocabulary: 512, max_positions: 256}
    text: {corpus: mc4, sequence_length: 8, calibration_sequences: 8, evaluation_sequences: 8, sampling: packed}
  tiny-llama: *model
studies:
  paper: &study
    grids:
      main: {models: [tiny-llama], methods: [wanda], schemes: ["0.50"], calibrations: [de], seeds: [0]}
    tables:
      table1: {title: First, report: drift, grids: [main]}
  demo: *study
"""


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(yaml.safe_load(CONFIG))


CELL = "results/llama-3-8b/wanda/0.50/de/seed0"


@pytest.mark.parametrize(
    "target",
    [
        "all",
        "--cores",
        "config.yaml",
        "results",
        "results/table1.parquet",
        "results/table1.md",
        "results/demo/table1.parquet",
        "results/demo/table1.png",
        "results/corpora/mc4/de.parquet",
        "results/corpora/demo/zh.parquet",
        "results/tiny-llama/model.json",
        "results/tiny-llama/prompting.json",
        "results/tiny-llama/evaluation_text/demo/de.safetensors",
        "results/tiny-llama/calibration/de/seed0/tokens.safetensors",
        "results/tiny-llama/calibration/ar-de-en-es-ru-sw-zh/seed12/tokens.safetensors",
        "results/tiny-llama/calibration/de75-en25+n16+chat/seed0/tokens.safetensors",
        "results/tiny-llama/self_written/de+self/seed0/text.parquet",
        "results/tiny-llama/wanda/0.50-layer1-from-de75-en25/de@demo+n2048/seed0/mask.safetensors",
        "results/tiny-llama/wanda/0.50/random/seed0/mask.safetensors",
        "results/tiny-llama/lwanda/0.50-correlation/de-en/seed0/mask.safetensors",
        "results/tiny-llama/dense/perplexity.parquet",
        "results/tiny-llama/dense/hidden_states/demo/de.h5",
        f"{CELL}/mask.safetensors",
        f"{CELL}/perplexity.parquet",
        f"{CELL}/drift.parquet",
        f"{CELL}/hidden_states/mc4/de.h5",
        "results/llama-3-8b/sparsegpt/2of4-dense-ends/de-en/seed10/weights.safetensors",
        "results/llama-3-8b/sparsegpt/0.50-layer1-from-en/de/seed1/weights.safetensors",
    ],
)
def test_valid_targets_pass(target: str, settings: Settings):
    check_target(target, settings)


OTHERS = ("calibration", "checkpoint", "dense", "evaluation_text", "model.json", "prompting.json", "self_written")
MODEL_PARTS = ", ".join(sorted([*METHODS, *OTHERS]))


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("results/table7.parquet", "'table7' is not one of table1; did you mean table1? (study paper)"),
        ("results/demo/tabel1.parquet", "'tabel1' is not one of table1; did you mean table1? (study demo)"),
        (
            "results/llama3-8b/model.json",
            "'llama3-8b' is not one of benchmarks, corpora, demo, llama-3-8b, paper, tiny-llama; "
            "did you mean llama-3-8b?",
        ),
        ("results/tiny-llama", "that is a folder: type the name of a file in it, as results/tiny-llama/model.json"),
        ("results/demo/", "that is a folder: type the name of a file in it, as results/demo/table1.parquet"),
        ("results/corpora", "that is a folder: type the name of a file in it, as results/corpora/mc4/"),
        ("results/paper/table1.md", "what is of study paper lies in results/ itself: type results/table1.md"),
        ("results/demo/table1.pdf", "'pdf' is not one of json, md, parquet, png: type results/demo/table1.parquet"),
        ("results/corpora/mc5/de.parquet", "'mc5' is not one of demo, mc4; did you mean mc4?"),
        ("results/corpora/mc4/xx.parquet", "'xx' is not one of ar, de, en, es, ru, sw, zh (corpus mc4)"),
        ("results/tiny-llama/wnda/0.50/de/seed0/x", f"'wnda' is not one of {MODEL_PARTS}; did you mean wanda?"),
        ("results/tiny-llama/wanda/0.5/de/seed0/x", "'0.5' is not a scheme; did you mean 0.50?"),
        ("results/tiny-llama/wanda/2:4/de/seed0/x", "'2:4' is not a scheme; did you mean 2of4?"),
        (
            "results/tiny-llama/wanda/w4g128/de/seed0/x",
            "wanda does not take scheme 'w4g128': w4g128 is for quantisation, sparsities for pruning",
        ),
        ("results/tiny-llama/dsnot/2of4/de/seed0/x", "dsnot does not take scheme '2of4': w4g128 is for quantisation, "),
        (
            "results/tiny-llama/wanda/2of5/de/seed0/x",
            "tiny-llama does not take scheme '2of5': its hidden width 64 is no multiple of 5",
        ),
        (
            "results/tiny-llama/wanda/2of128/de/seed0/x",
            "tiny-llama does not take scheme '2of128': its hidden width 64 is no multiple of 128",
        ),
        (
            "results/tiny-llama/wanda/0.50/en-de/seed0/x",
            "calibration 'en-de' is spelt 'de-en': each language once, in alphabetical order",
        ),
        (
            "results/tiny-llama/wanda/0.50/fr/seed0/x",
            "calibration 'fr': 'fr' is not one of ar, de, en, es, ru, sw, zh",
        ),
        (
            "results/tiny-llama/wanda/0.50-layer3-from-en/de/seed0/x",
            "tiny-llama does not take scheme '0.50-layer3-from-en': it has 2 layers, counted from 1",
        ),
        (
            "results/tiny-llama/wanda/0.50-correlation/de/seed0/x",
            "scheme '0.50-correlation' compares languages, and calibration 'de' has not two of them",
        ),
        (
            "results/tiny-llama/wanda/0.50-correlation-layer1-from-de/de-en/seed0/x",
            "scheme '0.50-correlation-layer1-from-de' compares languages, and calibration 'de' has not two of them",
        ),
        (
            "results/tiny-llama/wanda/0.50-ends-from-dense/de/seed0/x",
            "tiny-llama does not take scheme '0.50-ends-from-dense': these are all of its 2 layers",
        ),
        (
            "results/tiny-llama/wanda/0.50-layer2-from-fr/de/seed0/x",
            "calibration 'fr': 'fr' is not one of ar, de, en, es, ru, sw, zh",
        ),
        (
            "results/tiny-llama/wanda/0.50-layer2-from-de/de/seed0/x",
            "scheme '0.50-layer2-from-de' takes from calibration 'de' what it has; that cell is '0.50'",
        ),
        ("results/tiny-llama/wanda/0.50/de/seed01/x", "'seed01' is not a seed; did you mean seed1?"),
        ("results/tiny-llama/wanda/0.50/de/0/x", "'0' is not a seed; did you mean seed0?"),
        ("results/tiny-llama/wanda/0.50/de/seed/x", "'seed' is not a seed; write seed0"),
        (
            "results/tiny-llama/wanda/0.50/de/seed0/perplexty.parquet",
            "'perplexty.parquet' is not one of activations, drift.parquet, evaluation, export, export-awq, "
            "export-compressed-tensors, export-gptq, hidden_states, "
            "lape.parquet, lsar.parquet, mask.safetensors, mean_activations, perplexity.parquet, "
            "routing.parquet; did you mean perplexity.parquet?",
        ),
        (
            "results/tiny-llama/sparsegpt/0.50/de/seed0/mask.safetensors",
            "'mask.safetensors' is not one of activations, drift.parquet, evaluation, export, export-awq, "
            "export-compressed-tensors, export-gptq, hidden_states, "
            "lape.parquet, lsar.parquet, mean_activations, perplexity.parquet, routing.parquet, "
            "weights.safetensors",
        ),
        (
            "results/tiny-llama/dense/drift.parquet",
            "'drift.parquet' is not one of activation_ranges.parquet, activations, evaluation, hidden_states, "
            "lape.parquet, perplexity.parquet, routing.parquet",
        ),
        (
            "results/tiny-llama/reap/0.50-ends-from-dense/de/seed0/mask.safetensors",
            "reap does not take scheme '0.50-ends-from-dense': it removes a share of the experts of every layer",
        ),
        ("results/tiny-llama/reap/2of4/de/seed0/mask.safetensors", "reap does not take scheme '2of4': it removes a"),
        ("results/tiny-llama/calibration/de/seed00/x", "'seed00' is not a seed; did you mean seed0?"),
        ("results/tiny-llama/wanda/0.50/de@mc4/seed0/x", "calibration 'de@mc4' is spelt 'de': corpus 'mc4' and 8"),
        ("results/tiny-llama/wanda/0.50/de+n8/seed0/x", "calibration 'de+n8' is spelt 'de': corpus 'mc4' and 8"),
        ("results/tiny-llama/wanda/0.50/de@web/seed0/x", "calibration 'de@web': corpus 'web' is not one of demo"),
        ("results/tiny-llama/wanda/0.50/de+chats/seed0/x", "'de+chats' is not a calibration: after '+' stand a number"),
        (
            "results/tiny-llama/calibration/zh-ar/seed0/x",
            "calibration 'zh-ar' is spelt 'ar-zh': each language once, in alphabetical order",
        ),
    ],
)
def test_misspelt_targets_are_refused_with_the_right_spelling(target: str, complaint: str, settings: Settings):
    with pytest.raises(UserError) as refused:
        check_target(target, settings)
    assert str(refused.value).startswith(f"{target}: {complaint}")


def test_only_the_paper_has_no_folder():
    assert study_path("paper", "table1.md") == "results/table1.md"
    assert study_path("demo", "table1.md") == "results/demo/table1.md"


LISTED = """
imports:
  tool:
    cells:
      - model: tiny-llama
        method: sparsegpt
        scheme: "0.50"
        calibration: de
        seed: 42
        source: {kind: folder, path: w}
"""
THEIRS = "results/tiny-llama/sparsegpt@tool/0.50/de/seed42"


@pytest.mark.parametrize("file", ["weights.safetensors", "checkpoint.json", "drift.parquet", "export/config.json"])
def test_targets_of_a_listed_checkpoint_pass(file: str):
    check_target(f"{THEIRS}/{file}", load_settings(yaml.safe_load(CONFIG + LISTED)))


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (THEIRS.replace("tool", "tol") + "/x", "did you mean sparsegpt@tool?"),
        (THEIRS.replace("sparsegpt", "wanda") + "/x", "'wanda@tool' is not one of"),
        (
            THEIRS.replace("42", "0") + "/x",
            "'sparsegpt@tool/0.50/de/seed0' is not one of sparsegpt@tool/0.50/de/seed42",
        ),
        (THEIRS.replace("0.50", "2of4") + "/x", "that imports.tool lists"),
        (THEIRS.replace("0.50", "0.50-layer1-from-en") + "/x", "a checkpoint has a plain scheme"),
        (f"{THEIRS}/mask.safetensors", "'mask.safetensors' is not one of"),
    ],
)
def test_targets_of_checkpoints_that_are_not_listed_are_refused(target: str, complaint: str):
    with pytest.raises(UserError) as refused:
        check_target(target, load_settings(yaml.safe_load(CONFIG + LISTED)))
    assert complaint in str(refused.value)
