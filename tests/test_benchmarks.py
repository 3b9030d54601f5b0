"""What benchmarks say of a GPU, as far as it can be seen without one. No time is looked at."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from benchmarks import columns, engine, gpu, layers, peers, staging
from benchmarks.layers import Workload, in_turn
from benchmarks.machine import CLOCKS, Machine
from benchmarks.pruning import pruning
from tests.helpers.on_a_gpu import without_kernels
from tests.helpers.pretended_gpu import GPU, pretended_gpu

SIZE = engine.Size(64, 224, 4, 2, 3, 16, 2, torch.bfloat16)
HERE = Machine.of("cpu")
PUBLIC = '''
import torch

class Catcher(torch.nn.Module):
    def __init__(self, module, seen):
        super().__init__()
        self.module, self.seen = module, seen

    def forward(self, states, **_):
        self.seen.append(states)
        raise ValueError

@torch.no_grad()
def llama_sequential(model, loader, dev):
    """Halves all weights, as the public code walks."""
    layers, seen = model.model.layers, []
    layers[0] = Catcher(layers[0].to(dev), seen)
    for row in loader:
        try:
            model(row[0].to(dev))
        except ValueError:
            pass
    layers[0] = layers[0].module.cpu()
    states = torch.cat(seen)
    for index in range(len(layers)):
        layer = layers[index].to(dev)
        for linear in layer.modules():
            if isinstance(linear, torch.nn.Linear):
                linear.weight.data = linear.weight.data / 2
        torch.cuda.synchronize()
        for row in range(len(states)):
            states[row] = layer(states[row].unsqueeze(0), attention_mask=None)[0]
        layers[index] = layer.cpu()
'''


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_gpu_is_waited_for_before_the_clock_is_read(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def note(name: str) -> Callable[..., float]:
        return lambda *_: done.append(name) or float(len(done))

    monkeypatch.setattr(torch.cuda, "synchronize", note("waited"))
    machine = Machine(torch.device(device), note("read"))
    seconds, result = machine.timed(note("worked"))
    waited = ["waited"] if device == "cuda" else []
    assert done == [*waited, "read", "worked", *waited, "read"]
    assert seconds == len(waited) + 2 and result == len(waited) + 2


def test_clocks_suit_their_devices() -> None:
    assert HERE.clock is CLOCKS["cpu"] and HERE.unit == "CPU-s" and Machine.of("cuda").clock is CLOCKS["wall"]
    assert layers.header(Machine.of("cuda")).startswith("| method | layer, tokens | code | first, s |")


def test_memory_of_a_gpu_is_torchs_since_it_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = {"most": 5 << 20}
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: peaks["most"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: peaks.update(most=1 << 20))
    machine = Machine.of("cuda")
    assert machine.peak_mib() == 5
    machine.forget_peak()
    assert machine.peak_mib() == 1 and HERE.peak_mib() > 50


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--device", "cuda"], replace(engine.LLAMA_3_8B, length=2048, layers=4)),
        (["--device", "cuda", "--hidden", "512"], engine.Size(512, 1792, 8, 4, 128, 2048, 4, torch.bfloat16)),
        (
            ["--hidden", "4096", "--layers", "2"],
            replace(engine.LLAMA_3_8B, sequences=8, length=256, dtype=torch.float32),
        ),
        ([], engine.Size(512, 1792, 8, 4, 8, 256, 4, torch.float32)),
    ],
)
def test_sizes_of_peers_are_llama_3s_on_a_gpu_unless_others_are_asked_for(
    words: list[str], expected: engine.Size, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[engine.Size] = []
    monkeypatch.setattr(sys, "argv", ["peers", "--wanda", str(tmp_path), "--method", "wanda", *words])
    monkeypatch.setattr(peers, "play", lambda _, size, *__: played.append(size))
    peers.main()
    assert played[0] == expected


def test_a_gpus_peers_are_the_public_loops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["peers", "--device", "cuda", "--harness"])
    with pytest.raises(SystemExit):
        peers.main()
    assert "--wanda and --sparsegpt alone" in capsys.readouterr().err


def test_a_public_loop_and_the_engine_meet_on_the_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its layers come back from the CPU, the device is still waited for, and float64 says who is right."""
    (tmp_path / "llama.py").write_text(PUBLIC)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(layers, "peak_mib", lambda *_: 0)
    waited: list[str] = []
    with pretended_gpu(monkeypatch):
        without_kernels(monkeypatch)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda _=None: waited.append("waited"))
        monkeypatch.setattr(layers, "floor_seconds", lambda *_: (1.0, 1.0))
        machine = Machine(GPU, CLOCKS["wall"])
        layers.play(pruning("sparsegpt", tmp_path, None, machine), SIZE, 1, machine)
    monkeypatch.delitem(sys.modules, "llama")
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [row[2].strip() for row in rows] == ["public", "engine"]
    agreed = [[float(share) for share in row[-1].split(",")] for row in rows]
    assert max(agreed[0]) < 60 and min(agreed[1]) > 95, "the imitation prunes nothing, the engine as float64 does"
    of_floats, of_engine, of_public = SIZE.layers + 1, SIZE.layers + 1, 2 * SIZE.layers + 1
    assert len(waited) == of_floats + of_engine + of_public


