"""What a job will need, from the model's shape: for schedulers and for the ledger. No torch.

Times are operations over a rate that a data-centre GPU sustains, with room; memory is what the stages keep. Where a GPU
is at hand, benchmark records of finished jobs say better.
"""

from __future__ import annotations

import math

from polyprune.grammar.benchmarks import Benchmark
from polyprune.grammar.calibrations import PLAIN, parse_calibration
from polyprune.grammar.methods import traits_of
from polyprune.grammar.schemes import parse_scheme
from polyprune.settings.models import Model, Shape, TextSettings

TINY_WEIGHTS = 50_000_000
"""Models with fewer weights run on the CPU."""
_MARGIN = 3
_START_MINUTES = 5
_BASE_MB = 1500
_ACTIVATION_BLOCKS = 8


def gpus(model: Model) -> int:
    """One GPU whatever the size, because layers are streamed; none for tiny models."""
    return 0 if model.sizes.linear_weights < TINY_WEIGHTS else 1


def cpus(model: Model) -> int:
    """Threads of a job: one works, one reads ahead, two have room; tiny models get one and run side by side."""
    return 4 * gpus(model) or 1


def forward_flops(shape: Shape, n_tokens: int, sequence_length: int) -> float:
    """Operations of the decoder layers for `n_tokens`, causal attention included."""
    linear = 2 * shape.active_weights * n_tokens
    attention = 2 * shape.layers * shape.hidden * sequence_length * n_tokens
    return linear + attention


def gram_flops(shape: Shape, n_tokens: int) -> float:
    """Operations of the Gram matrices of a layer's distinct inputs, half of each by symmetry: two of attention, and two
    of each MLP that a token meets.
    """
    n_mlps = min(shape.experts_per_token or 1, shape.experts or 1)
    of_mlps = n_mlps * (shape.hidden**2 + shape.mlp_width**2)
    of_shared = shape.hidden**2 + shape.shared_width**2 if shape.shared_width else 0
    return shape.layers * n_tokens * (2 * shape.hidden**2 + of_mlps + of_shared)


def _tokens(text: TextSettings, n_sequences: int) -> int:
    return n_sequences * text.sequence_length


ALLOCATION_COSTS_LIKE = "wanda"
"""A pass through the dense model that layers' sparsities follow from takes the passes and statistics of this method."""


def _sequences(model: Model, calibration: str) -> int:
    return parse_calibration(calibration).budget or model.text.calibration_sequences


def compression_flops(model: Model, method: str, calibration: str = PLAIN) -> float:
    """Statistics pass, second pass and, for methods that need it, Gram matrices."""
    n_tokens = _tokens(model.text, _sequences(model, calibration))
    passes = 2 * forward_flops(model.sizes, n_tokens, model.text.sequence_length)
    return passes + (gram_flops(model.sizes, n_tokens) if traits_of(method).gram else 0)


def dump_flops(model: Model, n_languages: int, n_cells: int) -> float:
    """The dense stream and each cell's through the layers and the head in every language."""
    n_tokens = _tokens(model.text, model.text.evaluation_sequences) * n_languages
    head = 2 * model.sizes.hidden * model.sizes.vocabulary * n_tokens
    return (1 + n_cells) * (forward_flops(model.sizes, n_tokens, model.text.sequence_length) + head)


def minutes(flops: float, rate: float) -> int:
    """Time limit for a job: start-up, and the operations with room."""
    return _START_MINUTES + math.ceil(_MARGIN * flops / rate / 60)


def cell_bytes(model: Model, method: str, scheme: str) -> float:
    """Size of a cell: one bit a weight, and the kept values or codes where the method changes them."""
    weights = model.sizes.linear_weights
    traits, parsed = traits_of(method), parse_scheme(scheme)
    if parsed.bits is not None:
        return weights * (parsed.bits / 8 + 3 / (parsed.group_size or model.sizes.hidden))
    kept = 1 - parsed.removed_of(10**6) / 10**6
    return weights * (1 / 8 + (kept * model.sizes.bytes_per_weight if traits.updates else 0))


