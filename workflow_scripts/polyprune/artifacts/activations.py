"""What neurons and channels do on a text: `activations/{corpus}/{language}.h5`, schema `activations/4`.

L decoder layers, F MLP neurons a layer, model width d, B blocks of consecutive sequences.

    /neurons/active        i8   (B, L, F)   tokens at which the activation, act(gate), is above zero
    /neurons/sum_abs_act   f8   (B, L, F)   Σ_t |act(gate)|
    /neurons/sum_abs_out   f8   (B, L, F)   Σ_t |act(gate) · up|: the input of the down projection
    /neurons/n             i8   (B,)        tokens
    /outputs/{matrix}/sum, sum_abs   f8   (L, d)   Σ_t y and Σ_t |y| of a linear layer's outputs: o_proj, down_proj

Layers are written one at a time, so that memory does not grow with the model's depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hdf5plugin
import numpy as np

from polyprune.artifacts.hdf5 import Attributes, Hdf5Reader, Hdf5Writer, create_hdf5
from polyprune.artifacts.identity import Header

SCHEMA = "activations/4"
NEURONS = {"active": np.int64, "sum_abs_act": np.float64, "sum_abs_out": np.float64}
MATRICES = ("o_proj", "down_proj")


@dataclass(frozen=True)
class LayerActivations:
    """One layer: `neurons` by name of `NEURONS`, (B, F); `outputs` by matrix, (2, d): sum and sum of magnitudes."""

    neurons: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


class ActivationWriter:
    """A file that is being written."""

    def __init__(self, file: Hdf5Writer, n_layers: int) -> None:
        self._file, self._n_layers = file, n_layers

    def write_layer(self, index: int, layer: LayerActivations) -> None:
        """What one layer did; layers in order. Raises `OSError` if the disk is full."""
        if index == 0:
            self._create(layer)
        for name, array in layer.neurons.items():
            self._file.write(f"neurons/{name}", index, array)
        for matrix, (total, magnitude) in layer.outputs.items():
            self._file.write(f"outputs/{matrix}/sum", index, total)
            self._file.write(f"outputs/{matrix}/sum_abs", index, magnitude)
        self._file.flush()

    def _create(self, layer: LayerActivations) -> None:
        """Datasets of the sizes that the first layer has."""
        for name, kind in NEURONS.items():
            n_blocks, n_neurons = layer.neurons[name].shape
            self._file.create(
                f"neurons/{name}",
                (n_blocks, self._n_layers, n_neurons),
                kind,
                axis=1,
                about={"unit": "token" if name == "active" else "1"},
                chunks=(n_blocks, 1, n_neurons),
                shuffle=True,
                compression=hdf5plugin.Zstd(clevel=1),
            )
        for matrix in MATRICES:
            for name in ("sum", "sum_abs"):
                shape = (self._n_layers, layer.outputs[matrix].shape[1])
                self._file.create(f"outputs/{matrix}/{name}", shape, np.float64, axis=0, about={"unit": "1"})


@contextmanager
def write_activations(
    path: Path, n_layers: int, n_tokens: np.ndarray, attributes: Attributes
) -> Iterator[ActivationWriter]:
    """Open a file for writing; it appears, whole, when the block ends without error. `n_tokens` is of each block."""
    with create_hdf5(path, SCHEMA, attributes) as file:
        file.store("neurons/n", n_tokens.astype(np.int64), "token")
        yield ActivationWriter(file, n_layers)


class Activations(Hdf5Reader):
    """A file on disk, read layer by layer. Use as a context manager."""

    def __init__(self, path: Path, expected: Header | None = None) -> None:
        """Raises `UserError` if the file is missing, damaged, unfinished, or not what was asked for."""
        super().__init__(path, SCHEMA, expected)

    def __enter__(self) -> Activations:
        return self

    @property
    def n_layers(self) -> int:
        return self.shape("neurons/active")[1]

    @property
    def n_tokens(self) -> np.ndarray:
        """Tokens of each block, int64 (B,)."""
        return self.whole("neurons/n")

    def neurons(self, name: str, layer: int) -> np.ndarray:
        """One of `NEURONS` in one layer, (B, F)."""
        return self.at(f"neurons/{name}", layer)

    def mean_outputs(self, matrix: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and mean magnitude of a matrix's outputs over tokens, float64 (L, d)."""
        n = self.n_tokens.sum()
        total, magnitude = (self.whole(f"outputs/{matrix}/{name}") for name in ("sum", "sum_abs"))
        return total / n, magnitude / n
