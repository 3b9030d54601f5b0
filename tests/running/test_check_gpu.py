"""make check-gpu on a machine without one: what it says, and that its checks would notice. None ran on a GPU."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import torch

from polyprune.running import check_gpu

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_gpu.teraflops, "__defaults__", (64,))
    monkeypatch.setattr(check_gpu._copied, "__defaults__", (1 << 16,))


@pytest.mark.parametrize(
    ("cuda", "gpus", "said"),
    [
        (None, [], "is built without CUDA and sees no GPU: jobs compute on the CPU."),
        (None, ["0"], "and sees no GPU, although this machine has one: "),
        ("13.0", ["0"], "is built with CUDA 13.0 and sees no GPU here: CUDA_VISIBLE_DEVICES is '7'. see whether"),
    ],
)
def test_without_a_gpu_a_sentence_says_why(
    cuda: str | None, gpus: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(check_gpu, "visible_gpus", lambda: gpus)
    assert check_gpu.main() == 1
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1


@pytest.mark.usefixtures("small")
def test_every_line_is_measured_and_a_device_that_computes_alike_is_fine(capsys: pytest.CaptureFixture[str]):
    assert check_gpu.examine(CPU)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:26].strip() for line in lines] == [
        *("SparseGPT 0.50, mask", "SparseGPT 2of4, mask", "GPTQ w4g128, codes", "Gram matrix, bfloat16"),
        "offloaded states",
        *("product, bfloat16", "product, float16", "product, float32", "copy on the GPU", "copy to the GPU"),
    ]
    assert all(line.endswith("0.000% other than on the CPU") for line in lines[:3])
    assert lines[4].endswith(" 0.000% other than on the GPU")
    assert lines[5].endswith(" TFLOP/s") and lines[-1].endswith(" GB/s")


@pytest.mark.usefixtures("small")
def test_what_differs_or_does_not_run_is_said_and_not_fine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Of each pair of problems the second is the GPU's; the sixth is GPTQ's there."""
    problem = check_gpu._problem(CPU)
    problems = iter([problem] * 5 + [(problem[0].flip(0), problem[1])])
    monkeypatch.setattr(check_gpu, "_problem", lambda _: next(problems))

    def broken(*_: object) -> float:
        raise RuntimeError("no kernel image is available for execution on the device\nCUDA kernel errors might …")

    monkeypatch.setattr(check_gpu, "gram_is_off", broken)
    assert not check_gpu.examine(CPU)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith(", more than 0.01: do not trust it") and "0.000%" in lines[0]
    assert lines[3].endswith("does not run: RuntimeError: no kernel image is available for execution on the device")


def test_states_that_are_staged_otherwise_are_noticed(monkeypatch: pytest.MonkeyPatch):
    """The first of two times is the device's."""
    staged, calls = check_gpu.change, count()
    monkeypatch.setattr(check_gpu, "PARTS", 4)
    assert check_gpu.differently_staged(CPU) == 0

    def half(parts: list[torch.Tensor], device: torch.device, work: Callable[[int, torch.Tensor], torch.Tensor]):
        staged(parts[: 2 if next(calls) % 2 else 4], device, work)

    monkeypatch.setattr(check_gpu, "change", half)
    assert check_gpu.differently_staged(CPU) == 0.5


def test_rates_are_operations_and_bytes_by_seconds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(check_gpu, "_seconds", lambda run, device: 0.5 if run() is not None and device == CPU else 0)
    assert check_gpu.teraflops(torch.float32, CPU, 100) == pytest.approx(2 * 100**3 / 0.5 / 1e12)
    assert check_gpu._copied(CPU, CPU, 1000) == pytest.approx(1000 / 0.5 / 1e9)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_make_says_it_in_one_line_and_fails(tmp_path: Path):
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name in (".venv", "envs", "workflow_scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    run = subprocess.run(["make", "-s", "-o", "install", "check-gpu"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2 and "sees no GPU" in run.stdout and run.stdout.count("\n") == 1
