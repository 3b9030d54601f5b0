"""Pseudo-values against known sampling variances; JACK-1 and JACK-2."""

from __future__ import annotations

import numpy as np
import pytest

from polyprune.maths.drift import snr_db
from polyprune.maths.jackknife import log_perplexity, pseudo_values


def test_pseudo_values_of_a_mean_are_the_items():
    """JACK-1."""
    rng = np.random.default_rng(0)
    nll = rng.normal(2, 0.3, 25)
    found = pseudo_values({"nll": nll, "tokens": np.ones(25)}, log_perplexity)
    np.testing.assert_allclose(found, nll)


def test_two_sequences_are_enough():
    """JACK-1: without one the other is left."""
    found = pseudo_values({"nll": np.array([1.0, 3.0]), "tokens": np.ones(2)}, log_perplexity)
    assert found.tolist() == [1.0, 3.0]


def test_of_unequal_sequences_it_is_the_delta_method():
    """JACK-2: variance of a ratio of sums, Σ(nll − R tokens)² / (Σ tokens)² (Cochran 1977, eq. 6.13), to order 1/n."""
    rng = np.random.default_rng(1)
    tokens = rng.integers(50, 150, 400).astype(float)
    nll = tokens * rng.normal(2.0, 0.4, 400)
    found = pseudo_values({"nll": nll, "tokens": tokens}, log_perplexity)
    ratio = nll.sum() / tokens.sum()
    assert found.mean() == pytest.approx(ratio, rel=1e-3)
    delta = ((nll - ratio * tokens) ** 2).sum() / tokens.sum() ** 2
    assert found.var(ddof=1) / 400 == pytest.approx(delta, rel=0.02)


def test_the_variance_of_decibels_is_that_of_new_samples():
    """Mean over two layers of SNR: jackknife variance against the variance over 2,000 studies of 60 sequences."""
    rng = np.random.default_rng(2)

    def study() -> dict[str, np.ndarray]:
        return {"sq": rng.gamma(20, 5, (60, 2)), "diff": rng.gamma(4, 1, (60, 2))}

    def mean_snr(totals: dict[str, np.ndarray]) -> np.ndarray:
        return snr_db(totals["sq"], totals["diff"]).mean(axis=-1)

    truth = np.var([mean_snr({name: each.sum(axis=0) for name, each in study().items()}) for _ in range(2000)], ddof=1)
    found = np.mean([pseudo_values(study(), mean_snr).var(ddof=1) / 60 for _ in range(200)])
    assert found == pytest.approx(truth, rel=0.08)


def test_one_sequence_cannot_be_left_out():
    with pytest.raises(ValueError, match="1 sequence cannot be left out"):
        pseudo_values({"nll": np.ones(1), "tokens": np.ones(1)}, log_perplexity)
