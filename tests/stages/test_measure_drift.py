"""Scores from dumps, by hand: perplexity, bits per byte, pruning error, SNR."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.helpers.headers import measured

from polyprune.artifacts.hidden_states import SAMPLE, write_hidden_states
from polyprune.artifacts.layer_rows import MEANS
from polyprune.artifacts.tables import read_header
from polyprune.errors import UserError
from polyprune.stages.measure_drift import drift_scores, measure_drift, prediction_scores

VARIANT = {"model": "m", "method": "wanda", "scheme": "0.50", "calibration": "de", "seed": 1, "corpus": "demo"}
DENSE = {**VARIANT, "method": "dense", "scheme": "dense", "calibration": "dense", "seed": None}


def sums_of(dense: np.ndarray, pruned: np.ndarray) -> dict[str, np.ndarray]:
    """Sums over tokens of states (sequences, tokens, layers, width), as a dump holds them."""
    return {
        "n": np.full(dense.shape[0], dense.shape[1], np.int64),
        "norm": np.linalg.norm(dense, axis=-1).sum(axis=1),
        "sq": (dense**2).sum(axis=(1, 3)),
        "diff": ((dense - pruned) ** 2).sum(axis=(1, 3)),
    }


def states(rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Two sequences of one token: (3, 4) and (0, 0) in every layer, of which the first loses 1 in its second value."""
    dense = np.zeros((2, 1, rows, 2))
    dense[0, 0] = (3, 4)
    pruned = dense.copy()
    pruned[0, 0, :, 1] -= 1
    return dense, pruned


def values_of(scores: Any) -> dict[tuple[str, str | None], float]:
    return {(metric, layer): value for metric, layer, value, _, _ in scores}


def test_pruning_error_and_snr_of_the_hand_example():
    found = list(drift_scores(sums_of(*states()), d_model=2))
    assert [(metric, layer, unit, n) for metric, layer, _, unit, n in found] == [
        (metric, layer, unit, 2)
        for metric, unit in (("pruning_error", "1"), ("snr", "dB"))
        for layer in ("1", "2", "L_normed", "mean")
    ]
    for (metric, _), value in values_of(found).items():
        # μ = 5/2; E = 1 / (2 · 2 · 2.5²); SNR = 10 log10(25 / 1)
        assert value == pytest.approx({"pruning_error": 0.04, "snr": 13.979400086720377}[metric], rel=1e-12)


def test_the_mean_takes_the_layers_as_transformers_counts_them():
    """Blocks 1..L-1 and the normed output: not the embedding, not the raw output of the last block."""
    dense, pruned = states(rows=5)  # embedding, blocks 1 to 3, normed
    loss = np.array([100.0, 1.0, 2.0, 300.0, 4.0])
    pruned[0, 0, :, 1] = dense[0, 0, :, 1] - loss
    values = values_of(drift_scores(sums_of(dense, pruned), d_model=2))
    assert values["pruning_error", "2"] == pytest.approx(0.04 * 4)
    assert values["pruning_error", "3"] == pytest.approx(0.04 * 300**2)
    assert values["pruning_error", "mean"] == pytest.approx(0.04 * (1 + 4 + 16) / 3)
    assert values["snr", "mean"] == pytest.approx(10 * math.log10(25) - 20 * math.log10(1 * 2 * 4) / 3)
    assert ("snr", "0") not in values


def test_drift_does_not_depend_on_how_tokens_are_cut_into_sequences():
    rng = np.random.default_rng(0)
    dense, pruned = rng.normal(size=(2, 4, 6, 5, 3))
    by_sequence = values_of(drift_scores(sums_of(dense, pruned), 3))
    together = values_of(drift_scores(sums_of(dense.reshape(1, 24, 5, 3), pruned.reshape(1, 24, 5, 3)), 3))
    assert by_sequence == pytest.approx(together)
    flat = dense.reshape(24, 5, 3)[:, 1] / np.linalg.norm(dense.reshape(24, 5, 3)[:, 1], axis=-1).mean()
    moved = pruned.reshape(24, 5, 3)[:, 1] / np.linalg.norm(dense.reshape(24, 5, 3)[:, 1], axis=-1).mean()
    assert by_sequence["pruning_error", "1"] == pytest.approx(((flat - moved) ** 2).mean())


def test_nothing_changed_is_no_error_and_infinite_snr():
    dense, _ = states()
    values = values_of(drift_scores(sums_of(dense, dense), 2))
    assert values["pruning_error", "mean"] == 0
    assert values["snr", "mean"] == math.inf


LOSSES = {
    "nll_dense": np.log(np.array([[2, 8], [4, 4]], np.float32)),
    "bytes": np.array([3, 5]),
}
PAIRED = {
    **LOSSES,
    "nll_pruned": np.log(np.array([[4, 16], [8, 8]], np.float32)),
    "kl": np.array([[0.5, 0.0], [0.25, 0.25]], np.float32),
    "agree": np.array([1, 2]),
}


def test_perplexity_of_known_losses():
    found = list(prediction_scores(LOSSES))
    assert [(metric, layer, unit, n) for metric, layer, _, unit, n in found] == [
        ("nll", None, "nat/token", 4), ("perplexity", None, "1", 4), ("bits_per_byte", None, "bit/byte", 4)
    ]  # fmt: skip
    values = values_of(found)
    assert values["nll", None] == pytest.approx(math.log(4))
    assert values["perplexity", None] == pytest.approx(4)
    assert values["bits_per_byte", None] == pytest.approx(8 / 8), "1 + 3 + 2 + 2 bits over 8 bytes"


