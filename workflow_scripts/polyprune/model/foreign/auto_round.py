"""AutoRound's folders: the layouts of GPTQ and AWQ under names of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyprune.errors import UserError
from polyprune.model.foreign.awq import Awq
from polyprune.model.foreign.gptq import Gptq
from polyprune.model.foreign.tensors import ForeignTensors

_GPTQ = {"auto_round:auto_gptq": "gptq", "auto_round:gptqmodel": "gptq_v2", "auto_round": "gptq_v2"}
"""Packing formats whose zero points are one less, as in GPTQ's first format, and those in which they are not."""
_AWQ = "auto_round:auto_awq"


def layout(tensors: ForeignTensors, about: dict[str, Any], where: str) -> Awq | Gptq:
    """By `packing_format`; raises `UserError` for other packings, other numbers than integers, and several widths."""
    packing = str(about.get("packing_format"))
    if packing not in (*_GPTQ, _AWQ):
        raise UserError(
            f"{where} is AutoRound's in the format {packing}, which is not read; read are {', '.join((*_GPTQ, _AWQ))}"
        )
    if (kind := about.get("data_type", "int")) != "int":
        raise UserError(f"{where} is quantised to numbers of type {kind}, which are not read; read are int")
    for name, each in (about.get("extra_config") or {}).items():
        own = each if isinstance(each, Mapping) else {}
        if own.get("bits", 16) < 16 and any(own.get(key, about.get(key)) != about.get(key) for key in _SHAPE):
            raise UserError(f"{where} has matrices of several widths or groups ({name} in extra_config), a cell one")
    found: Awq | Gptq
    if packing == _AWQ:
        found = Awq(tensors, {**about, "version": "gemm"}, where)
    else:
        found = Gptq(tensors, {**about, "checkpoint_format": _GPTQ[packing]}, where)
    if about.get("act_bits", 16) < 16:
        found.remarks.append("its tool also quantises activations, which the cell does not")
    return found


_SHAPE = ("bits", "group_size")
