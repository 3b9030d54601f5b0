"""What share of a cell's matrices, or of its experts, is removed, beside what its scheme says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from polyprune.artifacts.identity import ForeignError, Header, again
from polyprune.artifacts.weights import SparseWeight
from polyprune.errors import UserError
from polyprune.grammar.schemes import parse_scheme

EXPERTS = "experts"
"""The header's `unit` of cells that remove whole experts."""
_MANY = 10**6
"""Weights of which to count those that a scheme removes, for its share."""


def require_sparsities(path: Path, about: Header) -> None:
    """Compare the share that is removed of every matrix with what the scheme, or OWL for its layer, says.

    Raises:
        ForeignError: names the first matrix that differs without an allowance.
    """
    for name, counts in about["removed"].items():
        columns = about["columns"][name]
        if name not in about["allowances"] and not _is_as_the_scheme_says(counts, columns, about, name):
            raise ForeignError(
                f"{path}: of {name}, a share of {counts[0] / counts[1]:.4f} is removed, scheme {about['scheme']} says "
                f"{_wanted_share(about, name):.4f}; {again(path)}"
            )


def layer_of(name: str) -> int:
    """The decoder layer of a matrix, from 0: the number in its name."""
    found = re.search(r"\.(\d+)\.", name)
    if found is None:
        raise UserError(f"{name} is not the name of a matrix in a decoder layer")
    return int(found[1])


def _wanted_share(about: Header, name: str) -> float:
    """What the scheme, or OWL for its layer, says is to be removed of a matrix."""
    if "layer_sparsities" in about:
        return about["layer_sparsities"][layer_of(name)]
    scheme = parse_scheme(about["scheme"])
    return float(Fraction(scheme.removed_of(_MANY), _MANY))


def _is_as_the_scheme_says(counts: Sequence[int], columns: int, about: Header, name: str) -> bool:
    """To within one weight a row and one a column: shares are rounded row by row, block by block or for the whole."""
    removed, size = counts
    if about.get("unit") == EXPERTS:
        return removed == parse_scheme(about["scheme"]).removed_of(size)
    return abs(removed - _wanted_share(about, name) * size) <= size / columns + columns


def allowance(weight: SparseWeight, about: Header, name: str) -> str | None:
    """Why more of a matrix is removed than the scheme says; None if as much is.

    Methods that compare with a threshold remove all weights that tie with it, so that inputs which are always zero, or
    weights that are, may take others along.

    Raises:
        UserError: less is removed, which nothing explains; of a checkpoint of others it is told.
    """
    removed, size = weight.removed
    if "checkpoint" in about:
        return _otherwise(weight, about, name)
    if _is_as_the_scheme_says(weight.removed, weight.columns, about, name):
        return None
    share, wanted = removed / size, _wanted_share(about, name)
    if share < wanted:
        raise UserError(
            f"{name}: {about['method']} removes a share of {share:.4f}, scheme {about['scheme']} {wanted:.4f}"
        )
    empty = int((~weight.keep).all(dim=0).sum())
    return (
        f"{share:.4f} removed instead of {wanted:.4f}: weights of equal score go together; of {weight.columns} inputs "
        f"{empty} have no weight left"
    )


def _otherwise(weight: SparseWeight, about: Header, name: str) -> str | None:
    """What of a checkpoint's matrix is not as the scheme says: the share that is removed, or an n:m pattern."""
    (removed, size), n_of_m = weight.removed, parse_scheme(about["scheme"]).n_of_m
    wanted = _wanted_share(about, name)
    if not _is_as_the_scheme_says(weight.removed, weight.columns, about, name):
        return f"{removed / size:.4f} removed in the checkpoint, {wanted:.4f} by the scheme"
    if n_of_m is None or not wanted:
        return None
    n, m = n_of_m
    kept = weight.keep.unflatten(1, (-1, m)).sum(dim=2)
    broken = int((kept > n).sum())
    return f"{broken} of {kept.numel()} groups keep more than {n} of {m} in the checkpoint" if broken else None
