"""OWL's sparsity of each layer, from the shares of outliers that `measure_outliers` left."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from polyprune.artifacts.outliers import load_outliers
from polyprune.errors import UserError
from polyprune.grammar.schemes import Scheme
from polyprune.maths.owl import layer_sparsities


def owl_sparsities(outliers: Path, digests: Mapping[str, str], scheme: Scheme, spread: float) -> tuple[Fraction, ...]:
    """OWL-2 for all layers; `digests` are of the model and the calibration shard that the cell is made from.

    Raises:
        UserError: the file was made from others, or a layer's sparsity would not be between 0 and 1.
    """
    if scheme.sparsity is None:
        raise ValueError(f"scheme {scheme.text} has no sparsity that layers could differ in")
    shares = load_outliers(outliers, digests)
    try:
        return tuple(layer_sparsities(shares, scheme.sparsity, Fraction(str(spread))))
    except ValueError as error:
        raise UserError(f"{error} (compression.owl.spread in config.yaml)") from error
