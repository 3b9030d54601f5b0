"""ALPS-1 to ALPS-3 against exact solutions: orthogonal inputs, least squares, all supports of a small row."""

from itertools import combinations

import pytest
import torch
from tests.helpers.matrices import correlated_inputs, weights

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.alps import Penalty, alps, refit
from polyprune.maths.cholesky import hessian_factor
from polyprune.maths.selection import keep_per_row, keep_whole_matrix
from polyprune.maths.sparsegpt import sparsegpt


def output_error(pruned: torch.Tensor, weight: torch.Tensor, x: torch.Tensor) -> float:
    return ((pruned - weight) @ x.T).norm().item()


def least_squares_on(support: list[int], row: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    solution = torch.zeros_like(row)
    solution[support] = torch.linalg.lstsq(x[:, support], x @ row).solution
    return solution


def test_refit_is_least_squares_on_the_support():
    """ALPS-3: as many iterations as weights are exact."""
    x, weight = correlated_inputs(100, 12), weights(7, 12)
    keep = torch.rand(7, 12, generator=torch.Generator().manual_seed(0)) < 0.5
    keep[3] = False
    refitted = refit(weight, x.T @ x, keep, weight * keep, 24)
    for row in range(7):
        expected = least_squares_on(keep[row].nonzero().flatten().tolist(), weight[row], x)
        torch.testing.assert_close(refitted[row], expected, rtol=1e-6, atol=1e-8)


def plain_admm(weight: torch.Tensor, hessian: torch.Tensor, n_kept: int) -> torch.Tensor:
    """ALPS-2 and its schedule for unstructured masks, one iteration after the other; the support of the result."""

    def largest(matrix: torch.Tensor) -> torch.Tensor:
        sizes = matrix.abs().flatten().tolist()
        ranked = sorted(range(len(sizes)), key=lambda index: -sizes[index])
        return (
            torch.zeros(matrix.numel(), dtype=torch.bool)
            .index_fill(0, torch.tensor(ranked[:n_kept]), True)
            .view_as(matrix)
        )

    unit = hessian.diagonal() ** 0.5
    W, H, eye = weight * unit, hessian / torch.outer(unit, unit), torch.eye(len(hessian), dtype=torch.float64)
    D, V, rho, grown, support = W * largest(W), torch.zeros_like(W), 0.1, False, largest(W)
    B = W
    for iteration in range(300):
        B = torch.linalg.solve(H + rho * eye, (W @ H - V + rho * D).T).T
        D = torch.where(largest(B + V / rho), B + V / rho, 0)
        V = V + rho * (B - D)
        if iteration % 3 == 2:
            changed, support = (support != (D != 0)).sum().item(), D != 0
            if (grown and changed == 0) or (iteration >= 30 and changed / n_kept < 0.0003):
                break
            factor = 1.3 if changed / n_kept > 0.1 else 1.2 if changed / n_kept > 0.005 else 1.1 if grown else 0.2
            grown = grown or factor > 1
            rho *= factor
            if factor < 1 and changed:
                D, V = W * largest(W), torch.zeros_like(W)
    return largest(B)


@pytest.mark.parametrize("scheme", ["0.50", "0.90"])
@pytest.mark.parametrize("case", ["correlated", "orthogonal", "one large half"])
def test_support_of_the_plain_iteration(scheme, case):
    """ALPS-2: with one large and one tiny half of weights the support hardly moves at first, and ρ has to fall."""
    x, weight = correlated_inputs(150, 24), weights(60, 24)
    if case == "one large half":
        weight = weight.where(weight.abs() > weight.abs().median(), weight * 1e-3)
    gram = torch.eye(24, dtype=torch.float64) if case == "orthogonal" else x.T @ x
    hessian = gram + 0.01 * gram.diagonal().mean() * torch.eye(24, dtype=torch.float64)
    parsed = parse_scheme(scheme)
    (_, keep) = alps(weight, gram, 0.01, parsed, "a test")
    assert torch.equal(keep, plain_admm(weight, hessian, 60 * 24 - parsed.removed_of(60 * 24)))


def test_penalty_schedule_by_hand():
    """ALPS-2: ρ grows by how much of the support changed; before it has ever grown, a small change lets it fall."""
    penalty = Penalty()
    assert not penalty.adapt(0, 10_000)  # the support did not move: fall, but go on
    assert penalty.rho == pytest.approx(0.1 / 5)
    assert penalty.adapt(50, 10_000)  # it moved a little: fall, and start again
    assert penalty.rho == pytest.approx(0.1 / 25)
    assert not penalty.finished(30, 0, 10_000)
    for n_changed, factor in [(1001, 1.3), (1000, 1.2), (51, 1.2), (50, 1.1), (1, 1.1)]:
        before = penalty.rho
        assert not penalty.adapt(n_changed, 10_000)
        assert penalty.rho == pytest.approx(before * factor)
    assert penalty.finished(6, 0, 10_000)
    assert not penalty.finished(30, 2, 10_000)
    assert penalty.finished(33, 2, 10_000)
    assert not penalty.finished(33, 3, 10_000)
    penalty.rho = 9e5
    penalty.adapt(5000, 10_000)
    assert penalty.rho == 1e6


@pytest.mark.parametrize("scheme", ["0.50", "0.80", "1of4"])
def test_close_to_the_solution_for_orthogonal_inputs(scheme):
    """ALPS-1: which is to keep the largest |W| √H, unchanged."""
    weight, parsed = weights(8, 20), parse_scheme(scheme)
    gram = torch.diag(torch.rand(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.1)
    pruned, keep = alps(weight, gram, 0.0, parsed, "a test")
    torch.testing.assert_close(pruned, weight * keep)
    best = (keep_per_row if parsed.n_of_m else keep_whole_matrix)(weight.abs() * gram.diagonal().sqrt(), parsed)
    ratio = output_error(pruned, weight, gram.sqrt()) / output_error(weight * best, weight, gram.sqrt())
    assert 1 - 1e-9 < ratio < 1.02


def test_close_to_the_best_of_all_supports():
    """ALPS-1..3: rows of 10 weights of which 4 stay, 210 supports each. SparseGPT's error is 3 times the best here."""
    ratios = []
    for seed in range(12):
        x, weight = correlated_inputs(60, 10, seed), weights(1, 10, seed)
        supports = [list(support) for support in combinations(range(10), 4)]
        best = min(output_error(least_squares_on(s, weight[0], x)[None], weight, x) for s in supports)
        pruned, keep = alps(weight, x.T @ x, 1e-6, parse_scheme("0.60"), "a test")
        assert keep.sum() == 4
        ratios.append(output_error(pruned, weight, x) / best)
    assert min(ratios) > 1 - 1e-9
    assert sum(ratios) / len(ratios) < 1.2


@pytest.mark.parametrize("scheme", ["0.60", "0.80", "2of4", "1of4"])
def test_better_than_sparsegpt(scheme):
    """ALPS-1..3: at the sparsities that it is for."""
    x, weight, parsed = correlated_inputs(300, 64), weights(24, 64), parse_scheme(scheme)
    pruned, keep = alps(weight, x.T @ x, 0.01, parsed, "a test")
    ((other, _),) = sparsegpt([weight], hessian_factor(x.T @ x, 0.01, "a test"), parsed)
    assert output_error(pruned, weight, x) < 0.75 * output_error(other, weight, x)
    assert (pruned[~keep] == 0).all()
    assert int((~keep).sum()) == parsed.removed_of(24 * 64)
    if parsed.n_of_m:
        assert (keep.view(-1, 4).sum(1) == parsed.n_of_m[0]).all()


def test_scale_of_the_gram_matrix_does_not_matter():
    """ALPS-2: ρ is in units in which diag H = 1."""
    x, weight = correlated_inputs(200, 32), weights(8, 32)
    first = alps(weight, x.T @ x, 0.01, parse_scheme("0.70"), "a test")
    second = alps(weight, x.T @ x * 1e6, 0.01, parse_scheme("0.70"), "a test")
    assert torch.equal(first.keep, second.keep)
    torch.testing.assert_close(first.weight, second.weight)


def test_dead_inputs_go():
    """CHOL-1, ALPS-2."""
    x = correlated_inputs(200, 32)
    x[:, [4, 20]] = 0
    pruned, keep = alps(weights(8, 32), x.T @ x, 0.01, parse_scheme("0.50"), "a test")
    assert not keep[:, [4, 20]].any()
    assert (pruned[:, [4, 20]] == 0).all()


def test_storage_dtype_is_kept():
    x, weight = correlated_inputs(200, 32), weights(8, 32).bfloat16()
    pruned, keep = alps(weight, x.T @ x, 0.01, parse_scheme("0.70"), "a test")
    unrounded, expected_keep = alps(weight.float(), x.T @ x, 0.01, parse_scheme("0.70"), "a test")
    assert torch.equal(keep, expected_keep)
    assert torch.equal(pruned, unrounded.bfloat16())


def test_refusals():
    weight = torch.ones(2, 4)
    weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="weights of layer 2 up_proj: 1 of 8"):
        alps(weight, torch.eye(4), 0.01, parse_scheme("0.50"), "layer 2 up_proj")
    with pytest.raises(ValueError, match="Gram matrix of layer 2 up_proj: all 4 inputs are 0"):
        alps(torch.ones(2, 4), torch.zeros(4, 4), 0.01, parse_scheme("0.50"), "layer 2 up_proj")
