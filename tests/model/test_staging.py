"""Copies beside the work: on simulated streams, in many orders, and on a CPU, where nothing is done at all."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch
from tests.helpers.streams import GPU, Device
from torch import Tensor

from polyprune.model import staging

CPU = torch.device("cpu")
SEEDS = range(40)
N_PARTS = 6


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Streams are kept for a device: not beyond a test."""
    staging._stream.cache_clear()
    gc.disable()
    yield
    gc.enable()
    staging._stream.cache_clear()


def states() -> Tensor:
    return torch.arange(float(4 * N_PARTS)).view(2 * N_PARTS, 2)


def work(number: int, inputs: Tensor) -> Tensor:
    """Two kernels, as a layer has several."""
    return inputs.mul(3.0).add(float(number))


def expected(inputs: Tensor, passes: int) -> Tensor:
    for _ in range(passes):
        inputs = torch.cat([work(number, part) for number, part in enumerate(inputs.split(2))])
    return inputs


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_layers_change_states_in_host_memory(seed: int, lazy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, device = states(), Device(seed, lazy)
    with device.active(monkeypatch):
        for _ in range(3):
            staging.change(hidden.split(2), GPU, work)
    assert torch.equal(hidden, expected(states(), 3)), "as soon as it returns, without a further wait"


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_statistics_read_states_in_host_memory(seed: int, lazy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    device, total = Device(seed, lazy), torch.zeros(2, 2)
    with device.active(monkeypatch):
        for part in staging.ahead(states().split(2), GPU):
            total.copy_(total.add(part.mul(1.0)), non_blocking=True)
        device.main.record_event().synchronize()
    assert torch.equal(total, states().view(N_PARTS, 2, 2).sum(0))


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_read_aside_are_there_when_taken_over(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    device, stored, found = Device(seed), states(), torch.zeros(2 * N_PARTS, 2)

    def read(index: int) -> dict[str, Tensor]:
        return {"weight": stored.to(GPU, non_blocking=True).add(float(index))}

    with device.active(monkeypatch):
        waiting = staging.read_aside(GPU, read, 0)
        for index in range(3):
            state = staging.take_over(GPU, waiting)
            waiting = staging.read_aside(GPU, read, index + 1)
            found.copy_(found.add(state["weight"]), non_blocking=True)
            state.clear()
        device.main.record_event().synchronize()
    assert torch.equal(found, 3 * stored + 3)


def test_the_host_runs_ahead_by_a_few_parts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, device = torch.zeros(200, 2), Device(0, lazy=True)
    with device.active(monkeypatch):
        staging.change(hidden.split(2), GPU, work)
        assert device.most_held <= 3 * 4, "its copy and what two kernels make of it: of four parts of a hundred"
        device.most_held = 0
        for part in staging.ahead(hidden.split(2), GPU):
            part.mul(1.0)
            del part
        assert device.most_held <= 3 * 4


def test_copies_run_beside_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(0, lazy=True)
    begun: dict[str, list[int]] = {"in": [], "out": []}

    def watched(number: int, inputs: Tensor) -> Tensor:
        for way, found in begun.items():
            found.append(len(staging._stream(GPU, way).queue))
        return work(number, inputs)

    with device.active(monkeypatch):
        staging.change(states().split(2), GPU, watched)
        before = len(device.main.queue)
        staging.read_aside(GPU, lambda _: {"weight": states().to(GPU, non_blocking=True)}, 0)
    assert begun["in"][0] == 4, "two parts' copies and their events, before any work"
    assert begun["out"][1] == 3, "the first part is still on its way back when the second is worked on"
    assert staging._stream(GPU, "weights").queue and len(device.main.queue) == before


def test_what_is_on_the_device_is_passed_on_as_it_is() -> None:
    hidden = states()
    parts = hidden.split(2)
    assert all(one is other for one, other in zip(staging.ahead(parts, CPU), parts, strict=True))
    staging.change(parts, CPU, work)
    assert torch.equal(hidden, expected(states(), 1))
    state = {"weight": hidden}
    assert staging.take_over(CPU, staging.read_aside(CPU, lambda _: state, 0)) is state
