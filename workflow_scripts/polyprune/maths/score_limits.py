"""Limits for differences of shares that hold at the floor: score limits of each share, put together by their distances.

p_c is the share of right answers of calibration c over n questions, each answer a mean over S draws; V is the
covariance of the p_c (INF-2 with weights of one, σ²/S added on the diagonal); w are the weights of a contrast.

    SCORE-1  l, u = (p + q²/2ñ ∓ q √(p(1−p)/ñ + q²/4ñ²)) / (1 + q²/ñ)             Wilson (1927)
    SCORE-2  ñ = n/(n−1) Σ_c p_c(1−p_c) / Σ_c V_cc,  at most n S; n where no answer differs from another
             the questions that are as good as these, which groups make fewer and draws more     Kish (1965)
    SCORE-3  L = d − √(aᵀ R a),  a_c = w_c (p_c − l_c) where w_c > 0, else w_c (u_c − p_c);  U with l and u exchanged
             Newcombe (1998, method 10) for two shares; Zou, Huang and Zhang (2009) for any contrast
    SCORE-4  R_cc' = (V_cc' − 1/2ñ²) / √(V_cc V_c'c') where V_cc' > 0, but not below 0                  Newcombe (1998)
             half an answer less in common, so that the same answers to a few questions are no proof of more

q is a quantile. Where shares are far from 0 and 1 and n is large, both distances become q √(wᵀ V w). At the floor they
do not shrink to nothing: with nothing right in n questions, a share of q²/(n + q²) may still be hidden there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True)
class Shares:
    """The shares of a contrast."""

    p: Float64[np.ndarray, " k"]
    weights: Float64[np.ndarray, " k"]
    correlation: Float64[np.ndarray, "k k"]
    effective: float
    """ñ of SCORE-2."""

    def distance(self, q: float, below: bool) -> float:
        """SCORE-3: how far the lower (`below`) or the upper limit is from the difference."""
        low, high = score_limits(self.p, self.effective, q)
        down = self.weights > 0 if below else self.weights < 0
        each = self.weights * np.where(down, self.p - low, high - self.p)
        return float(max(0.0, each @ self.correlation @ each)) ** 0.5


def score_limits(p: Float64[np.ndarray, " k"], n: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """SCORE-1, without leaving p outside by rounding."""
    middle = (p + q**2 / (2 * n)) / (1 + q**2 / n)
    half = q * np.sqrt(p * (1 - p) / n + q**2 / (4 * n**2)) / (1 + q**2 / n)
    return np.minimum(p, middle - half), np.maximum(p, middle + half)


def effective_questions(
    p: Float64[np.ndarray, " c"], variance: Float64[np.ndarray, " c"], n: int, n_draws: int
) -> float:
    """SCORE-2 from all calibrations of a column; `variance` is the diagonal of V."""
    if not variance.sum() > 0:
        return float(n)
    return min(n / (n - 1) * float((p * (1 - p)).sum() / variance.sum()), float(n * n_draws))


def correlations(covariance: Float64[np.ndarray, "k k"], effective: float) -> Float64[np.ndarray, "k k"]:
    """SCORE-4; 0 beside a share that does not vary."""
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    common = np.where(covariance > 0, np.maximum(0.0, covariance - 1 / (2 * effective**2)), covariance)
    found = np.divide(common, scale, out=np.zeros_like(scale), where=scale > 0)
    np.fill_diagonal(found, 1.0)
    return found
