"""PART-1 to PART-4 against regressions of statsmodels, by brute force, and on cells without and with an effect."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from polyprune.maths.partial import basis_of, partial_correlation, residuals


def dummies(k: int, j: int) -> np.ndarray:
    """Controls of k × j cells: their columns, and their rows."""
    row, column = np.divmod(np.arange(k * j), j)
    return np.column_stack([column[:, None] == np.arange(j), row[:, None] == np.arange(k)]).astype(float)


def test_it_is_what_a_regression_says() -> None:
    """PART-2: t of x in a regression of y on x and the controls gives r = t / √(t² + degrees of freedom)."""
    rng = np.random.default_rng(0)
    x, controls = rng.normal(size=(5, 8)), rng.normal(size=(40, 3))
    y = 0.4 * x + rng.normal(size=(5, 8)) + (controls @ [1, 2, 3]).reshape(5, 8)
    fit = sm.OLS(y.reshape(-1), sm.add_constant(np.column_stack([x.reshape(-1), controls]))).fit()
    t = fit.tvalues[1]
    found = partial_correlation(x, y, controls)
    assert found is not None and found.r == pytest.approx(t / (t**2 + fit.df_resid) ** 0.5)
    z, half = np.arctanh(found.r), stats.norm.ppf(0.975) / (40 - 3 - 3) ** 0.5
    assert (found.low, found.high) == pytest.approx((np.tanh(z - half), np.tanh(z + half)))


def test_columns_and_rows_held_constant_are_centring() -> None:
    """PART-1, and PART-3 with the rank of the controls, of which two are no news."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 4, 6))
    centred = x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean()
    basis = basis_of(dummies(4, 6))
    assert basis.shape[1] == 1 + 5 + 3
    assert residuals(x, basis) == pytest.approx(centred.reshape(-1))
    found = partial_correlation(x, y, dummies(4, 6))
    assert found is not None
    half = np.arctanh(found.high) - np.arctanh(found.r)
    assert half == pytest.approx(stats.norm.ppf(0.975) / (24 - 8 - 3) ** 0.5)


def test_all_relabellings_of_the_calibrations_by_brute_force() -> None:
    """PART-4; the controls know of the diagonal, which moves when rows do."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 4, 5))
    controls = np.column_stack([dummies(4, 5), np.eye(4, 5).reshape(-1)])
    design = sm.add_constant(controls)

    def left(v: np.ndarray) -> np.ndarray:
        return v.reshape(-1) - design @ np.linalg.lstsq(design, v.reshape(-1), rcond=None)[0]

    r = [np.corrcoef(left(x[list(order)]), left(y))[0, 1] for order in permutations(range(4))]
    found = partial_correlation(x, y, controls)
    assert found is not None and found.r == pytest.approx(r[0])
    assert found.p == pytest.approx(np.mean(np.array(r) >= r[0] - 1e-9))


def test_what_the_controls_explain_is_no_correlation() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 6)) + rng.normal(size=(4, 1))
    y = rng.normal(size=(4, 6))
    assert partial_correlation(x, y, dummies(4, 6)) is None and partial_correlation(y, x, dummies(4, 6)) is None
    assert partial_correlation(y[:2, :2], x[:2, :2] ** 2, np.zeros((4, 0))) is not None
    assert partial_correlation(y[:2, :1], x[:2, :1], np.zeros((2, 0))) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cells_that_are_not_finite_have_no_correlation(value: float) -> None:
    """Else they would be said to go with nothing: r = 0 and p = 1."""
    x, y = np.random.default_rng(0).normal(size=(2, 4, 6))
    x[1, 2] = value
    assert partial_correlation(x, y, dummies(4, 6)) is None and partial_correlation(y, x, dummies(4, 6)) is None


def test_no_effect_is_claimed_as_often_as_the_level_says_and_a_strong_one_is_found() -> None:
    """Columns of one language share the drift, and every calibration has a level of its own: PART-4 minds neither."""
    rng = np.random.default_rng(4)
    null, effect = [], []
    for _ in range(200):
        x = np.repeat(rng.normal(size=(6, 4)), 3, axis=1)
        noise = rng.normal(size=(6, 12)) + np.repeat(rng.normal(size=(6, 4)), 3, axis=1) + rng.normal(size=(6, 1))
        for found, y in ((null, noise), (effect, noise + 2 * x)):
            partial = partial_correlation(x, y, dummies(6, 12))
            assert partial is not None
            found.append(partial.p <= 0.05)
    assert 0.01 <= np.mean(null) <= 0.09 and np.mean(effect) > 0.9
