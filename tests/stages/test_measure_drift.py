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
    norm, distance = np.linalg.norm(dense, axis=-1), np.linalg.norm(dense - pruned, axis=-1)
    usual = norm <= 5 * np.median(norm, axis=(0, 1))
    return {
        "n": np.full(dense.shape[0], dense.shape[1], np.int64),
        "norm": norm.sum(axis=1),
        "sq": (norm**2).sum(axis=1),
        "diff": (distance**2).sum(axis=1),
        "robust_n": usual.sum(axis=1).astype(np.float64),
        "robust_norm": (usual * norm).sum(axis=1),
        "robust_sq": (usual * norm**2).sum(axis=1),
        "robust_diff": (usual * distance**2).sum(axis=1),
    }


UNITS = {
    "pruning_error": "1",
    "snr": "dB",
    "pruning_error_robust": "1",
    "snr_robust": "dB",
    "massive_tokens": "token",
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
        (metric, layer, unit, 2) for metric, unit in UNITS.items() for layer in ("1", "2", "L_normed", "mean")
    ]
    for (metric, _), value in values_of(found).items():
        # μ = 5/2; E = 1 / (2 · 2 · 2.5²); SNR = 10 log10(25 / 1)
        by_hand = {
            "pruning_error": 0.04,
            "snr": 13.979400086720377,
            "massive_tokens": 0.0,
        }
        assert value == pytest.approx(by_hand[metric.removesuffix("_robust")], rel=1e-12)


def test_robust_variants_leave_massive_tokens_out():
    """Four tokens of norm 1, 2, 2 and, massive, 40 in layer 1; of 1, 2, 2 and 10, five times the median, in layer 2."""
    dense = np.zeros((2, 2, 4, 2))
    dense[..., 0] = np.array([[1, 2], [2, 10]])[:, :, None]
    dense[1, 1, 1] = (0, 40)
    pruned = dense.copy()
    pruned[0, 0, :, 1] = 0.5
    pruned[1, 1, 1, 1] = 10
    found = {(metric, layer): (value, n) for metric, layer, value, _, n in drift_scores(sums_of(dense, pruned), 2)}
    assert found["massive_tokens", "1"] == (1.0, 4) and found["massive_tokens", "2"] == (0.0, 4)
    assert found["massive_tokens", "mean"] == (0.5, 4), "layer 1 and the normed output"
    # Σ‖h‖² = 9 + 1600 and 9, Σ‖h − h̃‖² = 0.25 + 900 and 0.25; μ = 45/4 and 5/3
    assert found["snr", "1"] == (pytest.approx(10 * math.log10(1609 / 900.25)), 4)
    assert found["snr_robust", "1"] == (pytest.approx(10 * math.log10(9 / 0.25)), 3)
    assert found["pruning_error", "1"] == (pytest.approx(900.25 / (4 * 2 * 11.25**2)), 4)
    assert found["pruning_error_robust", "1"] == (pytest.approx(0.25 / (3 * 2 * (5 / 3) ** 2)), 3)
    assert found["snr_robust", "2"] == found["snr", "2"] == (pytest.approx(10 * math.log10(109 / 0.25)), 4)
    assert found["snr_robust", "mean"][1] == 3 and found["snr", "mean"][1] == 4


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
    "target": np.ones((2, 2), np.uint8),
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
        ("nll", None, "nat/token", 4), ("perplexity", None, "1", 4), ("bits_per_byte", None, "bit/byte", 4),
        ("special_targets", None, "token", 4),
    ]  # fmt: skip
    values = values_of(found)
    assert values["nll", None] == pytest.approx(math.log(4))
    assert values["perplexity", None] == pytest.approx(4)
    assert values["bits_per_byte", None] == pytest.approx(8 / 8), "1 + 3 + 2 + 2 bits over 8 bytes"


def test_special_tokens_are_no_targets():
    """Of four predicted tokens the second is special: whatever is lost at it counts nowhere."""
    target = np.array([[1, 0], [1, 1]], np.uint8)
    dump = {**PAIRED, "target": target, "agree": np.array([1, 1]), "bytes": np.array([3, 4])}
    loud = {name: np.where(target, dump[name], np.float32(1e9)) for name in ("nll_dense", "nll_pruned", "kl")}
    found = list(prediction_scores(dump | loud))
    values = values_of(found)
    assert values["nll", None] == pytest.approx(math.log(4 * 8 * 8) / 3)
    assert values["bits_per_byte", None] == pytest.approx(8 / 7), "2 + 3 + 3 bits over 7 bytes"
    assert values["kl", None] == pytest.approx(1 / 3)
    assert values["top1_agreement", None] == pytest.approx(2 / 3)
    assert values["special_targets", None] == 1
    assert {metric: n for metric, _, _, _, n in found if metric != "special_targets"} == dict.fromkeys(
        ("nll", "perplexity", "bits_per_byte", "kl", "top1_agreement"), 3
    )


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
        sums = {name: values for name, values in sums.items() if "diff" not in name}
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
        for metric in ("nll", "perplexity", "bits_per_byte", "kl", "top1_agreement", "special_targets")
    ]
    assert all(row | VARIANT == row for row in rows)
    assert rows[1]["value"] == pytest.approx(8)
    assert [(row["metric"], row["layer"]) for row in pq.read_table(drift).to_pylist()] == [
        (metric, layer) for _ in range(2) for metric in UNITS for layer in ("1", "2", "L_normed", "mean")
    ]
    assert read_header(drift, "scores/4") == {
        "code": "abc",
        "schema": "scores/4",
        "place": None,
        "variant": VARIANT,
        "cell": measured("de", VARIANT)["provenance"]["cell"],
        "text": {"framing": "documents", "around": ["<s>", "</s>"]},
        "sources": {
            "model": "0123456789abcdef",
            "text de": "text-de",
            "text zh": "text-zh",
            "calibration text de seed1": "shard",
        },
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
