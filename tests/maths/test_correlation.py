"""CORR-1 by hand and against numpy."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from polyprune.maths.correlation import correlation_of_languages


def sizes(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_the_mean_over_inputs_and_pairs_by_hand():
    """CORR-1: of 1, 2, 3 with 2, 4, 6 it is 1, with 3, 2, 1 −1; pairs of the first input (1 − 1 − 1) / 3."""
    three, two = sizes([1, 2, 3], [2, 4, 6], [3, 2, 1]), sizes([1, 2, 3, 9], [1, 2, 3, 9])
    assert correlation_of_languages([three]) == pytest.approx(-1 / 3)
    assert correlation_of_languages([three, two]) == pytest.approx(1 / 3)


def test_it_is_numpys_whatever_the_scale_of_a_language():
    """CORR-1."""
    drawn = torch.rand(5, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.mean([np.corrcoef(drawn[one], drawn[other])[0, 1] for one, other in combinations(range(5), 2)])
    scales = torch.tensor([[1.0], [2.0], [1e3], [1e-3], [5.0]], dtype=torch.float64)
    assert correlation_of_languages([scales * drawn]) == pytest.approx(expected, abs=1e-12)


def test_inputs_of_one_language_do_not_count():
    """CORR-1: an expert that one language's tokens are sent to."""
    assert correlation_of_languages([sizes([5, 1, 2]), sizes([1, 2, 3], [3, 2, 1])]) == pytest.approx(-1)
    with pytest.raises(ValueError, match="no input has tokens of two languages"):
        correlation_of_languages([sizes([5, 1, 2])])


def test_equal_features_and_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="3 input features are equally large in a language: they do not correlate"):
        correlation_of_languages([sizes([1, 2, 3], [2, 2, 2])])
    with pytest.raises(ValueError, match="sizes of 3 input features in 2 languages: 1 of 6 values are NaN or infinite"):
        correlation_of_languages([sizes([1, 2, 3], [2, 2, torch.inf])])
