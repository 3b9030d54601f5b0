"""What looking inside models costs: dumps written and read, masks compared, neurons ranked, bookkeeping in passes.

    PYTHONPATH=workflow_scripts python -m benchmarks.analysis [--device cuda] [--hidden 1024] [--layers 4] [--cells 6]

Prints one line a figure: processor time of one thread, but on the wall for files and on a GPU. Masks and neurons have
the sizes of an 8B model's layer; the model that is propagated is random, of the size asked for, in bfloat16 on a GPU
and float32 on a CPU. Dumps: of the dense model alone, of one cell beside it, and of `--cells` cells at once.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from benchmarks.machine import CLOCKS, Machine
from transformers import LlamaConfig
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.activations import write_activations
from polyprune.artifacts.cells import CellReader, join_layers, save_layer
from polyprune.artifacts.hidden_states import write_hidden_states
from polyprune.artifacts.layer_rows import MEANS, RowWriter
from polyprune.artifacts.prompt_states import PromptStates, write_prompt_states
from polyprune.artifacts.prompts import PromptSet
from polyprune.artifacts.tokens import TokenSet
from polyprune.artifacts.weights import SparseWeight
from polyprune.maths.lape import activation_probability, groups_by_rank, lape
from polyprune.model import activations
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.paired import paired_pass, sample_of
from polyprune.model.prompts import prompt_pass
from polyprune.model.streams import Recorder
from polyprune.stages.measure_mask_iou import compare_matrix

MATRICES_8B = ((4096, 4096), (1024, 4096), (1024, 4096), (4096, 4096), (14336, 4096), (14336, 4096), (4096, 14336))
N_LAYERS_8B, N_NEURONS_8B = 32, 14336


def dumps(folder: Path) -> None:
    """Prompt means of one language of an 8B model, a third of its layers."""
    n_layers, n_prompts, width = 10, 900, 4096
    means = np.random.default_rng(0).standard_normal((n_prompts, width)).astype(np.float32)
    path, items = folder / "prompts.h5", [str(index) for index in range(n_prompts)]

    def write() -> None:
        ones = np.ones(n_prompts)
        with write_prompt_states(path, n_layers, width, items, ones, ones, {}) as writer:
            for row in range(n_layers + 2):
                writer.write_row(MEANS, row, means)

    def read() -> None:
        with PromptStates(path) as states:
            for row in range(n_layers + 2):
                states.means(row)

    machine = Machine(torch.device("cpu"), CLOCKS["wall"])
    write_s, read_s = machine.seconds(write), machine.seconds(read)
    size = path.stat().st_size / 1e6
    rates = f"written at {size / write_s:.0f} MB/s, read at {size / read_s:.0f} MB/s"
    print(f"prompt dump: {size:.0f} MB, {rates} (page cache)")


def masks() -> None:
    """One layer of an 8B model: three seeds of three languages, as tables 16 and 17."""
    rng = np.random.default_rng(0)
    taken, n_bytes = 0.0, 0
    for d_out, d_in in MATRICES_8B:
        kept = {
            language: [rng.integers(0, 256, (d_out, d_in // 8), dtype=np.uint8) for _ in range(3)]
            for language in ("de", "en", "zh")
        }
        n_bytes += sum(mask.nbytes for of_language in kept.values() for mask in of_language)
        taken += Machine.of("cpu").seconds(lambda kept=kept, d_in=d_in: list(compare_matrix(kept, d_in)))
    print(
        f"mask IoU: {n_bytes / taken / 1e9:.2f} GB/s of masks (9 masks: tables 16, 17 and pairs), "
        f"{taken * N_LAYERS_8B:.1f} s for {N_LAYERS_8B} layers of an 8B model"
    )


def neurons() -> None:
    counts = np.random.default_rng(0).integers(0, 1_000_000, (6, N_NEURONS_8B * N_LAYERS_8B))
    tokens = np.full(6, 1_000_000)
    taken = Machine.of("cpu").seconds(lambda: groups_by_rank(lape(activation_probability(counts, tokens)), 50))
    print(f"LAPE: {counts.shape[1] / taken / 1e6:.1f} million neurons/s (six languages, ranked into 50 groups)")


class Inside:
    """Time spent inside wrapped functions, outermost calls only."""

    def __init__(self, machine: Machine) -> None:
        self.seconds, self._machine, self._inside = 0.0, machine, False

    def wrap(self, function: Callable[..., object]) -> Callable[..., object]:
        def timed(*args: object, **kwargs: object) -> object:
            if self._inside:
                return function(*args, **kwargs)
            self._inside = True
            try:
                taken, result = self._machine.timed(lambda: function(*args, **kwargs))
            finally:
                self._inside = False
            self.seconds += taken
            return result

        return timed


def share_inside(
    work: Callable[[], object], parts: Sequence[tuple[object, str]], machine: Machine
) -> tuple[float, float]:
    """Seconds that work takes, and the share of them inside functions that are named by their owners."""
    work()
    inside = Inside(machine)
    with ExitStack() as patches:
        for owner, part in parts:
            patches.enter_context(mock.patch.object(owner, part, inside.wrap(getattr(owner, part))))
        total = machine.seconds(work)
    return total, inside.seconds / total


def random_model(folder: Path, device: torch.device, hidden: int, n_layers: int) -> Decoder:
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=hidden,
        intermediate_size=7 * hidden // 2,
        num_hidden_layers=n_layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=max(1, hidden // 256),
        max_position_embeddings=2048,
    )
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder / "model")
    (folder / "model" / "tokenizer.json").write_text("{}")
    return Decoder(Checkpoint(folder / "model"), device)


def random_cell(folder: Path, decoder: Decoder, number: int) -> CellReader:
    """Half of each matrix's weights, drawn."""
    parts, about = folder / f"cell-{number}.layers", {"method": "random", "scheme": "0.50"}
    for index, _ in decoder.walk():
        kept = {
            matrix.name: SparseWeight.of(weight := product.view(matrix), torch.rand(weight.shape) > 0.5, False)
            for product in decoder.products(index)
            for matrix in product.matrices
        }
        save_layer(parts, index, kept, about)
    join_layers(parts, decoder.n_layers, folder / f"cell-{number}.safetensors", about)
    return CellReader(folder / f"cell-{number}.safetensors")


