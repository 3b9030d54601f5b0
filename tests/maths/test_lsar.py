"""Language subspaces: the closed form against the paper's two decompositions, and the parts; LSAR-1 to LSAR-3."""

from __future__ import annotations

import numpy as np
import pytest

from polyprune.maths.lsar import (
    Coordinates,
    highest_rank,
    mean_shift,
    pooled_basis,
    random_basis,
    specific_basis,
)

D, N_LANGUAGES, N_PROMPTS = 24, 7, 30


def two_decompositions(means: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """M_s and μ by the paper's eq. 3 to 6, its typos corrected: 1 in R^L, diag(s), pseudo-inverse transposed."""
    m = means.T.astype(np.float64)
    ones = np.ones(m.shape[1])
    mean = m @ ones / len(ones)
    u, s, vt = np.linalg.svd(m - np.outer(mean, ones), full_matrices=False)
    approximation = np.outer(mean, ones) + u[:, :rank] @ np.diag(s[:rank]) @ vt[:rank]
    towards = np.linalg.pinv(approximation).T @ ones
    mu = towards / (towards @ towards)
    directions, _, _ = np.linalg.svd(approximation - np.outer(mu, ones), full_matrices=False)
    return directions[:, :rank], mu


def prompts(seed: int, distance: float = 3.0) -> list[np.ndarray]:
    """Embeddings of parallel prompts, a language each: shared content, a language's own place, noise."""
    rng = np.random.default_rng(seed)
    content, places = rng.standard_normal((N_PROMPTS, D)), distance * rng.standard_normal((N_LANGUAGES, D))
    return [content + place + 0.3 * rng.standard_normal((N_PROMPTS, D)) + 1 for place in places]


def damaged(clean: list[np.ndarray], seed: int = 5) -> list[np.ndarray]:
    """Every language moved by a length of its own, 1 to 7."""
    rng = np.random.default_rng(seed)
    moved = []
    for size, embeddings in enumerate(clean, start=1):
        direction = rng.standard_normal(D)
        moved.append(embeddings + size * direction / np.linalg.norm(direction))
    return moved


def agnostic_mean(means: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """μ of LSAR-1: what the languages' mean has outside the subspace."""
    m = means.mean(axis=0)
    return m - basis @ (basis.T @ m)


def averages(languages: list[np.ndarray]) -> np.ndarray:
    return np.stack([each.mean(axis=0) for each in languages])


@pytest.mark.parametrize("rank", range(1, N_LANGUAGES))
def test_the_closed_form_is_the_papers_two_decompositions(rank: int):
    """LSAR-1."""
    for seed in range(5):
        means = averages(prompts(seed))
        basis = specific_basis(means, rank)
        expected, mu = two_decompositions(means, rank)
        np.testing.assert_allclose(basis @ basis.T, expected @ expected.T, atol=1e-11)
        np.testing.assert_allclose(agnostic_mean(means, basis), mu, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_a_projector_is_one(rank: int):
    basis = specific_basis(averages(prompts(0)), rank)
    projector = basis @ basis.T
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-13)
    np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-13)
    assert np.abs(basis.T @ agnostic_mean(averages(prompts(0)), basis)).max() < 1e-13


def test_smaller_ranks_are_nested_in_larger_ones():
    means = averages(prompts(1))
    np.testing.assert_allclose(np.abs(specific_basis(means, 6)[:, :2]), np.abs(specific_basis(means, 2)), atol=1e-12)


def test_at_the_highest_rank_all_languages_have_the_same_agnostic_mean():
    """What makes the paper's agnostic curves flat; at a lower rank they are not equal."""
    means = averages(prompts(2))
    for rank, equal in ((highest_rank(N_LANGUAGES), True), (4, False)):
        basis = specific_basis(means, rank)
        rest = means - means @ basis @ basis.T
        assert np.allclose(rest, agnostic_mean(means, basis), atol=1e-10) == equal


@pytest.mark.parametrize("rank", [1, 4, 6])
@pytest.mark.parametrize("shared", [False, True])
def test_shifts_equal_projected_embeddings(rank: int, shared: bool):
    """LSAR-2 and LSAR-3 by their definitions, for one projector a model and for one that both share."""
    clean, moved = prompts(3), damaged(prompts(3))
    own = specific_basis(averages(clean), 6)
    other = own if shared else specific_basis(averages(moved), 6)
    for e, e_moved in zip(clean, moved, strict=True):
        found = Coordinates(e, e_moved, own, other).shifts(rank)
        s, s_moved = (x @ b[:, :rank] @ b[:, :rank].T for x, b in ((e, own), (e_moved, other)))
        specific, agnostic = s - s_moved, (e - s) - (e_moved - s_moved)
        assert found.specific == pytest.approx(np.linalg.norm(specific, axis=1).mean(), rel=1e-9)
        assert found.agnostic == pytest.approx(np.linalg.norm(agnostic, axis=1).mean(), rel=1e-9)
        assert found.specific_of_mean == pytest.approx(np.linalg.norm(specific.mean(axis=0)), rel=1e-7)
        assert found.agnostic_of_mean == pytest.approx(np.linalg.norm(agnostic.mean(axis=0)), rel=1e-7)
        whole, of_mean = mean_shift(e, e_moved)
        assert whole == pytest.approx(np.linalg.norm(e - e_moved, axis=1).mean())
        assert of_mean == pytest.approx(np.linalg.norm((e - e_moved).mean(axis=0)))


def test_the_flat_curve_is_built_in():
    """Damage of 1 to 7 by language: the agnostic mean shift is one number with a projector a model, and is not with one
    for both."""
    clean, moved = prompts(4), damaged(prompts(4))
    own, other = specific_basis(averages(clean), 6), specific_basis(averages(moved), 6)
    per_model = [Coordinates(e, m, own, other).shifts(6).agnostic_of_mean for e, m in zip(clean, moved, strict=True)]
    dense = [Coordinates(e, m, own, own).shifts(6).agnostic_of_mean for e, m in zip(clean, moved, strict=True)]
    assert max(per_model) - min(per_model) < 1e-9 * max(per_model)
    assert max(dense) > 3 * min(dense)


def test_with_equal_models_nothing_moves():
    clean = prompts(6)
    basis = specific_basis(averages(clean), 6)
    shifts = Coordinates(clean[0], clean[0], basis, basis).shifts(6)
    assert max(vars(shifts).values()) < 1e-6


def test_pooled_and_random_bases_are_orthonormal_and_pooled_sees_both_models():
    clean, moved = averages(prompts(7)), averages(damaged(prompts(7)))
    for basis in (pooled_basis(clean, moved, 6), random_basis(D, 6, seed=0)):
        np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-12)
    same = pooled_basis(clean, clean, 6)
    own = specific_basis(clean, 6)
    np.testing.assert_allclose(same @ same.T, own @ own.T, atol=1e-10)
    swapped = pooled_basis(moved, clean, 4)
    pooled = pooled_basis(clean, moved, 4)
    np.testing.assert_allclose(swapped @ swapped.T, pooled @ pooled.T, atol=1e-10)


def test_ranks_that_are_noise_are_refused():
    means = averages(prompts(8))
    for rank in (0, 7):
        with pytest.raises(ValueError, match=f"rank {rank} is not from 1 to 6"):
            specific_basis(means, rank)
    means[3] = means[2]
    with pytest.raises(ValueError, match="span 5 directions, 6 are wanted"):
        specific_basis(means, 6)
