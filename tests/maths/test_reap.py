"""REAP-1 and REAP-2 by hand."""

from __future__ import annotations

import pytest
import torch

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.reap import experts_kept, saliency


def test_saliency_is_the_mean_over_the_tokens_that_were_sent() -> None:
    """REAP-1: a rare expert is not less salient for it; one without tokens has none."""
    norms, counts = torch.tensor([6.0, 6.0, 6.0, 0.0]).double(), torch.tensor([3, 2, 1, 0])
    assert saliency(norms, counts).tolist() == [2.0, 3.0, 6.0, 0.0]


@pytest.mark.parametrize(
    ("scheme", "kept"),
    [
        ("0.25", [True, True, True, True, False]),
        ("0.50", [False, True, True, True, False]),
        ("0.60", [False, True, False, True, False]),
    ],
)
def test_a_share_of_the_least_salient_goes_and_of_equal_ones_the_first(scheme: str, kept: list[bool]) -> None:
    """REAP-2: of five, rounded down; the first and the third are equal."""
    found = experts_kept(torch.tensor([2.0, 5.0, 2.0, 3.0, 1.0]).double(), parse_scheme(scheme))
    assert found.tolist() == kept


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="saliencies of experts"):
        experts_kept(torch.tensor([1.0, torch.nan]).double(), parse_scheme("0.50"))
