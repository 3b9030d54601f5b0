"""Mixtures of experts against a plain reading in float64: which tokens an expert sees, what is made of its matrices.

The oracle knows each family's router and the names in its files, takes hidden states from transformers' own forward in
float64, and weights from the files themselves. It shares nothing with the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.cells import kept_of
from tests.helpers.engine import CPU, run_engine
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.reference import lwanda_keep
from tests.helpers.tiny import save_checkpoint
from tests.helpers.tried import compared, loaded, their_logits, walk_through
from torch import Tensor, nn
from torch.nn.functional import silu

from polyprune.artifacts.cell_notes import notes_on
from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.export import export_weights

K, N = 2, 4
"""Experts a token is sent to, and experts that there are."""
Chosen = Callable[[Tensor, dict[str, Tensor]], Tensor]


def by_logits(x: Tensor, router: dict[str, Tensor]) -> Tensor:
    """(n_tokens, N): which experts a token is sent to, by the largest of its products with the router's rows."""
    return _top(x @ router["weight"].T + router.get("bias", 0))


def by_corrected_sigmoid(x: Tensor, router: dict[str, Tensor]) -> Tensor:
    """As DeepSeek-V3 does: a sigmoid, and a bias that decides but does not weigh."""
    return _top(torch.sigmoid(x @ router["weight"].T) + router["e_score_correction_bias"])


def _top(scores: Tensor) -> Tensor:
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.topk(K, dim=1).indices, True)


def gated(gate: Tensor, up: Tensor) -> Tensor:
    return silu(gate) * up


def clamped(gate: Tensor, up: Tensor) -> Tensor:
    """gpt-oss."""
    gate, up = gate.clamp(max=7.0), up.clamp(-7.0, 7.0)
    return (up + 1) * gate * torch.sigmoid(1.702 * gate)


@dataclass(frozen=True)
class Kind:
    """A family: where its block and its router lie, and names in its files of expert {e}: gate, up and down; or both
    first in a stack. `first` is the first layer with experts."""

    block: str
    router: str
    experts: tuple[str, ...]
    chosen: Chosen = by_logits
    first: int = 0
    act: Callable[[Tensor, Tensor], Tensor] = gated
    scaled: bool = False

    def of(self, matrix: str) -> tuple[str, int]:
        """The pattern and the expert of a matrix, by its full name."""
        pairs = [(pattern, e) for pattern in self.experts for e in range(N)]
        return next((pattern, e) for pattern, e in pairs if matrix.endswith(f".{pattern.format(e=e)}"))


SPLIT = ("mlp.experts.{e}.gate_proj", "mlp.experts.{e}.up_proj", "mlp.experts.{e}.down_proj")
KINDS = {
    "mixtral": Kind("mlp", "block_sparse_moe.gate", tuple(f"block_sparse_moe.experts.{{e}}.w{n}" for n in (1, 3, 2))),
    "qwen2_moe": Kind("mlp", "mlp.gate", SPLIT),
    "qwen3_moe": Kind("mlp", "mlp.gate", SPLIT),
    "olmoe": Kind("mlp", "mlp.gate", SPLIT),
    "deepseek_v2": Kind("mlp", "mlp.gate", SPLIT, first=1),
    "deepseek_v3": Kind("mlp", "mlp.gate", SPLIT, by_corrected_sigmoid, first=1),
    "glm4_moe": Kind("mlp", "mlp.gate", SPLIT, by_corrected_sigmoid, first=1),
    "granitemoe": Kind("block_sparse_moe", "block_sparse_moe.router.layer",
                       ("block_sparse_moe.input_linear.{e}", "block_sparse_moe.output_linear.{e}")),
    "gpt_oss": Kind("mlp", "mlp.router", ("mlp.experts.gate_up_proj.{e}", "mlp.experts.down_proj.{e}"), act=clamped),
    "llama4_text": Kind("feed_forward", "feed_forward.router",
                        ("feed_forward.experts.gate_up_proj.{e}", "feed_forward.experts.down_proj.{e}"), scaled=True),
}  # fmt: skip
TRANSPOSED = ("gpt_oss", "llama4_text")