def passes(folder: Path, machine: Machine, hidden: int, n_layers: int, n_tokens: int, most_cells: int) -> None:
    """Of each pass the time, and the share of it that is not embedding, layers, norm, head or predictions."""
    decoder = random_model(folder, machine.device, hidden, n_layers)
    length = 512
    ids = torch.randint(0, 4096, (n_tokens // length, length)).numpy().astype(np.int32)
    text = TokenSet(ids, np.ones_like(ids, dtype=np.int32), np.zeros_like(ids, dtype=np.uint8), {})
    start = np.arange(0, ids.size + 1, length)
    asked = PromptSet(ids.reshape(-1), np.ones(ids.size, np.uint8), start, {"items": [str(i) for i in range(len(ids))]})
    all_cells = [random_cell(folder, decoder, number) for number in range(most_cells)]
    sizes, sample = (n_layers, hidden), sample_of(text, 256)

    def text_dumps(cells: Sequence[CellReader]) -> None:
        with ExitStack() as files:
            writers = [
                files.enter_context(
                    write_hidden_states(path, *sizes, text.n_bytes[:, 0], sample, decoder.dtype_name, {})
                )
                for path in paths(cells)
            ]
            paired_pass(decoder, text, cells, 16, sample, writers)

    def prompt_dumps(cells: Sequence[CellReader]) -> None:
        with ExitStack() as files:
            writers = [
                files.enter_context(write_prompt_states(path, *sizes, asked.items, asked.lengths, asked.lengths, {}))
                for path in paths(cells)
            ]
            prompt_pass(decoder, asked, cells, 8192, writers)

    def counts(_: Sequence[CellReader]) -> None:
        with write_activations(folder / "a.h5", n_layers, activations.tokens_of_blocks(text), {}) as writer:
            activations.activation_pass(decoder, text, None, 16, writer)

    def paths(cells: Sequence[CellReader]) -> list[Path]:
        return [folder / f"{number}.h5" for number in range(max(1, len(cells)))]

    recording = ((Recorder, "record"), (RowWriter, "write_row"), (RowWriter, "write_sums"))
    counting = tuple((activations._Counter, name) for name in ("_add", "_add_output", "result"))
    for name, work, parts, numbers in (
        ("text", text_dumps, recording, (0, 1, most_cells)),
        ("prompts", prompt_dumps, recording, (0, 1, most_cells)),
        ("activation counts", counts, counting, (0,)),
    ):
        for n_cells in numbers:
            total, share = share_inside(partial(work, all_cells[:n_cells]), parts, machine)
            each = f", {total / n_cells:.2f} s a cell" if n_cells else ""
            print(f"{name}, dense and {n_cells} cells: {total:.2f} s{each}; bookkeeping {100 * share:.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--hidden", type=int, default=512, help="model width, a multiple of 256")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--cells", type=int, default=6, help="cells that are pushed together")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dumps(Path(folder))
        masks()
        neurons()
        machine = Machine.of(options.device)
        passes(Path(folder), machine, options.hidden, options.layers, options.tokens, options.cells)


if __name__ == "__main__":
    main()
