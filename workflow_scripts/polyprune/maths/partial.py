"""Does one number of a cell go with another, beyond what language and calibration do to both? Partial correlation.

x and y are K × J: K calibrations, J columns, each evaluated in a language. Controls are a matrix Z of one row a cell
and one column a control; Q is an orthonormal basis of Z and of the constant, q its rank.

    PART-1   e(v) = v − Q Qᵀ v                        what the controls leave of v
    PART-2   r = e(x)·e(y) / (‖e(x)‖ ‖e(y)‖)          partial correlation
    PART-3   tanh(artanh r ± z_{1−α/2} / √(KJ − q − 2))         interval (Fisher 1924), as if cells were independent
    PART-4   p = #{π : r(x_π, y) ≥ r(x, y)} / K!      π relabels the calibrations of x, the same in all columns

Columns of one language share x, and benchmarks share cells, so that PART-3 is too narrow; PART-4 keeps columns
together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import special

from polyprune.maths.permutation import ROUNDING, relabellings

Cells = Float64[np.ndarray, "k columns"]
Controls = Float64[np.ndarray, "cells n_controls"]
Basis = Float64[np.ndarray, "cells q"]


@dataclass(frozen=True)
class Partial:
    """PART-2, PART-3 and PART-4."""

    r: float
    low: float
    high: float
    p: float


def residuals(cells: Float64[np.ndarray, "*many k columns"], basis: Basis) -> Float64[np.ndarray, "*many cells"]:
    """PART-1, of one matrix of cells or of many."""
    flat = cells.reshape(*cells.shape[:-2], -1)
    return flat - (flat @ basis) @ basis.T


def basis_of(controls: Controls) -> Basis:
    """Q."""
    with_constant = np.column_stack([np.ones(len(controls)), controls])
    u, s, _ = np.linalg.svd(with_constant, full_matrices=False)
    return u[:, s > ROUNDING * s[0]]


def partial_correlation(x: Cells, y: Cells, controls: Controls, level: float = 0.95, seed: int = 0) -> Partial | None:
    """None where the controls leave nothing of x or of y, or too few cells, or a value is not finite.

    `controls` has a row for each cell, in the order of `x.reshape(-1)`; `seed` draws relabellings where there are too
    many to look at all.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    basis = basis_of(controls)
    of_x, of_y = residuals(x[relabellings(len(x), seed)], basis), residuals(y, basis)
    norms = np.linalg.norm(of_x, axis=1)
    left = x.size - basis.shape[1] - 2
    nothing = ROUNDING * max(float(np.abs(x).max()), 1e-300), ROUNDING * max(float(np.abs(y).max()), 1e-300)
    if left < 1 or norms[0] <= nothing[0] or np.linalg.norm(of_y) <= nothing[1]:
        return None
    r = np.divide(of_x @ of_y, norms * np.linalg.norm(of_y), out=np.zeros(len(norms)), where=norms > nothing[0])
    own = float(np.clip(r[0], -1, 1))
    half = float(special.ndtri((1 + level) / 2)) / left**0.5
    z = np.arctanh(np.clip(own, -1 + 1e-15, 1 - 1e-15))
    return Partial(own, float(np.tanh(z - half)), float(np.tanh(z + half)), float((r >= own - ROUNDING).mean()))