def dump_bytes(model: Model) -> float:
    """Size of a hidden-state dump in one language: sequence means, the token sample, losses."""
    rows, text = model.sizes.layers + 2, model.text
    means = rows * text.evaluation_sequences * model.sizes.hidden * 4
    sample = rows * text.sampled_tokens * model.sizes.hidden * model.sizes.bytes_per_weight
    return means + sample + 12 * _tokens(text, text.evaluation_sequences)


def activation_bytes(model: Model) -> float:
    """Size of activation counts in one language: three numbers a neuron and block, two a channel of two matrices."""
    return 8 * model.sizes.layers * (3 * _ACTIVATION_BLOCKS * model.sizes.intermediate + 4 * model.sizes.hidden)


def _streams_mb(model: Model, n_sequences: int, streams: int) -> int:
    tokens = _tokens(model.text, n_sequences)
    return streams * tokens * model.sizes.hidden * model.sizes.bytes_per_weight // 2**20


def _weights_mb(shape: Shape) -> int:
    """Embedding, head and three layers: the one at work, the one read ahead, the compressed one."""
    surroundings = 2 * shape.vocabulary * shape.hidden
    return (surroundings + 3 * shape.linear_weights // shape.layers) * shape.bytes_per_weight // 2**20


def _grams_mb(shape: Shape) -> int:
    """float32 matrices of the widest input: its Gram matrix, factor and what is inverted; and two of every expert of a
    layer, which wait together.
    """
    widest = max(shape.intermediate, shape.shared_width or 0)
    of_experts = (shape.experts or 0) * (shape.hidden**2 + shape.mlp_width**2)
    return 4 * (3 * widest**2 + of_experts) // 2**20


def compression_memory_mb(model: Model, method: str, calibration: str = PLAIN) -> int:
    """Host memory: enough for everything, so that it also holds where there is no GPU."""
    grams = _grams_mb(model.sizes) if traits_of(method).gram else 0
    return _BASE_MB + _streams_mb(model, _sequences(model, calibration), 1) + _weights_mb(model.sizes) + grams


def dump_memory_mb(model: Model, n_cells: int) -> int:
    """Host memory: the dense stream and each cell's, weights, 2 GiB for logits and rows; also without a GPU."""
    streams = _streams_mb(model, model.text.evaluation_sequences, 1 + n_cells)
    return _BASE_MB + streams + _weights_mb(model.sizes) + 2048


def writing_flops(model: Model, calibration: str) -> float:
    """A pass for each token that is written, of twice as many as are wanted: some texts are left out, or short."""
    n_tokens = 2 * _tokens(model.text, _sequences(model, calibration)) * _GENERATION_SLOWDOWN
    head = 2 * model.sizes.hidden * model.sizes.vocabulary * n_tokens
    return forward_flops(model.sizes, n_tokens, model.text.sequence_length) + head


_GENERATION_SLOWDOWN = 20
"""A generated token costs a pass of its own, which a small batch does not fill."""


def evaluation_flops(model: Model, benchmark: Benchmark) -> float:
    """Layers and, for a quarter of the tokens, the head, over a benchmark in all languages."""
    tokens = benchmark.tokens * (_GENERATION_SLOWDOWN if benchmark.generates else 1)
    head = 2 * model.sizes.hidden * model.sizes.vocabulary * tokens / 4
    return forward_flops(model.sizes, tokens, 512) + head


def evaluation_memory_mb(model: Model) -> int:
    """Host memory: on a GPU the surroundings of layers read one by one; without one, the whole model."""
    whole = model.sizes.linear_weights * model.sizes.bytes_per_weight // 2**20 if gpus(model) == 0 else 0
    return 2 * _BASE_MB + _weights_mb(model.sizes) + whole
