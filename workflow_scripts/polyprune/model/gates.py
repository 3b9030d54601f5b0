"""Routers and the gates of shared experts, by their names."""

from __future__ import annotations

_GATES = {"gate", "router", "shared_expert_gate", "shared_experts_gate"}
"""Names of linear layers that decide where a token goes, or how much of it."""


def is_gate(name: str) -> bool:
    """Whether what has this name in a layer, or in files, is a router or a shared expert's gate."""
    return not _GATES.isdisjoint(name.split(".")[-2:])
