"""AWQ's layouts, as AutoAWQ and GPTQModel write them: qweight, qzeros, scales."""

from __future__ import annotations

from typing import Any

from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.maths.packed_words import unpack_awq, unpack_stream
from polyprune.model.foreign.grids import integers_of, quantised
from polyprune.model.foreign.tensors import ForeignTensors

_VERSIONS = ("gemm", "gemv")


class Awq:
    """gemm: qweight int32 (d_in, d_out / 8), qzeros (n_groups, d_out / 8), both along d_out (PACK-5), scales (n_groups,
    d_out). gemv: qweight (d_out, d_in / 8), qzeros (d_out, padded / 8) along the groups, in order (PACK-3), scales
    (d_out, padded). Zero points are themselves.
    """

    def __init__(self, tensors: ForeignTensors, about: dict[str, Any], where: str) -> None:
        """Raises `UserError` for another version or width."""
        said = about.get("version") or about.get("checkpoint_format") or about.get("format") or "gemm"
        self.version = str(said).lower()
        if self.version not in _VERSIONS:
            raise UserError(
                f"{where} is AWQ of version {self.version}, which is not read; read are {', '.join(_VERSIONS)}"
            )
        bits = integers_of(about.get("bits", about.get("w_bit")), where)
        if bits != 4:
            raise UserError(f"{where} is AWQ with {bits} bits; read are 4")
        size = about.get("group_size", about.get("q_group_size"))
        self.tensors, self.remarks = tensors, []
        self.group_size: int | None = size if isinstance(size, int) and size > 0 else None

    def parts(self, name: str) -> list[str]:
        return [f"{name}.{part}" for part in ("qweight", "qzeros", "scales")]

    def read(self, name: str) -> QuantisedWeight | None:
        parts = self.parts(name)
        if parts[0] not in self.tensors:
            return None
        qweight, qzeros, scales = (self.tensors.tensor(part) for part in parts)
        if self.version == "gemm":
            d_out = 8 * qweight.shape[1]
            codes, zeros = unpack_awq(qweight, d_out).T.contiguous(), unpack_awq(qzeros, d_out).T
            return quantised(codes, scales.T, zeros, 4, self.group_size)
        d_in = 8 * qweight.shape[1]
        n_groups = -(-d_in // (self.group_size or d_in))
        zeros = unpack_stream(qzeros, 4, 8 * qzeros.shape[1])[:, :n_groups]
        return quantised(unpack_stream(qweight, 4, d_in), scales[:, :n_groups], zeros, 4, self.group_size)
