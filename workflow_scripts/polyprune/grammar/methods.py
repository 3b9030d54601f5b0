"""Table of the compression methods: what the rules and the configuration must know of each, without importing it."""

from __future__ import annotations

from dataclasses import dataclass

from polyprune.grammar.schemes import Scheme


@dataclass(frozen=True)
class Traits:
    """`title`: its name in print, as its authors write it. `updates`: the surviving weights change too.

    `settings`: what of `compression` in config.yaml it reads.
    """

    title: str
    updates: bool = False
    quantises: bool = False
    unstructured: bool = False
    gram: bool = False
    settings: tuple[str, ...] = ()


METHODS = {
    "alps": Traits("ALPS", updates=True, gram=True, settings=("damping", "alps")),
    "dsnot": Traits("DSnoT", unstructured=True, settings=("dsnot",)),
    "gptq": Traits("GPTQ", updates=True, quantises=True, gram=True, settings=("gptq",)),
    "magnitude": Traits("Magnitude"),
    "random": Traits("Random"),
    "ria": Traits("RIA", settings=("ria",)),
    "sparsegpt": Traits("SparseGPT", updates=True, gram=True, settings=("damping", "block_size")),
    "wanda": Traits("Wanda"),
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


def artifact(method: str) -> str:
    """File name of a cell: a mask where the kept weights stay as they were, else the weights."""
    return "weights.safetensors" if METHODS[method].updates else "mask.safetensors"
