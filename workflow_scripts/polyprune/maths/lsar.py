"""LSAR: what of a prompt's embedding tells its language, and what does not (Xie et al. 2022; the paper's appendix D.2).

Columns of M (d, L) are the mean embeddings of L languages; m is their mean, B the first r left singular vectors of the
centred M − m1ᵀ.

    LSAR-1   min over μ, M_s, Γ of ‖M − μ1ᵀ − M_sΓᵀ‖_F with μ ⊥ span(M_s) is solved by  M_s = B,  μ = (I − BBᵀ) m
    LSAR-2   specific part of e: s = B Bᵀe;  agnostic part: a = e − s                                            eq. 7
    LSAR-3   Δ = mean over prompts of ‖x − x̃‖, x one of e, a, s in the dense model, x̃ in the compressed one

LSAR-1 is the closed form of the paper's two decompositions (eq. 3-6): the first already has the space that the second
returns. The rank r is at most L − 1, the rank of the centred matrix; of rank L the last vector would be noise.

With r = L − 1 the agnostic part of *every* language's mean is μ, exactly. If each model has a projector of its own, the
mean of a − ã is then μ − μ̃ in every language: LSAR-3 of the agnostic part is flat over languages by construction,
whatever the compression did. `shifts` therefore takes the two projectors as arguments.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64


def highest_rank(n_languages: int) -> int:
    """Rank of a matrix of centred means."""
    return n_languages - 1


def specific_basis(means: Float[np.ndarray, "n_languages d_model"], rank: int) -> Float64[np.ndarray, "d_model {rank}"]:
    """B of LSAR-1 from the languages' means, one a row; the first columns of a larger rank are those of a smaller.

    Raises:
        ValueError: the rank is not 1 to L − 1, or the means do not span that many directions.
    """
    if not 1 <= rank <= highest_rank(len(means)):
        raise ValueError(f"rank {rank} is not from 1 to {highest_rank(len(means))}, one less than the languages")
    return _leading_directions(_centred(means), rank)


def pooled_basis(
    dense: Float[np.ndarray, "n_languages d_model"], pruned: Float[np.ndarray, "n_languages d_model"], rank: int
) -> Float64[np.ndarray, "d_model {rank}"]:
    """One basis for two models: leading directions of both models' means together, each model's centred by its own."""
    return _leading_directions(np.concatenate([_centred(dense), _centred(pruned)]), rank)


def random_basis(d_model: int, rank: int, seed: int) -> Float64[np.ndarray, "{d_model} {rank}"]:
    """An orthonormal basis drawn uniformly: what any subspace of this rank would do."""
    normal = np.random.default_rng(seed).standard_normal((d_model, rank))
    return np.linalg.qr(normal)[0]


def _centred(means: Float[np.ndarray, "n_languages d_model"]) -> Float64[np.ndarray, "n_languages d_model"]:
    wide = means.astype(np.float64)
    return wide - wide.mean(axis=0)


def _leading_directions(rows: Float64[np.ndarray, "n d_model"], rank: int) -> Float64[np.ndarray, "d_model {rank}"]:
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    spanned = int((values > values[0] * 1e-7).sum()) if values[0] > 0 else 0
    if spanned < rank:
        raise ValueError(f"the languages' means span {spanned} directions, {rank} are wanted: are two languages equal?")
    return directions[:rank].T


@dataclass(frozen=True)
class Shifts:
    """LSAR-3 of the agnostic and the specific part, and the norms of the mean differences beside the mean norms."""

    agnostic: float
    specific: float
    agnostic_of_mean: float
    specific_of_mean: float


class Coordinates:
    """Prompts of one language in two models, ready for LSAR-3 with any rank: in coordinates of the two bases.

    With c = Bᵀe, c̃ = B̃ᵀẽ and δ = e − ẽ: ‖s − s̃‖² = ‖c‖² + ‖c̃‖² − 2 cᵀBᵀB̃c̃ and
    ‖a − ã‖² = ‖δ‖² − 2 δᵀ(s − s̃) + ‖s − s̃‖², so no prompt is projected back into d dimensions.
    """

    def __init__(
        self,
        dense: Float[np.ndarray, "n_prompts d_model"],
        pruned: Float[np.ndarray, "n_prompts d_model"],
        basis_dense: Float64[np.ndarray, "d_model rank"],
        basis_pruned: Float64[np.ndarray, "d_model rank"],
    ) -> None:
        e, e_pruned = dense.astype(np.float64), pruned.astype(np.float64)
        delta = e - e_pruned
        self.delta_squared = np.einsum("pd,pd->p", delta, delta)
        self.delta_mean_squared = float((delta.mean(axis=0) ** 2).sum())
        self.c, self.c_pruned = e @ basis_dense, e_pruned @ basis_pruned
        self.delta_in_dense, self.delta_in_pruned = delta @ basis_dense, delta @ basis_pruned
        self.cross = basis_dense.T @ basis_pruned

    def shifts(self, rank: int) -> Shifts:
        """LSAR-3 with the first `rank` directions of each basis."""
        parts = (self.c, self.c_pruned, self.delta_in_dense, self.delta_in_pruned)
        c, c_pruned, d, d_pruned = (part[:, :rank] for part in parts)
        cross = self.cross[:rank, :rank]
        specific, agnostic = _squares(c, c_pruned, d, d_pruned, cross, self.delta_squared)
        m, m_pruned, m_d, m_d_pruned = (part.mean(axis=0, keepdims=True) for part in (c, c_pruned, d, d_pruned))
        delta_squared = np.array([self.delta_mean_squared])
        specific_mean, agnostic_mean = _squares(m, m_pruned, m_d, m_d_pruned, cross, delta_squared)
        return Shifts(
            agnostic=float(np.sqrt(agnostic).mean()),
            specific=float(np.sqrt(specific).mean()),
            agnostic_of_mean=float(np.sqrt(agnostic_mean[0])),
            specific_of_mean=float(np.sqrt(specific_mean[0])),
        )


def _squares(
    c: Float64[np.ndarray, "n rank"],
    c_pruned: Float64[np.ndarray, "n rank"],
    d: Float64[np.ndarray, "n rank"],
    d_pruned: Float64[np.ndarray, "n rank"],
    cross: Float64[np.ndarray, "rank rank"],
    delta_squared: Float64[np.ndarray, " n"],
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """‖s − s̃‖² and ‖a − ã‖²; differences of equal numbers may fall below zero by rounding, so they are clipped."""
    specific = (c**2).sum(1) + (c_pruned**2).sum(1) - 2 * ((c @ cross) * c_pruned).sum(1)
    along = (d * c).sum(1) - (d_pruned * c_pruned).sum(1)
    return np.clip(specific, 0, None), np.clip(delta_squared - 2 * along + specific, 0, None)


def mean_shift(
    dense: Float[np.ndarray, "n_prompts d_model"], pruned: Float[np.ndarray, "n_prompts d_model"]
) -> tuple[float, float]:
    """LSAR-3 of whole embeddings, and the norm of their mean difference."""
    delta = dense.astype(np.float64) - pruned.astype(np.float64)
    return float(np.linalg.norm(delta, axis=1).mean()), float(np.linalg.norm(delta.mean(axis=0)))
