"""A results folder with one small artifact of every kind, and how a stage reads each."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tests.helpers.headers import measured, scored

from polyprune.artifacts.activations import MATRICES, NEURONS, Activations, LayerActivations, write_activations
from polyprune.artifacts.benchmark_data import load_manifest, save_manifest
from polyprune.artifacts.cells import CellReader, join_layers, save_layer
from polyprune.artifacts.corpus import load_documents, save_corpus
from polyprune.artifacts.correlations import load_correlations, save_correlations
from polyprune.artifacts.evaluations import ITEMS_SCHEMA, join_parts, save_part
from polyprune.artifacts.hidden_states import SAMPLE, load_sums, write_hidden_states
from polyprune.artifacts.identity import MODEL, PROMPTING
from polyprune.artifacts.json_files import load_record, save_record
from polyprune.artifacts.layer_rows import MEANS
from polyprune.artifacts.measurements import (
    ACTIVATION_RANGES,
    FRAME,
    LAPE,
    LSAR,
    MASK_IOU,
    MEAN_ACTIVATIONS,
    ROUTING,
    TABLE,
    load_measurements,
    save_frame,
    save_measurements,
)
from polyprune.artifacts.outliers import load_outliers, save_outliers
from polyprune.artifacts.prompt_states import PromptStates, write_prompt_states
from polyprune.artifacts.prompts import Prompt, PromptSet, load_prompt_set, load_prompts, save_prompt_set, save_prompts
from polyprune.artifacts.scores import save_scores
from polyprune.artifacts.tables import open_table, save_table
from polyprune.artifacts.tokens import TokenSet, load_tokens, save_tokens
from polyprune.artifacts.weights import QuantisedWeight, SparseWeight
from polyprune.maths.grids import Quantised
from polyprune.report.tables.rows import SCHEMA, load_benchmark_scores, load_scores, long_table

CELL = {"model": "tiny", "method": "wanda", "scheme": "0.50", "calibration": "de", "seed": 0}
DENSE = {"model": "tiny", **dict.fromkeys(("method", "scheme", "calibration"), "dense"), "seed": None}
SEED0 = "tiny/wanda/0.50/de/seed0"
UP = "model.layers.0.mlp.up_proj"
L, D, F, S, T = 2, 8, 6, 3, 5


def save_cell(path: Path, method: str, scheme: str, changed: bool = False, bits: int | None = None) -> None:
    """A cell of two layers with a matrix each, of which every second weight is kept, or which has codes."""
    about = {"model_digest": "m", "calibration_digest": "c", "method": method, "scheme": scheme, "seed": 0}
    draw = torch.Generator().manual_seed(0)
    for layer in range(L):
        weight = torch.randn(6, 8, generator=draw)
        kept: Any = SparseWeight.of(weight, torch.arange(48).reshape(6, 8) % 2 == 0, changed)
        if bits is not None:
            codes = torch.randint(0, 2**bits, (6, 8), generator=draw, dtype=torch.uint8)
            zeros = torch.randint(0, 2**bits, (6, 2), generator=draw, dtype=torch.uint8)
            groups = torch.arange(8, dtype=torch.int32) // 4
            kept = QuantisedWeight(Quantised(codes, torch.rand(6, 2, generator=draw), zeros, groups), bits, 4)
        save_layer(path.with_suffix(".layers"), layer, {f"model.layers.{layer}.mlp.up_proj": kept}, about)
    join_layers(path.with_suffix(".layers"), L, path, about)


def save_dump(path: Path, prompts: bool, **about: Any) -> None:
    """A dump of a cell over tokens or prompts."""
    rng = np.random.default_rng(0)
    counts, header = np.full(S, T), measured("de", CELL) | about
    names = {name: np.arange(4, dtype=np.int32) for name in ("sequence", "position", "token_id")}
    items = [f"item {number}" for number in range(S)]
    writing = (
        write_prompt_states(path, L, D, items, counts, counts + 1, header)
        if prompts
        else write_hidden_states(path, L, D, counts, names, "float32", header)
    )
    with writing as writer:
        for row in range(L + 2):
            writer.write_row(MEANS, row, rng.random((S, D), dtype=np.float32))
            if not prompts:
                writer.write_row(SAMPLE, row, rng.random((4, D), dtype=np.float32))
        writer.write_sums({"distance": rng.random((S, L + 2)), "sq": rng.random((S, L + 2))})


def save_counts(path: Path, **about: Any) -> None:
    """Activations of a cell."""
    rng = np.random.default_rng(0)
    with write_activations(path, L, np.array([4, 4]), measured("de", CELL) | about) as writer:
        for layer in range(L):
            neurons = {name: (9 * rng.random((2, F))).astype(kind) for name, kind in NEURONS.items()}
            writer.write_layer(layer, LayerActivations(neurons, {name: rng.random((2, D)) for name in MATRICES}))


def save_answers(folder: Path) -> None:
    """Scores and items of a benchmark."""
    row = CELL | {"benchmark": "arc", "eval_language": "de", "task": "arc_de", "metric": "acc", "value": 0.5}
    row |= {"stderr": 0.1, "unit": "1", "n": 4, "headline": True, "profile": "cloze", "chat_template": None}
    answers = [
        {"task": "arc_de", "eval_language": "de", "doc_id": number, "doc_hash": f"hash {number}", "gold": 1}
        | {"prediction": number % 2, "correct": number % 2 == 1, "log_likelihoods": [-1.0, -2.5], "lengths": [3, 4]}
        for number in range(4)
    ]
    about = scored(CELL, benchmark="arc")
    save_part(folder / "parts", "de", [row], answers, about)
    join_parts(folder / "parts", ["de"], folder / "arc.parquet", folder / "items" / "arc.parquet", about)


def read_dump(path: Path) -> Any:
    found = load_sums(path, measured("de", CELL))
    return found.arrays, found.d_model, found.header


def read_prompt_dump(path: Path) -> Any:
    with PromptStates(path, measured("de", CELL)) as file:
        rows = [file.means(row) for row in range(L + 2)]
        return file.layers, file.items, file.n_content, rows, file.sums("distance"), file.header


def read_counts(path: Path) -> Any:
    with Activations(path, measured("de", CELL)) as file:
        neurons = [file.neurons(name, layer) for name in NEURONS for layer in range(file.n_layers)]
        return neurons, file.n_tokens, [file.mean_outputs(matrix) for matrix in MATRICES], file.header


def read_cell(path: Path) -> Any:
    cell = CellReader(path, {"model_digest": "m"})
    dense = torch.ones(6, 8)
    return cell.metadata, [weight.dense(dense) for name in cell.columns if (weight := cell.weight(name)) is not None]


def read_table(schema: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        with open_table(path, schema) as file:
            return file.read().to_pylist()

    return read


def read_tokens(path: Path) -> Any:
    found = load_tokens(path)
    return found.tokens, found.n_bytes, found.special, found.metadata


def read_prompts(path: Path) -> Any:
    found = load_prompt_set(path)
    return found.tokens, found.content, found.start, found.metadata


READERS: dict[str, Callable[[Path], Any]] = {
    "corpora/demo/de.parquet": lambda path: load_documents(path, "evaluation", {"language": "de"}),
    "prompts/asked/de.parquet": load_prompts,
    "benchmarks/demo/arc.json": lambda path: load_manifest(path).revisions,
    "tiny/model.json": lambda path: load_record(path, MODEL),
    "tiny/prompting.json": lambda path: load_record(path, PROMPTING, {"model_digest": "m"}),
    "tiny/calibration/de/seed0/tokens.safetensors": read_tokens,
    "tiny/calibration/de/seed0/outliers.json": lambda path: load_outliers(path, {"model_digest": "m"}),
    "tiny/calibration/de/seed0/correlations.json": lambda path: load_correlations(path, {"model_digest": "m"}),
    "tiny/evaluation_text/demo/de.safetensors": read_tokens,
    "tiny/prompts/asked/de.safetensors": read_prompts,
    f"{SEED0}/mask.safetensors": read_cell,
    "tiny/sparsegpt/0.50/de/seed0/weights.safetensors": read_cell,
    "tiny/gptq/w4g4/de/seed0/weights.safetensors": read_cell,
    f"{SEED0}/hidden_states/demo/de.h5": read_dump,
    f"{SEED0}/hidden_states/asked/de.h5": read_prompt_dump,
    f"{SEED0}/activations/demo/de.h5": read_counts,
    f"{SEED0}/perplexity.parquet": lambda path: load_scores([path]),
    f"{SEED0}/evaluation/arc.parquet": lambda path: load_benchmark_scores([path]),
    f"{SEED0}/evaluation/items/arc.parquet": read_table(ITEMS_SCHEMA),
    f"{SEED0}/lsar.parquet": lambda path: load_measurements([path], LSAR),
    f"{SEED0}/lape.parquet": lambda path: load_measurements([path], LAPE),
    f"{SEED0}/mean_activations/demo/de.parquet": lambda path: load_measurements([path], MEAN_ACTIVATIONS),
    f"{SEED0}/routing.parquet": lambda path: load_measurements([path], ROUTING),
    "tiny/dense/activation_ranges.parquet": lambda path: load_measurements([path], ACTIVATION_RANGES),
    "mask_iou/masks.parquet": lambda path: load_measurements([path], MASK_IOU),
    "table1.parquet": read_table(TABLE),
    "figure1.parquet": read_table(FRAME),
}
"""How a stage reads each artifact of `make_results`, by its place."""


def make_results(root: Path) -> None:
    """Write every file of `READERS` below `root`."""
    corpus = {"evaluation": ["ein Satz", "noch einer"], "calibration": ["ein anderer"] * 3}
    save_corpus(root / "corpora/demo/de.parquet", corpus, {"language": "de"})
    save_prompts(root / "prompts/asked/de.parquet", [Prompt("a", "Wer?"), Prompt("b", "Wie?")], {"language": "de"})
    data = root / "benchmarks/demo/arc/org/arc/x.jsonl"
    data.parent.mkdir(parents=True)
    data.write_text("{}\n")
    save_manifest(root / "benchmarks/demo/arc.json", "arc", {"org/arc": "1"}, {"benchmark": "arc"})
    manifest = {"source": {"kind": "train"}, "digest": "m", "architecture": "LlamaForCausalLM", "files": {}}
    save_record(root / "tiny/model.json", MODEL, manifest)
    save_record(root / "tiny/prompting.json", PROMPTING, {"model_digest": "m", "kind": "train", "files": {}})
    tokens = np.arange(20, dtype=np.int32).reshape(4, 5)
    special = (tokens % 5 == 0).astype(np.uint8)
    shard = root / "tiny/calibration/de/seed0"
    save_tokens(shard / "tokens.safetensors", TokenSet(tokens, tokens % 3, special, {"model_digest": "m", "seed": 0}))
    save_outliers(shard / "outliers.json", [Fraction(1, 7), Fraction(2, 7)], {"model_digest": "m"})
    save_correlations(shard / "correlations.json", [0.75, 0.5], {"model_digest": "m"})
    evaluation = TokenSet(tokens + 1, tokens % 4, special, {"model_digest": "m", "language": "de"})
    save_tokens(root / "tiny/evaluation_text/demo/de.safetensors", evaluation)
    asked = PromptSet(tokens.flatten(), np.ones(20, np.uint8), np.array([0, 9, 20]), {"items": ["a", "b"]})
    save_prompt_set(root / "tiny/prompts/asked/de.safetensors", asked)
    save_cell(root / SEED0 / "mask.safetensors", "wanda", "0.50")
    save_cell(root / "tiny/sparsegpt/0.50/de/seed0/weights.safetensors", "sparsegpt", "0.50", changed=True)
    save_cell(root / "tiny/gptq/w4g4/de/seed0/weights.safetensors", "gptq", "w4g4", bits=4)
    save_dump(root / SEED0 / "hidden_states/demo/de.h5", prompts=False)
    save_dump(root / SEED0 / "hidden_states/asked/de.h5", prompts=True)
    save_counts(root / SEED0 / "activations/demo/de.h5")
    score = CELL | {"corpus": "demo", "metric": "perplexity", "eval_language": "de", "value": 3.5, "unit": "1", "n": 9}
    save_scores(root / SEED0 / "perplexity.parquet", [score, score | {"eval_language": "en"}], scored(CELL))
    save_answers(root / SEED0 / "evaluation")
    save_measurements(root / "tiny/dense/activation_ranges.parquet", [DENSE], ACTIVATION_RANGES, scored(DENSE))
    layouts = {"lsar": LSAR, "lape": LAPE, "mean_activations/demo/de": MEAN_ACTIVATIONS, "routing": ROUTING}
    for name, layout in layouts.items():
        rows = [CELL | {"n": number} for number in range(20)]
        save_measurements(root / SEED0 / f"{name}.parquet", rows, layout, scored(CELL))
    overlap = {"layer": 0, "matrix": "q", "comparison": "seeds", "value": 0.5, "chance": 0.3, "n": 48, "n_seeds": 2}
    about = {"variants": [CELL], "sources": {"model tiny": "m"}}
    save_measurements(root / "mask_iou/masks.parquet", [CELL | overlap], MASK_IOU, about)
    frame = pd.DataFrame([dict.fromkeys(SCHEMA.names) | CELL | {"metric": "snr", "value": 1.5, "n": 3}])
    save_table(root / "table1.parquet", TABLE, long_table(frame), {"title": "Table"})
    save_frame(root / "figure1.parquet", pd.DataFrame({"x": [1, 2], "y": [0.5, None]}), {"title": "Figure"})
