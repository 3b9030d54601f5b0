"""Table of the compression methods: what the rules and the configuration must know of each, without importing it.

A cell that was read from somebody else's checkpoint has a method of the form `wanda@paper`: the method's name and that
of the checkpoints' origin, a key of `imports` in the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from polyprune.grammar.paths import ORIGIN, Cell, origin_of
from polyprune.grammar.schemes import Scheme


@dataclass(frozen=True)
class Traits:
    """`title`: its name in print, as its authors write it. `updates`: the surviving weights change too.
    `blind`: it looks at weights only. `experts`: it removes whole experts of a mixture, an equal share in all layers.

    `settings`: what of `compression` in config.yaml it reads.
    """

    title: str
    updates: bool = False
    quantises: bool = False
    unstructured: bool = False
    gram: bool = False
    blind: bool = False
    experts: bool = False
    settings: tuple[str, ...] = ()


METHODS = {
    "alps": Traits("ALPS", updates=True, gram=True, settings=("damping", "alps")),
    "awq": Traits("AWQ", updates=True, quantises=True, gram=True, settings=("awq",)),
    "dsnot": Traits("DSnoT", unstructured=True, settings=("dsnot",)),
    "gptq": Traits("GPTQ", updates=True, quantises=True, gram=True, settings=("gptq",)),
    "lwanda": Traits("LWanda", settings=("lwanda",)),
    "magnitude": Traits("Magnitude", blind=True),
    "random": Traits("Random", blind=True),
    "reap": Traits("REAP", experts=True),
    "ria": Traits("RIA", settings=("ria",)),
    "rtn": Traits("RTN", updates=True, quantises=True, blind=True),
    "sparsegpt": Traits("SparseGPT", updates=True, gram=True, settings=("damping", "block_size")),
    "wanda": Traits("Wanda"),
}


def traits_of(method: str) -> Traits:
    """Of a method, or of `wanda@paper`, whose title names the origin too."""
    name, _, origin = method.partition(ORIGIN)
    traits = METHODS[name]
    if not origin:
        return traits
    return replace(traits, title=f"{traits.title} ({origin})", gram=False, settings=())


def takes(method: str, scheme: Scheme) -> bool:
    """Whether the method knows what to do with the scheme: some quantise, the others remove weights.

    Cells of checkpoints are of plain schemes, and only they have a scale a row.
    """
    traits = traits_of(method)
    if origin_of(method) is not None:
        return traits.quantises == scheme.quantises and scheme.exchange is None and not scheme.allocation
    if traits.experts:
        return (
            scheme.text == scheme.plain and scheme.sparsity is not None and not (scheme.allocation or scheme.dense_ends)
        )
    per_row = scheme.quantises and scheme.group_size is None
    return traits.quantises == scheme.quantises and not per_row and not (traits.unstructured and scheme.n_of_m)


def why_not(method: str) -> str:
    """Which schemes the method takes instead, for those who asked for another (see `takes`)."""
    only = "w4g128 is for quantisation, sparsities for pruning"
    if origin_of(method) is not None:
        return f"{only}; a checkpoint has a plain scheme, with equal layers and not composed"
    if traits_of(method).quantises:
        return f"{only}, and a scale a row (w4channel) is read from checkpoints only"
    if METHODS[method].experts:
        return "it removes a share of the experts of every layer: 0.25, 0.50, and nothing composed"
    return f"{only}, and {method} has no n:m" if METHODS[method].unstructured else only


def settings_read(method: str, scheme: Scheme) -> set[str]:
    """What of `compression` in config.yaml a cell depends on."""
    return {*traits_of(method).settings, *([scheme.allocation] if scheme.allocation else [])}


def artifact(method: str) -> str:
    """File name of a cell: a mask where the kept weights stay as they were, else the weights."""
    return "weights.safetensors" if traits_of(method).updates else "mask.safetensors"


def artifact_of(cell: Cell) -> str:
    """The file of a cell."""
    return f"{cell.folder}/{artifact(cell.method)}"
