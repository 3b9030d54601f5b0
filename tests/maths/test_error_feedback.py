"""OBS-1 and OBS-2 against applying every error to all later columns at once."""

import pytest
import torch

from polyprune.maths.cholesky import HessianFactor
from polyprune.maths.error_feedback import made_up, walk_block


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def walk_by_definition(
    columns: torch.Tensor, upper: torch.Tensor, share: torch.Tensor, n_walked: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns after the first `n_walked` were walked, and their errors: column j loses `share[j]` of itself."""
    columns, errors = columns.clone(), torch.zeros_like(columns)
    for j in range(len(columns) if n_walked is None else n_walked):
        errors[j] = columns[j] * share[j]
        for k in range(j + 1, len(columns)):
            columns[k] -= errors[j] * upper[j, k]
    return columns, errors


@pytest.mark.parametrize("step", [1, 3, 4, 100])
def test_steps_do_not_change_the_sums(step):
    """OBS-1."""
    columns, share, upper = randn(9, 5), randn(9, 5), randn(9, 9).triu()
    expected, _ = walk_by_definition(columns, upper, share)

    def write_error(j: int, out: torch.Tensor) -> None:
        out.copy_(columns[j] * share[j])

    walk_block(columns, upper, step, write_error)
    torch.testing.assert_close(columns, expected)


def test_what_was_lost_says_what_all_errors_did():
    """OBS-2: columns 0 to 8 walked, then the block of columns 9 to 11, and none after it."""
    original, share, root = randn(14, 5), randn(14, 5), randn(14, 14).triu()
    root.diagonal().copy_(torch.arange(1, 15))
    upper = torch.linalg.inv(root)
    expected, errors = walk_by_definition(original, upper, share, n_walked=9)

    lost = original.clone()
    lost[:9] -= expected[:9] - errors[:9] * upper.diagonal()[:9, None]
    factor = HessianFactor(root, torch.zeros(14, dtype=torch.bool))
    block = slice(9, 12)
    torch.testing.assert_close(made_up(lost, block, factor.upper(block), factor), expected[block])


def test_the_first_block_has_nothing_to_make_up_for():
    """OBS-2."""
    columns, factor = randn(6, 5), HessianFactor(randn(6, 6).triu(), torch.zeros(6, dtype=torch.bool))
    assert torch.equal(made_up(columns, slice(0, 4), factor.upper(slice(0, 4)), factor), columns[:4])


def test_a_step_starts_with_all_its_columns_up_to_date():
    """OBS-1: what n:m groups rely on."""
    columns, upper = torch.ones(6, 1), torch.ones(6, 6).triu()
    seen = {}

    def write_error(j: int, out: torch.Tensor) -> None:
        if j % 3 == 0:
            seen[j] = columns[j : j + 3].flatten().tolist()
        out.fill_(1)

    walk_block(columns, upper, 3, write_error)
    assert seen == {0: [1, 1, 1], 3: [-2, -2, -2]}
