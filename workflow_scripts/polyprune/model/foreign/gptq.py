"""GPTQ's layout, as AutoGPTQ and GPTQModel write it: qweight, qzeros, scales, g_idx."""

from __future__ import annotations

from typing import Any

from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.maths.packed_words import unpack_one_less, unpack_stream
from polyprune.model.foreign.grids import integers_of, quantised
from polyprune.model.foreign.tensors import ForeignTensors

_FORMATS = ("gptq", "gptq_v2")
_NOT_QUANTISED = "-:"
"""How entries of `dynamic` begin that leave modules as they are."""


class Gptq:
    """qweight int32 (d_in · bits / 32, d_out), packed along d_in (PACK-3); qzeros (n_groups, d_out · bits / 32) along
    d_out, one less than the zero points in the first format (PACK-6); scales (n_groups, d_out); g_idx (d_in).
    """

    def __init__(self, tensors: ForeignTensors, about: dict[str, Any], where: str) -> None:
        """Raises `UserError` for another format or width, or codes that are not in 32-bit words."""
        written = "marlin" if about.get("is_marlin_format") else about.get("checkpoint_format") or about.get("format")
        written = str(written or "gptq").lower()
        if written not in _FORMATS:
            raise UserError(
                f"{where} is GPTQ in the format {written}, which is not read; read are {', '.join(_FORMATS)}"
            )
        if about.get("pack_dtype", "int32") not in ("int32", None):
            raise UserError(f"{where} packs codes in {about['pack_dtype']}; read are those in int32")
        if any(not pattern.startswith(_NOT_QUANTISED) for pattern in about.get("dynamic") or ()):
            raise UserError(f"{where} has matrices of several widths (dynamic), which a cell has not")
        self.tensors, self.remarks = tensors, []
        self.bits, self.less_one = integers_of(about.get("bits"), where), written == "gptq"
        size = about.get("group_size")
        self.group_size: int | None = size if isinstance(size, int) and size > 0 else None

    def parts(self, name: str) -> list[str]:
        return [f"{name}.{part}" for part in ("qweight", "qzeros", "scales", "g_idx")]

    def read(self, name: str) -> QuantisedWeight | None:
        qweight, qzeros, scales, g_idx = self.parts(name)
        if qweight not in self.tensors:
            return None
        words = self.tensors.tensor(qweight).T.contiguous()
        codes = unpack_stream(words, self.bits, words.shape[1] * 32 // self.bits)
        stored, of_groups = self.tensors.tensor(qzeros), self.tensors.tensor(scales)
        zeros = (unpack_one_less if self.less_one else unpack_stream)(stored, self.bits, codes.shape[0])
        groups = self.tensors.tensor(g_idx) if g_idx in self.tensors else None
        return quantised(codes, of_groups.T, zeros.T, self.bits, self.group_size, groups)
