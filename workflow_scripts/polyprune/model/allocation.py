"""Each layer's own sparsity, from what a pass through the dense model left."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from polyprune.artifacts.correlations import load_correlations
from polyprune.artifacts.outliers import load_outliers
from polyprune.errors import UserError
from polyprune.grammar.schemes import OWL, Scheme
from polyprune.maths.owl import layer_sparsities


def allocated(measured: Path, digests: Mapping[str, str], scheme: Scheme, spread: float) -> tuple[Fraction, ...]:
    """OWL-2 for all layers, of shares of outliers or of 1 − CORR-1.

    `digests` are of the model and the calibration shard that the cell is made from.

    Raises:
        UserError: the file was made from others, or a layer's sparsity would not be between 0 and 1.
    """
    if scheme.sparsity is None:
        raise ValueError(f"scheme {scheme.text} has no sparsity that layers could differ in")
    if scheme.allocation == OWL:
        values = load_outliers(measured, digests)
    else:
        values = [1 - Fraction(each) for each in load_correlations(measured, digests)]
    try:
        return tuple(layer_sparsities(values, scheme.sparsity, Fraction(str(spread))))
    except ValueError as error:
        raise UserError(f"{error} (compression.{scheme.allocation}.spread in config.yaml)") from error
