"""Compression methods: one module each, and this table of what the workflow must know of them. No torch here.

A method's module has `statistic`, what it needs to know of a layer's inputs, and `compress`, what it does to the
matrices that share an input (see `methods/wanda.py`). It is imported by name, so editing one method reruns only its
own cells.
"""

from __future__ import annotations

from dataclasses import dataclass

from polyprune.grammar import Scheme

DENSE = "dense"
"""Stands for method, scheme and calibration of the uncompressed model."""


@dataclass(frozen=True)
class Traits:
    """`updates`: the surviving weights change too. `settings`: what of `compression` in config.yaml it reads."""

    updates: bool = False
    quantises: bool = False
    unstructured: bool = False
    gram: bool = False
    settings: tuple[str, ...] = ()


METHODS = {
    "alps": Traits(updates=True, gram=True, settings=("damping", "alps")),
    "dsnot": Traits(unstructured=True, settings=("dsnot",)),
    "gptq": Traits(updates=True, quantises=True, gram=True, settings=("gptq",)),
    "magnitude": Traits(),
    "random": Traits(),
    "ria": Traits(settings=("ria",)),
    "sparsegpt": Traits(updates=True, gram=True, settings=("damping", "block_size")),
    "wanda": Traits(),
}


def takes(method: str, scheme: Scheme) -> bool:
    """Whether the method knows what to do with the scheme: some quantise, the others remove weights."""
    traits = METHODS[method]
    return traits.quantises == scheme.quantises and not (traits.unstructured and scheme.n_of_m)


def why_not(method: str) -> str:
    """Which schemes the method takes instead, for those who asked for another (see `takes`)."""
    only = "w4g128 is for quantisation, sparsities for pruning"
    return f"{only}, and {method} has no n:m" if METHODS[method].unstructured else only


def settings_read(method: str, scheme: Scheme) -> set[str]:
    """What of `compression` in config.yaml a cell depends on."""
    return {*METHODS[method].settings, *(["owl"] if scheme.owl else [])}


@dataclass(frozen=True)
class Cell:
    """One compressed model: a row of a study's grid."""

    model: str
    method: str
    scheme: str
    calibration: str
    seed: int

    @property
    def variant(self) -> str:
        return f"{self.method}/{self.scheme}/{self.calibration}/seed{self.seed}"


def artifact(method: str) -> str:
    """File name of a cell: a mask where the kept weights stay as they were, else the weights."""
    return "weights.safetensors" if METHODS[method].updates else "mask.safetensors"
