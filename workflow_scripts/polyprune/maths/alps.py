"""ALPS: pruning as one constrained least squares problem (Meng et al. 2024, NeurIPS, arXiv:2406.07831).

    ALPS-1   minimise tr (Ŵ − W) H (Ŵ − W)^T over Ŵ with k weights, H from CHOL-1
    ALPS-2   B ← (W H − V + ρ D)(H + ρ I)⁻¹;   D ← the k largest |B + V/ρ|, the rest 0;   V ← V + ρ (B − D)   (ADMM)
    ALPS-3   on the support of B's k largest: conjugate gradients for ALPS-1, from B

All in units in which diag H = 1: H_jk / √(H_jj H_kk) and W_ij √H_jj; so the gradients are preconditioned. The k weights
are of the whole matrix (KEEP-3); n:m by KEEP-2. Schedule and constants are those of the authors' code (mazumder-lab/
ALPS). That code factors H once by eigenvalues in float64; here H + ρI is factored by CHOL-3 whenever ρ changes, which
is cheaper at the sizes of large models. That code may also start again and stop in the same look at the support, which
returns the start; here it stops first.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyprune.grammar.schemes import Scheme
from polyprune.maths.checks import require_finite, require_full_float32
from polyprune.maths.cholesky import damped_hessian, hessian_factor
from polyprune.maths.pruned_weight import PrunedWeight, in_storage_dtype
from polyprune.maths.selection import keep_per_row, keep_whole_matrix

ITERATIONS_PER_PENALTY = 3
FIRST_PENALTY = 0.1


def alps(
    weight: Float[Tensor, "d_out d_in"],
    gram: Float[Tensor, "d_in d_in"],
    damping: float,
    scheme: Scheme,
    where: str,
    max_iterations: int = 300,
    refit_iterations: int = 10,
) -> PrunedWeight:
    """Prune by ALPS-1..3; `where` names layer and matrix in errors.

    Raises:
        ValueError: weights or `gram` are not finite, or m does not divide the number of columns.
        NotPositiveDefiniteError: `gram` cannot be factored.
    """
    require_full_float32()
    require_finite(weight, f"weights of {where}")
    hessian, dead = damped_hessian(gram, damping, where)
    unit = hessian.diagonal().sqrt()
    hessian = hessian / unit / unit[:, None]
    target = (weight.to(hessian.dtype) * unit).masked_fill(dead, 0)
    found = _admm(target, hessian, scheme, where, max_iterations)
    keep = _keep_largest(found, scheme)
    refitted = refit(target, hessian, keep, found * keep, refit_iterations)
    return in_storage_dtype(refitted / unit, keep, weight.dtype)


def refit(
    target: Float[Tensor, "d_out d_in"],
    hessian: Float[Tensor, "d_in d_in"],
    keep: Bool[Tensor, "d_out d_in"],
    start: Float[Tensor, "d_out d_in"],
    n_iterations: int,
) -> Float[Tensor, "d_out d_in"]:
    """ALPS-3: per row, conjugate gradients for the weights of `keep`; `start` is 0 elsewhere."""
    solution = start.clone()
    residual = ((target - solution) @ hessian).masked_fill(~keep, 0)
    direction, size = residual, residual.square().sum(1, keepdim=True)
    for _ in range(n_iterations):
        curved = (direction @ hessian).masked_fill(~keep, 0)
        length = _ratio(size, (direction * curved).sum(1, keepdim=True))
        solution += length * direction
        residual = residual - length * curved
        previous, size = size, residual.square().sum(1, keepdim=True)
        direction = residual + _ratio(size, previous) * direction
    return solution


def _ratio(above: Float[Tensor, "d_out 1"], below: Float[Tensor, "d_out 1"]) -> Float[Tensor, "d_out 1"]:
    """0 where a row has converged, and both are 0."""
    return (above / below).where(below > 0, 0)


@dataclass
class Penalty:
    """ρ and its schedule, from how many weights entered or left the support since the last look."""

    rho: float = FIRST_PENALTY
    has_grown: bool = False

    def finished(self, n_iterations: int, n_changed: int, n_kept: int) -> bool:
        """The support stays under a growing ρ, or changes so little that the refit will do."""
        return (self.has_grown and not n_changed) or (n_iterations > 30 and n_changed < 0.0003 * n_kept)

    def adapt(self, n_changed: int, n_kept: int) -> bool:
        """Set the next ρ; return whether to start again, because ρ was too large for the support to move freely."""
        if n_changed > 0.1 * n_kept:
            return self._grow(1.3)
        if n_changed > 0.005 * n_kept:
            return self._grow(1.2)
        if self.has_grown:
            return self._grow(1.1)
        self.rho /= 5
        return n_changed > 0

    def _grow(self, factor: float) -> bool:
        self.rho, self.has_grown = min(self.rho * factor, 1e6), True
        return False


def _admm(
    target: Float[Tensor, "d_out d_in"],
    hessian: Float[Tensor, "d_in d_in"],
    scheme: Scheme,
    where: str,
    max_iterations: int,
) -> Float[Tensor, "d_out d_in"]:
    """ALPS-2: B after the last iteration, close to a matrix with k weights."""
    product, penalty = target @ hessian, Penalty()
    dense, dual = target, torch.zeros_like(target)
    first_keep = keep = _keep_largest(target, scheme)
    sparse, n_kept = target * keep, int(keep.sum())
    for n_iterations in range(ITERATIONS_PER_PENALTY, max_iterations + 1, ITERATIONS_PER_PENALTY):
        previous = keep
        inverse = hessian_factor(hessian, penalty.rho, where).inverse()  # diag H = 1, so this is of H + ρI
        for _ in range(ITERATIONS_PER_PENALTY):
            dense = (product - dual + penalty.rho * sparse) @ inverse
            shifted = dense + dual / penalty.rho
            keep = _keep_largest(shifted, scheme)
            sparse = shifted * keep
            dual += penalty.rho * (dense - sparse)
        n_changed = int((keep != previous).sum())
        if penalty.finished(n_iterations, n_changed, n_kept):
            break
        if penalty.adapt(n_changed, n_kept):
            sparse, dual = target * first_keep, torch.zeros_like(target)
    return dense


def _keep_largest(matrix: Float[Tensor, "d_out d_in"], scheme: Scheme) -> Bool[Tensor, "d_out d_in"]:
    """The support of the projection onto k weights."""
    keep = keep_whole_matrix if scheme.n_of_m is None else keep_per_row
    return keep(matrix.abs(), scheme)