def test_a_cell_is_scored_on_its_own_losses():
    values = values_of(prediction_scores(PAIRED))
    assert values["perplexity", None] == pytest.approx(8)
    assert values["bits_per_byte", None] == pytest.approx(12 / 8)
    assert values["kl", None] == pytest.approx(0.25)
    assert values["top1_agreement", None] == pytest.approx(3 / 4)


def write_dump(path: Path, paired: bool, **changes: Any) -> Path:
    dense, pruned = states()
    sums = sums_of(dense, pruned)
    if not paired:
        sums.pop("diff")
    sums |= PAIRED if paired else LOSSES
    place = {name: np.zeros(1, np.int32) for name in ("sequence", "position", "token_id")}
    about = measured(path.stem, VARIANT if paired else None) | changes
    with write_hidden_states(path, 2, 2, np.ones(2), place, "float32", about) as writer:
        for row in range(4):
            writer.write_row(MEANS, row, np.zeros((2, 2)))
            writer.write_row(SAMPLE, row, np.zeros((1, 2)))
        writer.write_sums(sums)
    return path


def test_a_cell_gets_both_files_and_a_row_a_value(tmp_path: Path):
    dumps = [write_dump(tmp_path / f"{language}.h5", paired=True) for language in ("de", "zh")]
    perplexity, drift = tmp_path / "perplexity.parquet", tmp_path / "drift.parquet"
    measure_drift(dumps, ["de", "zh"], VARIANT, perplexity, [drift], {"code": "abc"})
    rows = pq.read_table(perplexity).to_pylist()
    assert [(row["eval_language"], row["metric"]) for row in rows] == [
        (language, metric)
        for language in ("de", "zh")
        for metric in ("nll", "perplexity", "bits_per_byte", "kl", "top1_agreement")
    ]
    assert all(row | VARIANT == row for row in rows)
    assert rows[1]["value"] == pytest.approx(8)
    assert [(row["metric"], row["layer"]) for row in pq.read_table(drift).to_pylist()] == [
        (metric, layer)
        for _ in range(2)
        for metric in ("pruning_error", "snr")
        for layer in ("1", "2", "L_normed", "mean")
    ]
    assert read_header(drift, "scores/2") == {
        "code": "abc",
        "schema": "scores/2",
        "place": None,
        "variant": VARIANT,
        "cell": {"code": "c"},
        "sources": {"model": "0123456789abcdef", "text de": "text-de", "text zh": "text-zh"},
    }


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"language": "en"}, "has language en, expected zh"),
        ({"method": "sparsegpt"}, "has method sparsegpt, expected wanda"),
        ({"scheme": "0.20"}, r"has scheme 0\.20, expected 0\.50"),
        ({"calibration": "zh"}, "has calibration zh, expected de"),
        ({"seed": 0}, "has seed 0, expected 1"),
        ({"corpus": "web"}, "has corpus web, expected demo"),
        ({"model_digest": "f" * 16}, r"has model_digest ffffffffffffffff, but .*de\.h5 has 0123456789abcdef"),
        ({"provenance": {"cell": {"code": "d"}}}, r"has provenance\.cell \{'code': 'd'\}, but .*de\.h5 has"),
    ],
    ids=str,
)
def test_a_dump_of_something_else_is_refused(changes: dict[str, Any], complaint: str, tmp_path: Path):
    dumps = [write_dump(tmp_path / "de.h5", paired=True), write_dump(tmp_path / "zh.h5", paired=True, **changes)]
    with pytest.raises(UserError, match=rf"zh\.h5 .*{complaint}.*make it again: snakemake --profile local .*zh\.h5"):
        measure_drift(dumps, ["de", "zh"], VARIANT, tmp_path / "p", [], {})
    assert not (tmp_path / "p").exists()


def test_the_dense_model_gets_perplexity_only(tmp_path: Path):
    dump = write_dump(tmp_path / "de.h5", paired=False)
    measure_drift([dump], ["de"], DENSE, tmp_path / "p.parquet", [], {})
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert {row["metric"]: row["value"] for row in rows}["perplexity"] == pytest.approx(4)
    assert all(row["seed"] is None and row["method"] == "dense" for row in rows)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["de.h5", "p.parquet"]


def test_same_dumps_same_bytes(tmp_path: Path):
    dump = write_dump(tmp_path / "de.h5", paired=True)
    for name in "ab":
        measure_drift([dump], ["de"], VARIANT, tmp_path / f"p{name}", [tmp_path / f"d{name}"], {})
    assert (tmp_path / "pa").read_bytes() == (tmp_path / "pb").read_bytes()
    assert (tmp_path / "da").read_bytes() == (tmp_path / "db").read_bytes()


def test_a_missing_dump_or_language_is_refused(tmp_path: Path):
    dump = write_dump(tmp_path / "de.h5", paired=True)
    with pytest.raises(UserError, match=r"zh\.h5 does not exist"):
        measure_drift([dump, tmp_path / "zh.h5"], ["de", "zh"], VARIANT, tmp_path / "p", [], {})
    with pytest.raises(ValueError, match="shorter"):
        measure_drift([dump], ["de", "zh"], VARIANT, tmp_path / "p", [], {})
    assert not (tmp_path / "p").exists()
