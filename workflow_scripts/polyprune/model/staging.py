"""Tensors that lie in host memory, on their way to a GPU and back while it computes.

Each direction has a stream beside the one that computes, and so have weights, which another thread reads. Streams are
not in step by themselves, and a GPU's memory belongs to the stream that asked for it. So work waits for what it reads,
a copy back waits for what made it, and memory that one stream asked for and another uses is noted with the other, else
it would be given out again too early. The host waits for the last copies back before anybody looks at its memory, and
stays at most two parts ahead of the GPU, or else copies would fill it. What lies on the device already is passed on as
it is: on a CPU nothing of all this happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def _stream(device: torch.device, purpose: str) -> Any:  # noqa: ARG001
    """A stream of its own for each purpose, always the same: memory is kept for each."""
    return torch.get_device_module(device).Stream(device)


def ahead(parts: Sequence[Tensor], device: torch.device) -> Iterator[Tensor]:
    """The parts on the device, each copied from (pinned) host memory while the one before is worked on."""
    if all(part.device.type == device.type for part in parts):
        yield from parts
        return
    module, used = torch.get_device_module(device), deque[Any]()
    arriving = _bring(parts[0], device)
    for following in [*parts[1:], None]:
        copy, done = arriving
        if following is not None:
            arriving = _bring(following, device)
        working = module.current_stream(device)
        working.wait_event(done)
        copy.record_stream(working)
        yield copy
        used.append(working.record_event())
        if len(used) > 1:
            used.popleft().synchronize()


def _bring(part: Tensor, device: torch.device) -> tuple[Tensor, Any]:
    """Begin to copy a part to the device; the copy, and the event of its end."""
    incoming = _stream(device, "in")
    with torch.get_device_module(device).stream(incoming):
        return part.to(device, non_blocking=True), incoming.record_event()


def change(parts: Sequence[Tensor], device: torch.device, work: Callable[[int, Tensor], Tensor]) -> None:
    """Replace each part, which may lie in (pinned) host memory, by what `work` makes of its number and its states."""
    leaving = deque[Any]()
    try:
        for number, (part, states) in enumerate(zip(parts, ahead(parts, device), strict=True)):
            made = work(number, states)
            if part.device.type == device.type:
                part.copy_(made)
                continue
            leaving.append(_leave(part, made, device))
            if len(leaving) > 1:
                leaving.popleft().synchronize()
    finally:
        for done in leaving:
            done.synchronize()


def _leave(part: Tensor, made: Tensor, device: torch.device) -> Any:
    """Begin to copy what was made to its part; the event of its end."""
    module, outgoing = torch.get_device_module(device), _stream(device, "out")
    outgoing.wait_stream(module.current_stream(device))
    with module.stream(outgoing):
        part.copy_(made, non_blocking=True)
    made.record_stream(outgoing)
    return outgoing.record_event()


def read_aside(device: torch.device, read: Callable[[int], dict[str, Tensor]], index: int) -> dict[str, Tensor]:
    """What `read(index)` puts on the device, for a thread beside the one that computes; see `take_over`."""
    if device.type == "cpu":
        return read(index)
    with torch.get_device_module(device).stream(_stream(device, "weights")):
        return read(index)


def take_over(device: torch.device, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What was read aside, for work of the current stream."""
    if device.type != "cpu":
        working = torch.get_device_module(device).current_stream(device)
        working.wait_stream(_stream(device, "weights"))
        for tensor in state.values():
            tensor.record_stream(working)
    return state
