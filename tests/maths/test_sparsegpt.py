"""SGPT-1, SGPT-2 and OBS-1 against least squares, and against a plain column loop written from the definition."""

import pytest
import torch
from tests.helpers.matrices import correlated_inputs, weights

from polyprune.grammar.schemes import Scheme, parse_scheme
from polyprune.maths.cholesky import HessianFactor, hessian_factor
from polyprune.maths.sparsegpt import sparsegpt

SCHEMES = ["0.20", "0.50", "0.80", "2of4", "1of4"]


def factor_of(x: torch.Tensor, dtype: torch.dtype = torch.float64, damping: float = 0.01) -> HessianFactor:
    return hessian_factor((x.T @ x).to(dtype), damping, "a test")


def plain_column_loop(
    weight: torch.Tensor, factor: HessianFactor, scheme: Scheme, block_size: int = 128
) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition, column by column, row-major, every update applied to all later columns at once."""
    weight, U = weight.clone(), factor.upper(slice(None))
    d_in = weight.shape[1]
    weight[:, factor.dead] = 0
    keep = torch.ones_like(weight, dtype=torch.bool)
    for j in range(d_in):
        if scheme.sparsity is not None and j % block_size == 0:
            block = slice(j, min(j + block_size, d_in))
            score = (weight[:, block] / U.diagonal()[block]) ** 2
            threshold = sorted(score.flatten().tolist())[int(score.numel() * scheme.sparsity)]
            keep[:, block] = score > threshold
        if scheme.n_of_m is not None and j % scheme.n_of_m[1] == 0:
            n, m = scheme.n_of_m
            for row in range(len(weight)):
                score = [(weight[row, k] / U[k, k]).item() ** 2 for k in range(j, j + m)]
                for k in sorted(range(m), key=lambda k: (score[k], k))[: m - n]:
                    keep[row, j + k] = False
        error = torch.where(keep[:, j], 0, weight[:, j] / U[j, j])
        weight[:, j + 1 :] -= error[:, None] * U[j, j + 1 :]
        weight[:, j] *= keep[:, j]
    return weight, keep


@pytest.mark.parametrize("k", range(1, 6))
def test_pruning_the_first_k_columns_equals_least_squares_refit(k):
    """SGPT-2, OBS-1, CHOL-2 with no damping: the rest of the row becomes the exact refit."""
    x, weight = correlated_inputs(50, 8), weights(3, 8)
    weight[:, :k] *= 1e-4  # lowest score, so these go
    scheme = parse_scheme(f"0.{(1000 * k) // 8 - 1:03d}".rstrip("0"))  # KEEP-4 removes one more than the floor
    ((pruned, keep),) = sparsegpt([weight], factor_of(x, damping=0.0), scheme)
    assert keep.tolist() == [[False] * k + [True] * (8 - k)] * 3
    refit = torch.linalg.lstsq(x[:, k:], x @ weight.T).solution.T
    torch.testing.assert_close((pruned - weight)[:, k:], refit - weight[:, k:], rtol=1e-7, atol=1e-12)
    assert (pruned[:, :k] == 0).all()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("d_in", "block_size"), [(300, 128), (64, 16), (40, 128), (36, 20)])
def test_same_mask_and_weights_as_the_plain_column_loop(scheme, d_in, block_size):
    """SGPT-1, SGPT-2; widths that are no multiple of the block, and blocks that are no multiple of the step."""
    x = correlated_inputs(2 * d_in, d_in)
    x[:, [3, 17]] = 0
    weight, factor = weights(24, d_in).float(), factor_of(x, torch.float32)
    ((pruned, keep),) = sparsegpt([weight], factor, parse_scheme(scheme), block_size)
    expected, expected_keep = plain_column_loop(weight, factor, parse_scheme(scheme), block_size)
    assert torch.equal(keep, expected_keep)
    torch.testing.assert_close(pruned, expected, rtol=1e-4, atol=1e-5)
    assert (pruned[~keep] == 0).all()


@pytest.mark.parametrize("scheme", ["1of3", "2of3"])
def test_groups_never_lie_across_two_blocks(scheme):
    """KEEP-2: blocks of 16 columns shrink to 15 for groups of 3."""
    x, weight = correlated_inputs(100, 36), weights(6, 36)
    ((pruned, keep),) = sparsegpt([weight], factor_of(x), parse_scheme(scheme), block_size=16)
    expected, expected_keep = plain_column_loop(weight, factor_of(x), parse_scheme(scheme))
    assert torch.equal(keep, expected_keep)
    torch.testing.assert_close(pruned, expected)


def test_float32_is_close_to_float64():
    """SGPT-1, SGPT-2: the mask is a matter of the data, not of rounding."""
    x, weight = correlated_inputs(400, 200), weights(64, 200)
    ((single, keep),) = sparsegpt([weight.float()], factor_of(x, torch.float32), parse_scheme("0.50"))
    ((exact, expected_keep),) = sparsegpt([weight], factor_of(x), parse_scheme("0.50"))
    assert (keep == expected_keep).float().mean() > 0.9999
    error, exact_error = (((w.double() - weight) @ x.T).norm() for w in (single, exact))
    assert abs(error / exact_error - 1) < 1e-5


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("scheme", ["0.50", "2of4", "1of4"])
def test_ties(scheme, value):
    """SGPT-1: unstructured, all that tie with the threshold go; n:m, the first of a group go."""
    weight = torch.full((4, 16), value)
    factor = hessian_factor(torch.eye(16), 0.01, "a test")
    ((_, keep),) = sparsegpt([weight], factor, parse_scheme(scheme))
    _, expected_keep = plain_column_loop(weight, factor, parse_scheme(scheme))
    assert torch.equal(keep, expected_keep)
    assert keep[0].tolist() == {"0.50": [False] * 16, "2of4": [0, 0, 1, 1] * 4, "1of4": [0, 0, 0, 1] * 4}[scheme]


@pytest.mark.parametrize("scheme", ["0.50", "1of4"])
def test_matrices_solved_together_are_as_if_alone(scheme):
    """SGPT-1: thresholds are of one matrix, so a matrix of small weights is not emptied by a large one."""
    x = correlated_inputs(100, 40)
    factor = factor_of(x)
    small, large = weights(6, 40, seed=2) * 1e-3, weights(10, 40, seed=3)
    together = sparsegpt([small, large], factor, parse_scheme(scheme))
    alone = [sparsegpt([weight], factor, parse_scheme(scheme))[0] for weight in (small, large)]
    for (weight, keep), (expected, expected_keep) in zip(together, alone, strict=True):
        assert torch.equal(keep, expected_keep)
        torch.testing.assert_close(weight, expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_updates_leave_less_error_than_the_mask_alone(scheme):
    """OBS-1: on correlated inputs."""
    x, weight = correlated_inputs(200, 64), weights(16, 64)
    ((pruned, keep),) = sparsegpt([weight], factor_of(x), parse_scheme(scheme))
    assert ((pruned - weight) @ x.T).norm() < 0.9 * ((weight * keep - weight) @ x.T).norm()


def test_scale_of_the_gram_matrix_does_not_matter():
    """SGPT-1, SGPT-2: so sums need no division by the number of sequences."""
    x, weight = correlated_inputs(200, 64), weights(16, 64)
    ((first, _),) = sparsegpt([weight], factor_of(x), parse_scheme("0.50"))
    ((second, _),) = sparsegpt([weight], factor_of(x * 37), parse_scheme("0.50"))
    torch.testing.assert_close(first, second)


def test_storage_dtype_is_kept_and_a_kept_zero_stays_kept():
    """A bfloat16 matrix is updated in the dtype of the factor and rounded once."""
    x, weight = correlated_inputs(200, 64), weights(16, 64).bfloat16()
    factor = factor_of(x)
    ((pruned, keep),) = sparsegpt([weight], factor, parse_scheme("2of4"))
    ((unrounded, expected_keep),) = sparsegpt([weight.float()], factor, parse_scheme("2of4"))
    assert torch.equal(keep, expected_keep)
    assert torch.equal(pruned, unrounded.bfloat16())

    zeros = torch.zeros(1, 4, dtype=torch.bfloat16)
    ((_, keep),) = sparsegpt([zeros], hessian_factor(torch.eye(4), 0.01, "a test"), parse_scheme("2of4"))
    assert keep.sum() == 2


def test_dead_inputs_go():
    """SGPT-1: zeroed before anything is scored, and first to go."""
    x = correlated_inputs(100, 16)
    x[:, [2, 9]] = 0
    ((pruned, keep),) = sparsegpt([weights(5, 16)], factor_of(x), parse_scheme("0.20"))
    assert not keep[:, [2, 9]].any()
    assert (pruned[:, [2, 9]] == 0).all()


def test_refusals():
    factor = hessian_factor(torch.eye(10), 0.01, "a test")
    with pytest.raises(ValueError, match="2of4 needs a multiple of 4 columns, but the matrix is 3 x 10"):
        sparsegpt([torch.ones(3, 10)], factor, parse_scheme("2of4"))
    with pytest.raises(ValueError, match=r"a group of 5 columns.*block of 4"):
        sparsegpt([torch.ones(3, 10)], factor, parse_scheme("2of5"), block_size=4)
    weight = torch.ones(3, 10)
    weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"pruned weights of a \(3, 10\) matrix in torch.float32: .* NaN"):
        sparsegpt([weight], factor, parse_scheme("0.50"))