class Oracle:
    """A tiny model of a kind in a folder, and the inputs of its experts' matrices, layer by layer."""

    def __init__(self, name: str, folder: Path, **changes: Any) -> None:
        self.name, self.kind, self.folder = name, KINDS[name], folder
        save_checkpoint(tiny_model(tiny_config(name, num_hidden_layers=2, **changes)), folder)
        self.stored = {key: value.double() for key, value in load_file(folder / "model.safetensors").items()}
        self.model = loaded(folder, experts_implementation="eager").double()

    @property
    def layers(self) -> nn.ModuleList:
        found = self.model.get_decoder()
        layers = getattr(found, "layers", None) or found.model.layers
        assert isinstance(layers, nn.ModuleList)
        return layers

    def matrix(self, layer: int, name: str, e: int) -> Tensor:
        """(d_out, d_in), from the files."""
        full = f"model.layers.{layer}.{name.format(e=e)}"
        if f"{full}.weight" in self.stored:
            return self.stored[f"{full}.weight"]
        tensor = full.removesuffix(f".{e}")
        stack = self.stored.get(tensor, self.stored.get(f"{tensor}.weight"))
        assert stack is not None, full
        return stack[e].T if self.name in TRANSPOSED else stack[e]

    @torch.inference_mode()
    def inputs(self, layer: int, tokens: Tensor, all_tokens: bool) -> dict[str, Tensor]:
        """Of every matrix of every expert of a layer, by name, (n_tokens, d_in)."""
        seen: list[Tensor] = []
        block = self.layers[layer].get_submodule(self.kind.block)
        hook = block.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, 1)))
        self.model(input_ids=tokens, use_cache=False)
        hook.remove()
        x, prefix = seen[0], f"model.layers.{layer}.{self.kind.router}."
        router = {key.removeprefix(prefix): value for key, value in self.stored.items() if key.startswith(prefix)}
        chosen = torch.ones(len(x), N, dtype=torch.bool) if all_tokens else self.kind.chosen(x, router)
        found: dict[str, Tensor] = {}
        for e in range(N):
            of_expert = x[chosen[:, e]]
            if self.kind.scaled:
                of_expert = of_expert * torch.sigmoid(of_expert @ router["weight"][e])[:, None]
            names = [f"model.layers.{layer}.{name.format(e=e)}" for name in self.kind.experts]
            found |= dict.fromkeys(names[:-1], of_expert)
            found[names[-1]] = self.kind.act(*self.halves(layer, e, of_expert))
        return found

    def halves(self, layer: int, e: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Products with gate and up."""
        products = [x @ self.matrix(layer, name, e).T for name in self.kind.experts[:-1]]
        if len(products) == 2:
            return products[0], products[1]
        if self.name == "gpt_oss":
            both = products[0] + self.stored[f"model.layers.{layer}.mlp.experts.gate_up_proj_bias"][e]
            return both[:, ::2], both[:, 1::2]
        gate, up = products[0].chunk(2, dim=1)
        return gate, up

    def take(self, layer: int, export: Path) -> None:
        """Give a layer the weights that transformers reads from an export."""
        theirs = Oracle.__new__(Oracle)
        theirs.model = loaded(export).double()
        self.layers[layer].load_state_dict(theirs.layers[layer].state_dict())


def wanda(weight: Tensor, x: Tensor) -> Tensor:
    """Half of each row kept: weights (d_out, d_in) by size and the norm of their inputs, ties by place.

    Without inputs by size alone.
    """
    x = x if len(x) else torch.eye(weight.shape[1], dtype=x.dtype)
    order = (weight.abs() * x.square().sum(0).sqrt()).sort(dim=1, stable=True).indices
    return torch.ones_like(weight, dtype=torch.bool).scatter_(1, order[:, : weight.shape[1] // 2], False)


def text(n: int = 4, length: int = 24) -> Tensor:
    return torch.randint(2, VOCABULARY, (n, length), generator=torch.Generator().manual_seed(0))


def exported(folder: Path, cell: CellReader, to: Path) -> Path:
    to.mkdir()
    export_weights(Checkpoint(folder), cell, to)
    (to / "config.json").write_text((folder / "config.json").read_text())
    return to


@pytest.mark.parametrize("name", KINDS)
def test_each_expert_is_compressed_from_the_tokens_that_its_router_sends_it(name: str, tmp_path: Path) -> None:
    """WANDA-1 through two layers; counts of tokens; and what transformers makes of the export."""
    oracle, tokens = Oracle(name, tmp_path / "model"), text()
    cell = run_engine(oracle.folder, tokens, "wanda", "0.50", tmp_path / "cell.safetensors")
    export = exported(oracle.folder, cell, tmp_path / "export")
    for layer in range(2):
        inputs = oracle.inputs(layer, tokens, False) if layer >= oracle.kind.first else {}
        for matrix, x in inputs.items():
            weight = oracle.matrix(layer, *oracle.kind.of(matrix))
            assert cell.metadata["tokens"][matrix] == len(x), matrix
            assert torch.equal(kept_of(cell, matrix).keep, wanda(weight, x)), matrix
        oracle.take(layer, export)
    n_layers = 2 - oracle.kind.first
    assert len(cell.metadata["tokens"]) == n_layers * N * len(oracle.kind.experts)
    assert not any("router" in matrix or matrix.endswith((".gate", "shared_expert_gate")) for matrix in cell.columns)
    ours = walk_through(Decoder(Checkpoint(oracle.folder), CPU), tokens, cell)
    assert compared(ours, their_logits(export, tokens)) == "exact"


def test_an_expert_can_be_compressed_from_all_tokens(tmp_path: Path) -> None:
    """The oracle's other reading; what layers compute, so the next layer's inputs, stays that of the routed ones."""
    oracle, tokens = Oracle("qwen3_moe", tmp_path / "model"), text()
    routed = run_engine(oracle.folder, tokens, "wanda", "0.50", tmp_path / "routed.safetensors")
    cell = run_engine(oracle.folder, tokens, "wanda", "0.50", tmp_path / "all.safetensors", all_experts=True)
    differing = 0
    for matrix, x in oracle.inputs(0, tokens, all_tokens=True).items():
        assert cell.metadata["tokens"][matrix] == len(x) == tokens.numel()
        keep = kept_of(cell, matrix).keep
        assert torch.equal(keep, wanda(oracle.matrix(0, *oracle.kind.of(matrix)), x)), matrix
        differing += not torch.equal(keep, kept_of(routed, matrix).keep)
    assert differing > 2 * N
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        full = f"model.layers.0.self_attn.{name}"
        assert torch.equal(kept_of(cell, full).keep, kept_of(routed, full).keep)
    with pytest.raises(UserError, match="Llama4TextExperts is not handed tokens and a choice of experts"):
        other = Oracle("llama4_text", tmp_path / "llama4")
        run_engine(other.folder, tokens, "wanda", "0.50", tmp_path / "no.safetensors", all_experts=True)


def test_experts_keep_what_each_language_sent_them(tmp_path: Path) -> None:
    """LWANDA-2 and STAT-5 of the tokens that the router sends; of few tokens, those languages that sent some."""
    oracle, tokens = Oracle("mixtral", tmp_path / "model"), text(6, 5)
    languages = (slice(0, 1), slice(1, 2), slice(2, 6))
    cell = run_engine(oracle.folder, tokens, "lwanda", "0.50", tmp_path / "cell.safetensors", languages=languages)
    export = exported(oracle.folder, cell, tmp_path / "export")
    unsent = 0
    for layer in range(2):
        parts = [oracle.inputs(layer, tokens[each], False) for each in languages]
        for matrix in parts[0]:
            weight, inputs = oracle.matrix(layer, *oracle.kind.of(matrix)), [part[matrix] for part in parts]
            unsent += sum(len(x) == 0 for x in inputs)
            assert cell.metadata["tokens"][matrix] == sum(map(len, inputs)), matrix
            keep = lwanda_keep(weight, inputs, 1.0, weight.shape[1] // 2)
            assert torch.equal(kept_of(cell, matrix).keep, keep), matrix
        oracle.take(layer, export)
    assert unsent


def test_experts_that_saw_few_tokens_are_named_in_the_cell_and_for_tables(tmp_path: Path) -> None:
    oracle, tokens = Oracle("gpt_oss", tmp_path / "model"), text(1, 8)
    cell = run_engine(oracle.folder, tokens, "sparsegpt", "0.50", tmp_path / "cell.safetensors")
    seen = cell.metadata["tokens"]
    assert min(seen.values()) == 0 and max(seen.values()) < 32
    least = min(seen, key=seen.__getitem__)
    none = sum(count == 0 for count in seen.values())
    assert notes_on(cell.brief) == [
        f"16 of 16 matrices of experts saw fewer calibration tokens than they have inputs, the least {least}: 0 for "
        f"{cell.columns[least]} inputs; {none} of them saw none, and are compressed as if all inputs were alike"
    ]
    for entry, of_layer in cell.about_matrices(1).items():
        assert len(of_layer) == 2 * N and of_layer.items() <= cell.metadata[entry].items(), entry
    values = kept_of(cell, least).values
    assert values is not None and torch.isfinite(values).all()


GPTQ = {"damping": 0.1, "symmetric": True, "act_order": False, "static_groups": False, "true_sequential": True}


@pytest.mark.parametrize(
    ("name", "method", "scheme", "settings"),
    [("mixtral", "gptq", "w4g16", {"gptq": GPTQ}), ("gpt_oss", "sparsegpt", "2of4", {})],
)
def test_gptq_and_sparsegpt_go_through_experts_too(
    name: str, method: str, scheme: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """True-sequential: down reads what compressed gate and up make. transformers reads what we left."""
    folder = Oracle(name, tmp_path / "model").folder
    cell = run_engine(folder, text(2), method, scheme, tmp_path / "cell.safetensors", **settings)
    export = exported(folder, cell, tmp_path / "export")
    ours = walk_through(Decoder(Checkpoint(folder), CPU), text(), cell)
    assert compared(ours, their_logits(export, text())) == "exact"
    assert compared(ours, their_logits(folder, text())) != "exact"
