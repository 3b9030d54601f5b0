"""Whether copies to a GPU hide behind its work: a layer's weights, and hidden states that lie in host memory.

    PYTHONPATH=workflow_scripts python -m benchmarks.staging --device cuda

A layer of Llama-3-8B's weights, and batches of 8 x 2048 tokens, while products take as long as a layer does. Weights
come by a plain copy between two layers; by a thread on a stream of its own from memory as files are read into, as jobs
do it (`model/staging.py`); the same by way of pinned memory, which the thread fills first; and from memory that is
pinned already, which no file is. States go there and come back part by part: by plain copies, or staged, from plain or
from pinned memory, as jobs have it. What is more than the work alone is what copies cost. On a CPU all is in one place,
and small: it shows that this runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from benchmarks.machine import Machine
from torch import Tensor

from polyprune.model.staging import change, read_aside, take_over

SHAPES = ((4096, 4096), (1024, 4096), (1024, 4096), (4096, 4096), (14336, 4096), (14336, 4096), (4096, 14336))
STATES = (8, 2048, 4096)
DTYPE = torch.bfloat16
BATCHES = 32
"""Of which a layer computes 128 sequences, 16 twice."""
WIDTH = 8192
State = dict[str, Tensor]
Bring = Callable[[State, torch.device], State]
"""Puts a layer's weights on the device."""


def work_of(machine: Machine, seconds: float, width: int) -> Callable[[], object]:
    """Products that keep the device busy for about so long."""
    left, right = (torch.randn(width, width, dtype=DTYPE, device=machine.device) for _ in range(2))
    out = torch.empty_like(left)
    once = partial(torch.mm, left, right, out=out)
    once()
    times = max(1, round(seconds / min(machine.seconds(once) for _ in range(5))))

    def work() -> None:
        for _ in range(times):
            once()

    return work


def host(device: torch.device, pinned: bool, *shape: int) -> Tensor:
    """Zeros in host memory."""
    return torch.empty(shape, dtype=DTYPE, pin_memory=pinned and device.type == "cuda").zero_()


def plainly(state: State, device: torch.device) -> State:
    return {name: tensor.to(device) for name, tensor in state.items()}


def at_once(state: State, device: torch.device) -> State:
    """From pinned memory, without waiting for the copy."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in state.items()}


def by_way_of(pinned: State, state: State, device: torch.device) -> State:
    """Through pinned memory, each copied on while the next one fills it; waits until it may be filled again."""
    there = {name: pinned[name].copy_(tensor).to(device, non_blocking=True) for name, tensor in state.items()}
    if device.type == "cuda":
        torch.get_device_module(device).current_stream(device).synchronize()
    return there


def between(layers: int, state: State, bring: Bring, work: Callable[[], object], device: torch.device) -> None:
    """Weights come, work is done, and so on."""
    for _ in range(layers):
        bring(state, device)
        work()


def beside(layers: int, state: State, bring: Bring, work: Callable[[], object], device: torch.device) -> None:
    """As a decoder walks: the next layer's weights come while there is work."""
    with ThreadPoolExecutor(1) as reader:

        def read() -> State:
            return read_aside(device, lambda _: bring(state, device), 0)

        waiting = reader.submit(read)
        for index in range(layers):
            take_over(device, waiting.result())
            if index + 1 < layers:
                waiting = reader.submit(read)
            work()


def weights(machine: Machine, layers: int, work: Callable[[], object], shapes: tuple[tuple[int, int], ...]) -> None:
    """Print a row a way for weights to come."""
    device = machine.device
    plain, pinned = ({str(i): host(device, each, *shape) for i, shape in enumerate(shapes)} for each in (False, True))
    size = sum(tensor.nbytes for tensor in plain.values())
    ways = {
        "work alone": partial(between, layers, {}, plainly, work, device),
        "between layers": partial(between, layers, plain, plainly, work, device),
        "beside them, as jobs do": partial(beside, layers, plain, plainly, work, device),
        "beside them, by way of pinned memory": partial(
            beside, layers, plain, partial(by_way_of, pinned), work, device
        ),
        "beside them, pinned already": partial(beside, layers, pinned, at_once, work, device),
    }
    tell(machine, f"weights, {size / 1e6:.0f} MB", ways, layers)


def states(machine: Machine, parts: int, work: Callable[[], object], shape: tuple[int, int, int]) -> None:
    """Print a row a way for hidden states to come and go."""
    device = machine.device
    plain, pinned = ([host(device, each, *shape) for _ in range(parts)] for each in (False, True))

    def worked(_: int, part: Tensor) -> Tensor:
        work()
        return part

    def one_by_one() -> None:
        for part in plain:
            part.copy_(worked(0, part.to(device)))

    ways = {
        "work alone": partial(change, [part.to(device) for part in plain], device, worked),
        "plain copies": one_by_one,
        "staged, plain memory": partial(change, plain, device, worked),
        "staged, pinned memory, as jobs do": partial(change, pinned, device, worked),
    }
    tell(machine, f"states, {plain[0].nbytes / 1e6:.0f} MB there and back", ways, parts)


def tell(machine: Machine, what: str, ways: Mapping[str, Callable[[], object]], times: int) -> None:
    """Print a row a way, the best of three; the first is what the others are compared with."""
    taken = dict[str, float]()
    for way, run in ways.items():
        run()
        taken[way] = min(machine.seconds(run) for _ in range(3)) / times
    alone = next(iter(taken.values()))
    for way, seconds in taken.items():
        print(f"| {what} | {way} | {1e3 * seconds:.1f} | {1e3 * (seconds - alone):.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--layer", type=float, default=0.4, help="seconds that a layer computes")
    parser.add_argument("--times", type=int, default=8, help="layers, and batches of states")
    options = parser.parse_args()
    machine, narrower = Machine.of(options.device), 1 if options.device == "cuda" else 32
    shapes = tuple((rows // narrower, columns // narrower) for rows, columns in SHAPES)
    n_sequences, length, width = STATES
    work, part = (work_of(machine, options.layer / share, WIDTH // narrower) for share in (1, BATCHES))
    print("| what | how | ms | more than the work, ms |", "|---|---|---|---|", sep="\n")
    weights(machine, options.times, work, shapes)
    states(machine, options.times, part, (n_sequences, length // narrower, width // narrower))


if __name__ == "__main__":
    main()
