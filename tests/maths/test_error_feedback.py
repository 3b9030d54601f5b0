"""OBS-1 against applying every error to all later columns at once."""

import pytest
import torch

from polyprune.maths.error_feedback import update_later, walk_block


@pytest.mark.parametrize("step", [1, 3, 4, 100])
def test_steps_do_not_change_the_sums(step):
    """OBS-1."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(14, 5, generator=generator, dtype=torch.float64)
    upper = torch.randn(14, 14, generator=generator, dtype=torch.float64).triu()
    share = torch.rand(14, 5, generator=generator, dtype=torch.float64)

    expected, expected_errors = start.clone(), torch.empty_like(start)
    for j in range(14):
        expected_errors[j] = expected[j] * share[j]
        for k in range(j + 1, 14):
            expected[k] -= expected_errors[j] * upper[j, k]

    columns = start[:9].clone()

    def write_error(j: int, out: torch.Tensor) -> None:
        out.copy_(columns[j] * share[j])

    errors = walk_block(columns, upper[:9, :9], step, write_error)
    torch.testing.assert_close(columns, expected[:9])
    torch.testing.assert_close(errors, expected_errors[:9])

    later = start[9:].clone()
    update_later(later, upper[:9, 9:], errors)
    torch.testing.assert_close(later[0], expected[9])


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
