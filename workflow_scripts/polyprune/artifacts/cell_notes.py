"""What a cell's header has to say to readers of tables; without torch, because tables need none."""

from __future__ import annotations

from collections.abc import Mapping

from polyprune.artifacts.identity import Header


def notes_on(about: Header) -> list[str]:
    """What a reader of a table should know of a cell, from its header."""
    allowances = about.get("allowances", {})
    if not allowances:
        return about.get("notes", [])
    first = min(allowances)
    more = f" (and {len(allowances) - 1} more matrices)" if len(allowances) > 1 else ""
    return [f"{first}: {allowances[first]}{more}", *about.get("notes", [])]


def notes_on_experts(about: Header) -> list[str]:
    """What to know of experts that saw fewer tokens than their inputs are wide, or none before they were chosen."""
    sent = [count for counts in about.get("sent", {}).values() for count in counts]
    if unsent := sent.count(0):
        return [f"{unsent} of {len(sent)} experts were sent no calibration token: they are the first to go"]
    tokens: Mapping[str, int] = about.get("tokens", {})
    few = {name: seen for name, seen in tokens.items() if seen < about["columns"][name]}
    if not few:
        return []
    least = min(few, key=few.__getitem__)
    none = sum(seen == 0 for seen in few.values())
    empty = f"; {none} of them saw none, and are compressed as if all inputs were alike" if none else ""
    return [
        f"{len(few)} of {len(tokens)} matrices of experts saw fewer calibration tokens than they have inputs, the "
        f"least {least}: {few[least]} for {about['columns'][least]} inputs{empty}"
    ]