def test_layers_and_states_lie_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended_gpu(monkeypatch):
        work = Workload.of(SIZE, GPU)
        made, marks = work.run(in_turn(lambda *_: None, Machine(GPU, CLOCKS["wall"])))
    assert len(marks) == SIZE.layers + 1 and work.hidden.dtype == torch.bfloat16
    assert all(parameter.device == GPU for layer in made for parameter in layer.parameters())


def test_the_engines_table_has_what_32_layers_take(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pretended_gpu(monkeypatch):
        without_kernels(monkeypatch)
        monkeypatch.setattr(engine, "floor_seconds", lambda *_: (2.0, 1e12))
        engine.report("sparsegpt", "0.50", SIZE, Machine(GPU, CLOCKS["wall"]))
    printed = capsys.readouterr().out
    assert re.search(r"<!-- 32 such layers: floor 64 s, engine \d+ s -->", printed)
    assert printed.count("masks agree to") == SIZE.layers


def test_walks_by_kernels_and_without_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a kernel does something else, the share that is the same says so."""
    weights, gram = columns.problem((16, 8), 128, torch.device("cpu"))
    for walk in columns.WALKS.values():
        assert columns.compare(walk, weights, gram, HERE)[2] == 1
    monkeypatch.setattr(columns.sparsegpt, "gpu_kernels", lambda _: Wrong)
    assert columns.compare(columns.WALKS["SparseGPT 0.50"], weights, gram, HERE)[2] < 0.9


class Wrong:
    """A kernel that turns what it was handed round."""

    @staticmethod
    def walk_removed(_: torch.Tensor, __: torch.Tensor, removed: torch.Tensor) -> None:
        removed.logical_not_()


def test_each_way_brings_the_weights_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4)}
    pinned = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    with pretended_gpu(monkeypatch) as device:
        for bring in (staging.plainly, staging.at_once, partial(staging.by_way_of, pinned)):
            there = bring(state, device)
            assert {tensor.device for tensor in there.values()} == {device} and there.keys() == state.keys()
            assert all(torch.equal(there[name].cpu(), tensor) for name, tensor in state.items())


def test_copies_beside_work_run_on_both_devices(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    staging.weights(HERE, 2, lambda: None, ((8, 8), (4, 8)))
    with pretended_gpu(monkeypatch):
        machine = Machine(GPU, CLOCKS["wall"])
        staging.weights(machine, 2, lambda: None, ((8, 8), (4, 8)))
        staging.states(machine, 2, lambda: None, (2, 4, 8))
    assert capsys.readouterr().out.count("as jobs do") == 3


@pytest.mark.parametrize(("codes", "expected"), [((0, 0), 0), ((3, 0), 1), ((0, 3), 1)])
def test_a_part_that_fails_hides_no_other(
    codes: tuple[int, int],
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for number, code in enumerate(codes):
        (tmp_path / f"part{number}.py").write_text(f"print('this is {number}')\nraise SystemExit({code})\n")
    parts = [gpu.Part(f"Part {number}", f"part{number}", "", "", 60) for number in range(2)]
    monkeypatch.setattr(gpu, "BEFORE_PEERS", parts[:1])
    monkeypatch.setattr(gpu, "AFTER_PEERS", parts[1:])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert gpu.main(["--peers", str(tmp_path)]) == expected
    printed = capfd.readouterr().out
    assert all(f"this is {number}" in printed for number in range(2))
    assert printed.count("git clone https://github.com/") == 2 and printed.count("ended well") == codes.count(0)


def test_a_part_is_stopped_at_its_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "endless.py").write_text("import time\nprint('began')\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert not gpu.run(gpu.Part("Endless", "endless", "", "", 5), "cuda")
    assert "ended at its limit of 5 s" in capfd.readouterr().out


def test_all_parts_end_within_ten_minutes(tmp_path: Path) -> None:
    for name in gpu.PEERS:
        (tmp_path / name).mkdir()
    parts = [*gpu.BEFORE_PEERS, *gpu.peer_parts(tmp_path), *gpu.AFTER_PEERS]
    assert sum(part.limit for part in parts) <= 600 and len(parts) == 9
