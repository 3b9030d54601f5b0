"""The matrices of a checkpoint that somebody else made, whatever layout they are packed in.

    plain                dense weights, in any tool's folder; zeros are what was pruned. Or weights with masks beside
                         them (weight_orig, weight_mask), as torch.nn.utils.prune leaves them
    compressed-tensors   pack-quantized, naive-quantized, int-quantized, frozen ("dense" with scales), sparse-bitmask,
                         sparse-24-bitmask
    GPTQ                 checkpoint formats gptq and gptq_v2: AutoGPTQ, GPTQModel
    AWQ                  versions gemm and gemv: AutoAWQ, GPTQModel
    AutoRound            its packing formats in the layouts of GPTQ and AWQ

A module of this folder a layout. Each says which tensors of the files belong to a matrix and what they stand for: a
weight (d_out, d_in) as stored, or codes with their scales, exactly. What is packed otherwise is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.model.foreign import auto_round, awq, compressed_tensors, gptq
from polyprune.model.foreign.tensors import ForeignTensors

_WEIGHT = ".weight"


class Layout(Protocol):
    """How matrices lie in the files."""

    remarks: list[str]
    """What cells of such files cannot hold, in sentences."""

    def parts(self, name: str) -> list[str]:
        """Names of the tensors that matrix `name` may be made of, beside `{name}.weight`."""
        ...

    def read(self, name: str) -> Tensor | QuantisedWeight | None:
        """A matrix (d_out, d_in); None if it is not packed."""
        ...


class Plain:
    """Nothing is packed; a matrix may be in two parts, weights and the mask that torch.nn.utils.prune hides them by."""

    def __init__(self, tensors: ForeignTensors) -> None:
        self.tensors = tensors
        self.remarks: list[str] = []

    def parts(self, name: str) -> list[str]:
        return [f"{name}.weight_orig", f"{name}.weight_mask"]

    def read(self, name: str) -> Tensor | None:
        weight, mask = self.parts(name)
        if weight not in self.tensors or mask not in self.tensors:
            return None
        return self.tensors.tensor(weight) * self.tensors.tensor(mask).to(self.tensors.tensor(weight).dtype)


class ForeignMatrices:
    """Matrices by their names in the dense model's files, without `.weight`."""

    def __init__(self, tensors: ForeignTensors) -> None:
        """Raises `UserError` if the folder is packed in a layout that is not read."""
        self.tensors, self.layout = tensors, layout_of(tensors)

    def read(self, name: str) -> Tensor | QuantisedWeight:
        """A matrix as stored; raises `UserError` if there is none or its parts do not fit each other."""
        try:
            found = self.layout.read(name)
        except ValueError as error:
            raise UserError(f"{self.tensors.folder}: {name}: {error}") from error
        return self.tensors.tensor(name + _WEIGHT) if found is None else found

    def holds(self, name: str) -> bool:
        """Whether there is a matrix of this name."""
        return any(part in self.tensors for part in (name + _WEIGHT, *self.layout.parts(name)))


def layout_of(tensors: ForeignTensors) -> Layout:
    """By what config.json says; raises `UserError` naming what is not read."""
    about = tensors.quantisation
    where = str(tensors.folder)
    if not about:
        return Plain(tensors)
    method = str(about.get("quant_method") or _unnamed(about)).lower()
    match method:
        case "compressed-tensors" | "sparseml":
            return compressed_tensors.CompressedTensors(tensors, about, where)
        case "gptq":
            return gptq.Gptq(tensors, about, where)
        case "awq":
            return awq.Awq(tensors, about, where)
        case "auto-round" | "intel/auto-round":
            return auto_round.layout(tensors, about, where)
    raise UserError(
        f"{where} is quantised with {method}, which is not read; read are plain weights with zeros, compressed-tensors "
        "with integers or bit masks, GPTQ, AWQ and AutoRound: have its tool write plain weights"
    )


def _unnamed(about: Mapping[str, Any]) -> str:
    """Whose settings these are that do not say it: AutoGPTQ's, AutoAWQ's, ModelOpt's, earlier bitsandbytes'."""
    if isinstance(about.get("producer"), Mapping):
        return str(about["producer"].get("name"))
    if any(name.startswith(("load_in_", "bnb_")) for name in about):
        return "bitsandbytes"
    return "awq" if "zero_point" in about or "w_bit" in about else "gptq"
