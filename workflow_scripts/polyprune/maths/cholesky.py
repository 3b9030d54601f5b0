"""The factor of the inverse Hessian that SparseGPT and GPTQ walk along.

    CHOL-1   H = G + λ·mean(diag G)·I     G = STAT-2 with G_jj = 0 replaced by 1 first; λ is `damping`
    CHOL-2   H⁻¹ = U^T U                  U upper triangular; row j of U holds what removing column j does to the
                                          columns after it (Frantar et al. 2022, arXiv:2210.17323, section 3, step 3)

The reference codes invert H and factor the inverse. Here H = R R^T with R upper triangular (the Cholesky factor of H
with rows and columns reversed) and U = R⁻¹: half the work, no second factorisation to fail.

A matrix that cannot be factored is an error. llm-compressor goes on with the identity instead, which turns SparseGPT
into magnitude pruning and GPTQ into rounding; GPTQModel raises λ until it works. λ is 0.01 in IST-DASLab's and
locuslab's codes, 0.05 in GPTQModel, 0.1 in transformers' GPTQConfig. G is a raw sum here, so the 1 of a dead input is
smaller next to the others than in codes that divide G by the number of sequences: λ·mean(diag G) differs slightly
if there are dead inputs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyprune.maths.checks import require_finite, require_full_float32


class NotPositiveDefiniteError(ValueError):
    """The damped Gram matrix has no Cholesky factor; the message says where and what to do."""


@dataclass(frozen=True)
class InverseFactor:
    """CHOL-2 of one layer input.

    `upper` is U; `dead` marks inputs that were 0 on every calibration token.
    """

    upper: Float[Tensor, "d_in d_in"]
    dead: Bool[Tensor, " d_in"]


def inverse_factor(gram: Float[Tensor, "d_in d_in"], damping: float, where: str) -> InverseFactor:
    """CHOL-1 and CHOL-2, in float64 if `gram` is, else in float32; `where` names layer and matrix in errors.

    Raises:
        ValueError: `gram` holds NaN or infinity, or all inputs are dead.
        NotPositiveDefiniteError: no Cholesky factor.
    """
    require_full_float32()
    hessian, dead = damped_hessian(gram, damping, where)
    lower, failed_at = torch.linalg.cholesky_ex(hessian.flip(0, 1))
    upper = inverse_of_lower(lower).flip(0, 1)
    if failed_at.item() or not torch.isfinite(upper).all():
        smallest = hessian.diagonal().min().item()
        raise NotPositiveDefiniteError(
            f"Gram matrix of {where} ({len(dead)} inputs) is not positive definite: smallest diagonal {smallest:.3g} "
            f"with damping {damping:g}; raise `damping` in config.yaml or use more calibration tokens"
        )
    return InverseFactor(upper, dead)


def inverse_of_lower(lower: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """The inverse of a lower triangular matrix, by halves: a third of the operations of solving for the identity."""
    n = len(lower)
    if n <= 512:
        identity = torch.eye(n, dtype=lower.dtype, device=lower.device)
        return torch.linalg.solve_triangular(lower, identity, upper=False)
    half = n // 2
    inverse = torch.zeros_like(lower)
    inverse[:half, :half] = inverse_of_lower(lower[:half, :half])
    inverse[half:, half:] = inverse_of_lower(lower[half:, half:])
    inverse[half:, :half] = -inverse[half:, half:] @ (lower[half:, :half] @ inverse[:half, :half])
    return inverse


def damped_hessian(
    gram: Float[Tensor, "d_in d_in"], damping: float, where: str
) -> tuple[Float[Tensor, "d_in d_in"], Bool[Tensor, " d_in"]]:
    """CHOL-1 as a new matrix, and which inputs are dead; in float64 if `gram` is, else in float32.

    Raises:
        ValueError: `gram` holds NaN or infinity, or all inputs are dead.
    """
    require_finite(gram, f"Gram matrix of {where}")
    hessian = gram.clone() if gram.dtype == torch.float64 else gram.to(torch.float32, copy=True)
    diagonal = hessian.diagonal()
    dead = diagonal == 0
    if dead.all():
        raise ValueError(f"Gram matrix of {where}: all {len(dead)} inputs are 0 on every calibration token")
    diagonal[dead] = 1
    diagonal += damping * diagonal.mean()
    return hessian, dead
