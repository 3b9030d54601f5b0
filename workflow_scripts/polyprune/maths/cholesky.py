"""The factor of the Hessian that SparseGPT and GPTQ walk along.

    CHOL-1   H = G + λ·mean(diag G)·I     G = STAT-2 with G_jj = 0 replaced by 1 first; λ is `damping`
    CHOL-2   H⁻¹ = U^T U                  U upper triangular; row j of U holds what removing column j does to the
                                          columns after it (Frantar et al. 2022, arXiv:2210.17323, section 3, step 3)

    CHOL-3   H = R R^T, U = R⁻¹   R upper triangular: the Cholesky factor of H with rows and columns reversed

The reference codes invert H and factor the inverse. Here R is all: the walk needs U within a block of columns only,
where it is the inverse of R's block (OBS-2). A quarter of the work, no second factorisation to fail. H is reversed,
factored and reversed back in one piece of memory beside G's.

A matrix that cannot be factored is an error. llm-compressor goes on with the identity instead, which turns SparseGPT
into magnitude pruning and GPTQ into rounding; GPTQModel raises λ until it works. λ is 0.01 in IST-DASLab's and
locuslab's codes, 0.05 in GPTQModel, 0.1 in transformers' GPTQConfig. G is a raw sum here, so the 1 of a dead input is
smaller next to the others than in codes that divide G by the number of sequences: λ·mean(diag G) differs slightly if
there are dead inputs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyprune.maths.checks import is_finite, require_finite, require_full_float32

REVERSED_AT_ONCE = {"cpu": 1 << 16, "cuda": 1 << 24}
"""Values that are moved from one end of a matrix to the other in one step: what fits a CPU's cache; few launches."""


class NotPositiveDefiniteError(ValueError):
    """The damped Gram matrix has no Cholesky factor; the message says where and what to do."""


@dataclass(frozen=True)
class HessianFactor:
    """CHOL-3 of one layer input.

    `root` is R; `dead` marks inputs that were 0 on every calibration token.
    """

    root: Float[Tensor, "d_in d_in"]
    dead: Bool[Tensor, " d_in"]

    def upper(self, block: slice) -> Float[Tensor, "width width"]:
        """CHOL-2: rows and columns `block` of U."""
        within = self.root[block, block]
        identity = torch.eye(len(within), dtype=within.dtype, device=within.device)
        return torch.linalg.solve_triangular(within, identity, upper=True)

    def inverse(self) -> Float[Tensor, "d_in d_in"]:
        """H⁻¹."""
        return torch.cholesky_inverse(self.root.flip(0, 1)).flip(0, 1)


def hessian_factor(gram: Float[Tensor, "d_in d_in"], damping: float, where: str) -> HessianFactor:
    """CHOL-1 and CHOL-3, in float64 if `gram` is, else in float32; `where` names layer and matrix in errors.

    Raises:
        ValueError: `gram` holds NaN or infinity, or all inputs are dead.
        NotPositiveDefiniteError: no Cholesky factor.
    """
    require_full_float32()
    hessian, dead = damped_hessian(gram, damping, where)
    smallest = hessian.diagonal().min()
    _reverse(hessian)
    factor = hessian.T  # H is symmetric; columns first, as LAPACK has them, so the factor is written over it
    failed_at = torch.empty((), dtype=torch.int32, device=gram.device)
    torch.linalg.cholesky_ex(factor, out=(factor, failed_at))
    if failed_at.item() or not is_finite(hessian):
        raise NotPositiveDefiniteError(
            f"Gram matrix of {where} ({len(dead)} inputs) is not positive definite: smallest diagonal "
            f"{smallest.item():.3g} with damping {damping:g}; raise `damping` in config.yaml or use more calibration "
            "tokens"
        )
    _reverse(hessian)
    return HessianFactor(factor, dead)


def _reverse(matrix: Float[Tensor, "n n"]) -> None:
    """Rows and columns in reverse order, in place; the matrix is contiguous."""
    values = matrix.view(-1)
    half, at_once = len(values) // 2, REVERSED_AT_ONCE[matrix.device.type]
    for start in range(0, half, at_once):
        stop = min(start + at_once, half)
        front, back = values[start:stop], values[len(values) - stop : len(values) - start]
        moved = front.flip(0)
        front.copy_(back.flip(0))
        back.copy_(moved)


def damped_hessian(
    gram: Float[Tensor, "d_in d_in"], damping: float, where: str
) -> tuple[Float[Tensor, "d_in d_in"], Bool[Tensor, " d_in"]]:
    """CHOL-1 as a new, contiguous matrix, and which inputs are dead; in float64 if `gram` is, else in float32.

    Raises:
        ValueError: `gram` holds NaN or infinity, or all inputs are dead.
    """
    require_finite(gram, f"Gram matrix of {where}")
    dtype = torch.float64 if gram.dtype == torch.float64 else torch.float32
    hessian = gram.to(dtype, copy=True, memory_format=torch.contiguous_format)
    diagonal = hessian.diagonal()
    dead = diagonal == 0
    if dead.all():
        raise ValueError(f"Gram matrix of {where}: all {len(dead)} inputs are 0 on every calibration token")
    diagonal[dead] = 1
    diagonal += damping * diagonal.mean()
    return hessian, dead
