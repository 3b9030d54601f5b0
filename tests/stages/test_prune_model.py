"""The stage behind every cell: all methods by their command line, resuming after SIGKILL, memory, sizes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.helpers.cells import arguments, correlation_arguments, kept_of, outlier_arguments, register
from tests.helpers.tiny import random_model

from polyprune import log
from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.weights import QuantisedWeight
from polyprune.grammar.methods import METHODS, artifact, takes
from polyprune.grammar.schemes import ALLOCATIONS, parse_scheme
from polyprune.running.run import run

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts"), "OMP_NUM_THREADS": "1"}
SCHEMES = ("0.60", "2of4", "0.60-owl", "0.60-correlation", "0.60-dense-ends", "w4g16", "w8g128")

RUN_AND_MEASURE = """
import sys
from pathlib import Path
from polyprune.running.run import run
assert run(sys.argv[1:]) == 0
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
"""Not `ru_maxrss`, which a process inherits from the one that started it."""


@pytest.fixture(autouse=True)
def quiet_afterwards() -> Iterator[None]:
    yield
    for handler in log.logger.handlers:
        handler.close()
    log.logger.handlers.clear()
    log.logger.propagate = True


@pytest.fixture(scope="module", params=["llama", "cohere"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    register(random_model(request.param), folder, shards=2)
    return folder


@pytest.mark.parametrize("method", [method for method, traits in METHODS.items() if not traits.experts])
def test_every_method_makes_a_cell_that_says_what_it_is(method: str, model: Path, tmp_path: Path) -> None:
    assert run(outlier_arguments(model, 2.0)) == run(correlation_arguments(model)) == 0
    for scheme in SCHEMES:
        if takes(method, parse_scheme(scheme)):
            output = tmp_path / scheme / artifact(method)
            assert run(arguments(model, method, scheme, output)) == 0, scheme
            cell = CellReader(output)
            dense_ends = scheme.endswith("dense-ends")
            assert len(cell.columns) == (7 if dense_ends else 21)
            assert (cell.metadata["method"], cell.metadata["scheme"]) == (method, scheme)
            assert set(cell.metadata["compression"]) == {
                *METHODS[method].settings,
                *(each for each in ALLOCATIONS if each in scheme),
            }
            assert len(cell.metadata.get("layer_sparsities", [])) == (3 if parse_scheme(scheme).allocation else 0)
            assert not output.with_name(f"{output.name}.layers").exists()
            report = Path(f"{output}.log").read_text()
            assert ("error 0.000e+00" in report) == dense_ends
            if METHODS[method].quantises:
                continue
            masks = [kept_of(cell, name).keep for name in cell.columns]
            share = torch.cat([mask.flatten() for mask in masks]).float().mean().item()
            assert share == pytest.approx(0.5 if scheme == "2of4" else 0.4, abs=0.025)


def test_gptq_is_true_sequential_where_the_settings_say_so(tmp_path: Path) -> None:
    """What q, k and v became changes what the matrices after them see, and nothing else."""
    register(random_model("llama", num_hidden_layers=1), tmp_path)
    codes = []
    for choice in (True, False):
        output = tmp_path / str(choice) / "weights.safetensors"
        assert run(arguments(tmp_path, "gptq", "w4g16", output, gptq={"true_sequential": choice})) == 0
        cell = CellReader(output)
        weights = {name.split(".")[-1]: cell.weight(name) for name in cell.columns}
        codes.append(
            {name: weight.grid.codes for name, weight in weights.items() if isinstance(weight, QuantisedWeight)}
        )
    assert len(codes[0]) == 7
    for name, one in codes[0].items():
        assert torch.equal(one, codes[1][name]) == (name in ("q_proj", "k_proj", "v_proj")), name


def test_a_killed_job_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL in the middle of a model of 6 layers; at most one layer's work is lost."""
    register(random_model("llama", num_hidden_layers=6, hidden_size=256, intermediate_size=512), tmp_path, 2, 16, 48)
    whole, killed = tmp_path / "whole" / "weights.safetensors", tmp_path / "killed" / "weights.safetensors"
    parts = killed.with_name("weights.safetensors.layers")
    job = subprocess.Popen(
        [sys.executable, "-m", "polyprune", *arguments(tmp_path, "sparsegpt", "0.50", killed)],
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (parts / "layer-001.safetensors").exists() and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    job.send_signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    finished = len(list(parts.glob("layer-*.safetensors")))
    assert 2 <= finished < 6 and not killed.exists()

    assert run(arguments(tmp_path, "sparsegpt", "0.50", killed)) == 0
    assert Path(f"{killed}.log").read_text().count("taken over") == finished
    assert run(arguments(tmp_path, "sparsegpt", "0.50", whole)) == 0
    assert killed.read_bytes() == whole.read_bytes()
    beside = sorted(file.name.removeprefix("weights.safetensors") for file in killed.parent.iterdir())
    assert beside == ["", ".log", ".memory.json"]


def test_peak_memory_does_not_grow_with_the_number_of_layers(tmp_path: Path) -> None:
    """14 more layers of 7 MB: the peak stays within two of them."""
    # What is freed goes back to the system at once, so the peak is what the program holds, not what malloc keeps.
    environment = ENVIRONMENT | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    peaks: list[float] = []
    for n_layers in (2, 16):
        folder = tmp_path / str(n_layers)
        register(random_model("llama", num_hidden_layers=n_layers, hidden_size=384, intermediate_size=1024), folder)
        words = arguments(folder, "wanda", "0.50", folder / "mask.safetensors")
        job = subprocess.run(
            [sys.executable, "-c", RUN_AND_MEASURE, *words], env=environment, check=True, capture_output=True, text=True
        )
        peaks.append(int(job.stdout) / 1024)
    assert peaks[1] - peaks[0] < 14, f"MiB: {peaks}"


@pytest.mark.parametrize(
    ("method", "scheme", "limit"), [("wanda", "0.50", 0.065), ("sparsegpt", "0.50", 0.57), ("gptq", "w4g128", 0.28)]
)
def test_sizes_as_a_share_of_the_bfloat16_linear_layers(method: str, scheme: str, limit: float, tmp_path: Path) -> None:
    model = random_model("llama", dtype=torch.bfloat16, num_hidden_layers=2, hidden_size=256, intermediate_size=768)
    register(model, tmp_path)
    linears = [value for name, value in model.state_dict().items() if name.endswith("proj.weight")]
    output = tmp_path / artifact(method)
    assert run(arguments(tmp_path, method, scheme, output)) == 0
    header = int.from_bytes(output.read_bytes()[:8], "little")
    assert limit * 0.9 < (output.stat().st_size - header) / sum(2 * weight.numel() for weight in linears) <= limit
    assert header < 1500 * len(linears), "names, shapes and digests: as long for large matrices"
