"""AWQ (Lin et al. 2024, arXiv:2306.00978): input channels that carry much are spread over more levels of the grid.

    AWQ-1   s_j(α) = m_j^α / u_j^(1−α)      m_j = Σ_t |x_tj| / T    u_j = 1, or the duo scaling of AutoAWQ: the mean of
                                            |w_ij| / max_{k in group} |w_ik| over all rows; then s / √(max s · min s)
    AWQ-2   α = argmin Σ_i d_i G d_i^T      d_i = row i of W − Q(W diag s) diag(1/s)    α in 0, 1/20, …, 19/20
    AWQ-3   c = argmin d_g G_gg d_g^T       of each row and group g of W diag s: d_g = w_g − Q(clamp(w_g, ±c max|w_g|)),
                                            G over x_j / s_j                            c in 1, 19/20, …, 11/20

Q is GRID-1..3, asymmetric. Matrices that read the same input have one s, as it has to be folded into what makes that
input. What is kept are codes of W diag s, and s.

As in AutoAWQ 0.2.9, with two differences. Errors are exact over all calibration tokens, from the Gram matrix G: AWQ-2
is ‖(W − Ŵ) X^T‖², the equation in print, where the code takes the error behind the attention or the whole MLP for what
enters them; and for AWQ-3 it takes 512 tokens. Every input is scaled, also that of o_proj where it cannot be folded
into v_proj (grouped queries), since a cell holds s beside the matrix; without `scaled` it is not, as in AutoAWQ.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from polyprune.maths.checks import require_finite, require_full_float32
from polyprune.maths.grids import Grid, GridSettings, Quantised, dequantise, round_to_nearest

STEPS = 20
"""Of α, and of a clipping limit, which ends half-way."""
SMALLEST = 1e-4
"""Of a scale before it is normalised, and what is added to u_j."""


def awq(
    weights: Sequence[Float[Tensor, "_ d_in"]],
    gram: Float[Tensor, "d_in d_in"],
    sizes: Float[Tensor, " d_in"],
    settings: GridSettings,
    duo_scaling: bool,
    clipped: Sequence[bool],
    where: str,
    scaled: bool = True,
) -> list[Quantised]:
    """Quantise matrices that read the same input; `sizes` are m_j, `clipped` says which matrices AWQ-3 is for.

    Without `scaled` every s_j is 1 and AWQ-3 is all there is.

    Raises:
        ValueError: weights or statistics are not finite; `where` names the matrices.
    """
    require_full_float32()
    weight = torch.cat([each.to(gram.dtype) for each in weights])
    for tensor, what in ((weight, "weights"), (gram, "inputs"), (sizes, "inputs")):
        require_finite(tensor, f"{what} of {where}")
    scales = best_scales(weight, gram, sizes, settings, duo_scaling) if scaled else torch.ones_like(sizes)
    gram_of_scaled = gram / scales / scales[:, None]
    columns = list((weight * scales).T.split([len(each) for each in weights], dim=1))
    limited = [
        clip(each, gram_of_scaled, settings) if ask else each for each, ask in zip(columns, clipped, strict=True)
    ]
    found = [round_to_nearest(each.T, settings) for each in limited]
    return [replace(each, column_scales=scales.float().clone()) for each in found] if scaled else found


def best_scales(
    weight: Float[Tensor, "rows d_in"],
    gram: Float[Tensor, "d_in d_in"],
    sizes: Float[Tensor, " d_in"],
    settings: GridSettings,
    duo_scaling: bool,
) -> Float[Tensor, " d_in"]:
    """AWQ-2: s(α) with the smallest error over all rows, of all matrices; the first of equals."""
    evenness = _evenness(weight, settings.group_size) if duo_scaling else None

    def error(scales: Tensor) -> float:
        lost = weight - dequantise(round_to_nearest(weight * scales, settings), weight.dtype) / scales
        return ((lost @ gram) * lost).sum(dtype=torch.float64).item()

    return min((_scales(sizes, evenness, step / STEPS) for step in range(STEPS)), key=error)


def _evenness(weight: Float[Tensor, "rows d_in"], group_size: int) -> Float[Tensor, " d_in"]:
    """u_j of AWQ-1."""
    groups = weight.abs().split(group_size, dim=1)
    return torch.cat([(group / (group.amax(1, keepdim=True) + 1e-6)).mean(0) for group in groups])


def _scales(
    sizes: Float[Tensor, " d_in"], evenness: Float[Tensor, " d_in"] | None, alpha: float
) -> Float[Tensor, " d_in"]:
    """AWQ-1."""
    scales = sizes.pow(alpha)
    if evenness is not None:
        scales = scales / (evenness.pow(1 - alpha) + SMALLEST)
    scales = scales.clamp(min=SMALLEST)
    return scales / (scales.max() * scales.min()).sqrt()


def clip(
    columns: Float[Tensor, "d_in rows"], gram: Float[Tensor, "d_in d_in"], settings: GridSettings
) -> Float[Tensor, "d_in rows"]:
    """AWQ-3: the weights, those beyond the best limit of their row and group at the limit."""
    starts = range(0, len(columns), settings.group_size)
    groups = (slice(start, start + settings.group_size) for start in starts)
    return torch.cat([_clip_group(columns[group], gram[group, group], settings) for group in groups])


def _clip_group(
    group: Float[Tensor, "width rows"], gram: Float[Tensor, "width width"], settings: GridSettings
) -> Float[Tensor, "width rows"]:
    largest = group.abs().amax(0)
    best, least = group, torch.full_like(largest, torch.inf)
    for step in range(STEPS // 2):
        limit = largest * (1 - step / STEPS)
        clamped = group.clamp(-limit, limit)
        grid = Grid.of(clamped, settings)
        lost = grid.values(grid.codes(clamped)) - group
        error = ((gram @ lost) * lost).sum(0)
        best, least = torch.where(error < least, clamped, best), torch.minimum(error, least)
    return best
