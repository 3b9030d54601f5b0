"""LAPE: language activation probability entropy of MLP neurons (Tang et al. 2024, arXiv:2402.16438; appendix D.4).

    LAPE-1   p_k = share of the tokens of language k at which the neuron's activation is above zero              eq. 11
    LAPE-2   q_k = p_k / Σ_k p_k                                  share of language k in the neuron's activations
    LAPE-3   LAPE = −Σ_k q_k ln q_k                               nats, from 0 to ln K; 0 ln 0 = 0               eq. 12

The paper prints LAPE-3 without the minus, and its axes end at ln 6: nats. A neuron that no language ever activates has
no distribution q: its LAPE is NaN, not 0, which would make it the most language-specific of all.
"""

import numpy as np
from jaxtyping import Float64, Int64


def activation_probability(
    active: Int64[np.ndarray, "n_languages n_neurons"], n_tokens: Int64[np.ndarray, " n_languages"]
) -> Float64[np.ndarray, "n_languages n_neurons"]:
    """LAPE-1 from counts."""
    return active / n_tokens[:, None]


def lape(probability: Float64[np.ndarray, "n_languages n_neurons"]) -> Float64[np.ndarray, " n_neurons"]:
    """LAPE-3 from LAPE-1; NaN for neurons that are never active."""
    total = probability.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = probability / total
        terms = np.where(q > 0, q * np.log(q), 0.0)
    return np.where(total > 0, np.maximum(-terms.sum(axis=0), 0.0), np.nan)


def groups_by_rank(score: Float64[np.ndarray, " n_neurons"], n_groups: int) -> Int64[np.ndarray, " n_neurons"]:
    """Group of each neuron, 0 with the lowest scores, all of equal size within one; −1 for neurons without a score.

    Equal scores keep the order of the neurons.
    """
    order = np.argsort(score, kind="stable")
    order = order[~np.isnan(score[order])]
    groups = np.full(len(score), -1, dtype=np.int64)
    groups[order] = np.arange(len(order)) * n_groups // max(1, len(order))
    return groups


BOX = ("whisker_low", "q1", "median", "q3", "whisker_high")


def box_statistics(values: Float64[np.ndarray, " n"]) -> dict[str, float]:
    """Quartiles, and the extremes within 1.5 interquartile ranges of the box; NaN left out, NaN if none is left."""
    finite = values[~np.isnan(values)]
    if not len(finite):
        return dict.fromkeys(BOX, float("nan"))
    q1, median, q3 = np.quantile(finite, [0.25, 0.5, 0.75])
    reach = 1.5 * (q3 - q1)
    inside = finite[(finite >= q1 - reach) & (finite <= q3 + reach)]
    numbers = (min(inside.min(), q1), q1, median, q3, max(inside.max(), q3))
    return {name: float(number) for name, number in zip(BOX, numbers, strict=True)}
