"""A device whose streams run late and in any order that their waits allow, on a CPU: for code that stages copies.

It stands where `torch.cuda` would. Within `Device.active`, `Tensor.to` a cuda device, `copy_`, sums and products are
queued on the current stream; memory that Python lets go of is given out again, so here filled with NaN, as soon as the
stream that asked for it and those noted by `record_stream` have done what they had to do by then.
"""

from __future__ import annotations

import random
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

GPU = torch.device("cuda")


class Event:
    def __init__(self, device: Device) -> None:
        self.device, self.done = device, False

    def synchronize(self) -> None:
        self.device.run(lambda: self.done)


class Stream:
    def __init__(self, device: Device) -> None:
        self.device = device
        self.queue: deque[tuple[Event | None, Callable[[], Any]]] = deque()
        device.streams.append(self)

    def add(self, work: Callable[[], Any], after: Event | None = None) -> None:
        self.queue.append((after, work))

    def record_event(self) -> Event:
        event = Event(self.device)
        self.add(lambda: setattr(event, "done", True))
        return event

    def wait_event(self, event: Event) -> None:
        self.add(lambda: None, event)

    def wait_stream(self, other: Stream) -> None:
        self.wait_event(other.record_event())

    def step(self) -> bool:
        """Do the first thing in the queue, if it waits for nothing."""
        if not self.queue or (self.queue[0][0] is not None and not self.queue[0][0].done):
            return False
        with torch._C.DisableTorchFunction():
            self.queue.popleft()[1]()
        return True


class Device:
    """`lazy`: nothing is done before the host waits for it; else a random share of it whenever something is queued."""

    def __init__(self, seed: int, lazy: bool = False) -> None:
        self.random, self.lazy = random.Random(seed), lazy
        self.streams: list[Stream] = []
        self.main = self.current = Stream(self)
        self.held = self.most_held = 0
        self.users: dict[int, list[Stream]] = {}

    def Stream(self, _: torch.device) -> Stream:  # noqa: N802
        return Stream(self)

    def current_stream(self, _: torch.device) -> Stream:
        return self.current

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def run(self, until: Callable[[], bool]) -> None:
        while not until():
            moved = [stream.step() for stream in self.random.sample(self.streams, len(self.streams))[:1]]
            if not any(moved):
                assert any(stream.step() for stream in self.streams) or until(), "streams wait for each other"

    def progress(self) -> None:
        for _ in range(0 if self.lazy else self.random.choice([0, 0, 1, 5, 20])):
            self.random.choice(self.streams).step()

    def allocate(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Memory with what was there before; a second name for it, which does not keep it from being given out."""
        made = torch.full(like.shape, torch.nan, dtype=like.dtype)
        alias, owner, users = made.detach(), self.current, []
        self.held += 1
        self.most_held = max(self.most_held, self.held)

        def give_out() -> None:
            alias.fill_(torch.nan)
            self.held -= 1

        def let_go() -> None:
            for user in users:
                owner.wait_event(user.record_event())
            owner.add(give_out)

        self.users[id(made)] = users
        weakref.finalize(made, let_go)
        return made, alias

    @contextmanager
    def active(self, monkeypatch: Any) -> Iterator[None]:
        real = torch.get_device_module
        monkeypatch.setattr(torch, "get_device_module", lambda device: self if device.type == "cuda" else real(device))
        monkeypatch.setattr(Tensor, "record_stream", lambda tensor, stream: self.users[id(tensor)].append(stream))
        with _Queued(self):
            yield


class _Queued(TorchFunctionMode):
    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, device = kwargs or {}, self.device
        if func is Tensor.to and args[1] == GPU:
            made, alias = device.allocate(args[0])
            return self._queue(lambda: alias.copy_(source), made, kwargs, source=(source := args[0].detach()))
        if func is Tensor.copy_:
            target, source = (each.detach() for each in args[:2])
            return self._queue(lambda: target.copy_(source), args[0], kwargs)
        if func in (Tensor.add, Tensor.mul):
            made, alias = device.allocate(args[0])
            left, right = (each.detach() if isinstance(each, Tensor) else each for each in args)
            return self._queue(lambda: alias.copy_(func(left, right)), made, {"non_blocking": True})
        return func(*args, **kwargs)

    def _queue(self, work: Callable[[], Any], result: Tensor, kwargs: dict[str, Any], **_: Any) -> Tensor:
        device, stream = self.device, self.device.current
        stream.add(work)
        device.progress()
        if not kwargs.get("non_blocking"):
            stream.record_event().synchronize()
        return result
