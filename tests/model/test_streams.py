"""Several cells pushed together: the same bytes as alone, dense layers read once, memory that depth leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.dumps import arrays_of, dump_prompts, dump_text
from tests.helpers.engine import CPU, linears_of, run_engine
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint

from polyprune.artifacts.cells import CellReader
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import compressed
from polyprune.model.decoder import Decoder
from polyprune.model.layout import Layout

ROOT = Path(__file__).parents[2]
CELLS = (("wanda", "0.50"), ("sparsegpt", "2of4"), ("magnitude", "0.50-dense-ends"))


def made(architecture: str, folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Path, list[CellReader]]:
    """A model, and a cell of each kind: a mask, kept values, layers left dense."""
    model = save_checkpoint(random_model(architecture, dtype=dtype), folder / "model")
    tokens = random_tokens(16, 24, seed=1)
    cells = [
        run_engine(model, tokens, method, scheme, folder / f"{n}.safetensors")
        for n, (method, scheme) in enumerate(CELLS)
    ]
    return model, cells


@pytest.mark.parametrize(
    ("architecture", "dtype"), [("llama", torch.float32), ("cohere", torch.float32), ("llama", torch.bfloat16)]
)
def test_a_cells_bytes_do_not_depend_on_what_is_pushed_with_it(
    architecture: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    model, cells = made(architecture, tmp_path, dtype)
    tokens = random_tokens(5, 24, seed=2)
    together = {kind: [tmp_path / f"{kind}-{n}.h5" for n in range(len(cells))] for kind in ("text", "prompts")}
    dump_text(model, tokens, cells, together["text"])
    dump_prompts(model, cells, together["prompts"])
    contents = [path.read_bytes() for paths in together.values() for path in paths]
    assert len(set(contents)) == len(contents)
    alone = tmp_path / "alone.h5"
    for n, cell in enumerate(cells):
        dump_text(model, tokens, [cell], [alone])
        assert alone.read_bytes() == together["text"][n].read_bytes(), CELLS[n]
        dump_prompts(model, [cell], [alone])
        assert alone.read_bytes() == together["prompts"][n].read_bytes(), CELLS[n]


def test_the_dense_models_numbers_are_those_of_its_own_dump(tmp_path: Path) -> None:
    model, cells = made("llama", tmp_path)
    tokens, paths = random_tokens(5, 24, seed=2), [tmp_path / f"{n}.h5" for n in range(4)]
    dump_text(model, tokens, [], paths[:1])
    dump_text(model, tokens, cells, paths[1:])
    dense, *others = (arrays_of(path) for path in paths)
    for of_cell in others:
        for name in ("norm", "sq", "nll_dense"):
            assert np.array_equal(dense[f"sums/{name}"], of_cell[f"sums/{name}"]), name


def test_each_layer_is_read_once_and_is_dense_again_after_each_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cells = made("llama", tmp_path)
    read: list[str] = []
    load = Layout.load
    monkeypatch.setattr(Layout, "load", lambda self, prefix, reader: read.append(prefix) or load(self, prefix, reader))
    dump_text(model, random_tokens(5, 24), cells, [tmp_path / f"{n}.h5" for n in range(3)])
    assert read == [f"model.layers.{index}." for index in range(3)]
    decoder = Decoder(Checkpoint(model), CPU)
    _, layer = next(decoder.walk(keep=True))
    before = {name: linear.weight for name, linear in linears_of(layer).items()}
    with compressed(decoder, 0, cells[0]):
        assert all(not torch.equal(linear.weight, before[name]) for name, linear in linears_of(layer).items())
    assert all(linear.weight is before[name] for name, linear in linears_of(layer).items())
    with pytest.raises(KeyError), compressed(decoder, 0, cells[0]):
        raise KeyError
    assert all(linear.weight is before[name] for name, linear in linears_of(layer).items())


DUMP_AND_MEASURE = """
import sys
from pathlib import Path
from tests.helpers.dumps import dump_text
from tests.helpers.tiny import random_tokens
dump_text(Path(sys.argv[1]), random_tokens(512, 32), [], [Path(sys.argv[2])], batch=16, n_sampled=10**6)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def test_peak_memory_does_not_grow_with_the_number_of_layers(tmp_path: Path) -> None:
    """14 more layers, each with 4 MiB of states in the dump: the peak stays within two of them."""
    paths = os.pathsep.join([str(ROOT / "workflow_scripts"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": paths, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    peaks: list[float] = []
    for n_layers in (2, 16):
        folder = save_checkpoint(
            random_model("llama", num_hidden_layers=n_layers, hidden_size=64), tmp_path / str(n_layers)
        )
        command = [sys.executable, "-c", DUMP_AND_MEASURE, str(folder), str(tmp_path / f"{n_layers}.h5")]
        job = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert job.returncode == 0, job.stderr
        peaks.append(int(job.stdout) / 1024)
    assert (tmp_path / "16.h5").stat().st_size - (tmp_path / "2.h5").stat().st_size > 14 * 3 << 20
    assert peaks[1] - peaks[0] < 8, f"MiB: {peaks}"
