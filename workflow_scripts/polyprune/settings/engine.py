"""`engine`: how the machine is used."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from polyprune.settings.base import Count, Section


class Engine(Section):
    """How the machine is used. Changes speed and memory; results only within rounding."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    tokens_per_batch: Count = 16_384
    planning_flops: float = Field(
        default=150e12, gt=0, description="operations a second in 16 bit that time limits and the ledger reckon with"
    )
    offload: Literal["none", "cpu"] = Field(default="none", description="cpu: hidden states wait in host memory")
    cells_per_dump: Count | None = Field(
        default=None,
        description="cells of a run whose hidden states one job dumps: they share the dense model's pass (null: 1, of "
        "tiny models 8)",
    )
