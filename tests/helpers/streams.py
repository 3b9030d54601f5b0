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
    def __init__(self, stream: Stream) -> None:
        self.stream, self.done = stream, False

    def synchronize(self) -> None:
        """The host waits; meanwhile other streams run as well, unless the device is lazy."""
        while not self.done:
            self.stream.advance()
            self.stream.device.progress()


class Stream:
    def __init__(self, device: Device) -> None:
        self.device = device
        self.queue: deque[tuple[Event | None, Callable[[], Any]]] = deque()
        device.streams.append(self)

    def add(self, work: Callable[[], Any], after: Event | None = None) -> None:
        self.queue.append((after, work))

    def record_event(self) -> Event:
        event = Event(self)
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

    def advance(self) -> None:
        """Do the first thing in the queue, after what it waits for."""
        if (waits := self.queue[0][0]) is not None:
            waits.synchronize()
        self.step()


class Device:
    """`lazy`: nothing is done but what the host waits for; else a random share whenever something is queued."""

    def __init__(self, seed: int, lazy: bool = False) -> None:
        self.random, self.lazy = random.Random(seed), lazy
        self.streams: list[Stream] = []
        self.main = self.current = Stream(self)
        self.held: list[tuple[Tensor, list[Event]]] = []
        self.most_held = 0
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

    def progress(self) -> None:
        for _ in range(0 if self.lazy else self.random.choice([0, 0, 1, 5, 20])):
            self.random.choice(self.streams).step()
        self.give_out()

    def allocate(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Memory with what was there before; a second name for it, which does not keep it from being given out."""
        made = torch.full(like.shape, torch.nan, dtype=like.dtype)
        alias, owner, users = made.detach(), self.current, []
        uses = [Event(owner)]
        self.give_out()
        self.held.append((alias, uses))
        self.most_held = max(self.most_held, len(self.held))

        def let_go() -> None:
            uses[:] = [user.record_event() for user in (owner, *users)]

        self.users[id(made)] = users
        weakref.finalize(made, let_go)
        return made, alias

    def give_out(self) -> None:
        """Memory that was let go of and that no stream has to do with any more."""
        for memory, uses in self.held:
            if all(event.done for event in uses):
                memory.fill_(torch.nan)
        self.held = [(memory, uses) for memory, uses in self.held if not all(event.done for event in uses)]

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
