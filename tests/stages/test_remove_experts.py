"""Cells without whole experts: which go, against a float64 reading of each family; what is left, against transformers.

The oracle calls transformers' own forward in float64, takes weights from the files, and knows each family's router, by
which it says who is sent where and with which weight.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.engine import CPU
from tests.helpers.exports import exported
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.tiny import random_model, save_checkpoint
from tests.helpers.tried import compared, loaded, their_logits, walk_through
from tests.helpers.variants import ENGINE, RUN, TEXT
from torch import Tensor
from torch.nn.functional import silu

from polyprune.artifacts.cell_notes import notes_on
from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint, open_model
from polyprune.model.compression import compressed, propagate
from polyprune.model.decoder import Decoder
from polyprune.model.routing import routing_pass
from polyprune.model.source import read_manifest, write_manifest
from polyprune.stages.remove_experts import remove_experts

N, K = 4, 2
CELL = {"method": "reap", "scheme": "0.25", "calibration": "de", "seed": 3}
Weigh = Callable[[Tensor, dict[str, Tensor]], Tensor]
"""Tokens (n, d) and a router's tensors; weights (n, N), 0 where a token is not sent."""


def chosen(scores: Tensor, weights: Tensor, normalised: bool) -> Tensor:
    sent = torch.zeros_like(scores).scatter(1, scores.topk(K, dim=1).indices, 1.0) * weights
    return sent / sent.sum(1, keepdim=True) if normalised else sent


def softmaxed(x: Tensor, router: dict[str, Tensor]) -> Tensor:
    """OLMoE, Qwen3-MoE: a share of all experts' exponentials, which is not normalised over the chosen."""
    p = (x @ router["weight"].T).softmax(1)
    return chosen(p, p, False)


def renormalised(x: Tensor, router: dict[str, Tensor]) -> Tensor:
    """Mixtral, Granite, gpt-oss: over the chosen ones."""
    p = (x @ router["weight"].T + router.get("bias", 0)).softmax(1)
    return chosen(p, p, True)


def sigmoid(x: Tensor, router: dict[str, Tensor]) -> Tensor:
    """DeepSeek-V3: a bias decides but does not weigh; 2.5 is its `routed_scaling_factor`."""
    p = (x @ router["weight"].T).sigmoid()
    return 2.5 * chosen(p + router["e_score_correction_bias"], p, True)


def before(x: Tensor, router: dict[str, Tensor]) -> Tensor:
    """Llama 4: a sigmoid of the chosen one's, with which the token is multiplied before its expert sees it."""
    logits = x @ router["weight"].T
    return torch.zeros_like(logits).scatter(1, logits.topk(K, dim=1).indices, 1.0) * logits.sigmoid()


@dataclass(frozen=True)
class Kind:
    block: str
    router: str
    weigh: Weigh
    experts: str
    parts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    first: int = 0
    weighs_input: bool = False

    def added(self, layer: int, x: Tensor, weights: Tensor, stored: dict[str, Tensor]) -> Tensor:
        """Norms (n, N) of what each expert adds."""
        made = [
            self.expert(layer, e, weights[:, e : e + 1] * x if self.weighs_input else x, stored).norm(dim=1)
            for e in range(N)
        ]
        norms = torch.stack(made, dim=1)
        return norms * (weights > 0) if self.weighs_input else norms * weights

    def expert(self, layer: int, e: int, x: Tensor, stored: dict[str, Tensor]) -> Tensor:
        """What expert e makes of tokens."""
        where = f"model.layers.{layer}.{self.experts}"
        if self.weighs_input:
            gate, up = (x @ stored[f"{where}.gate_up_proj"][e]).chunk(2, dim=1)
            return (silu(gate) * up) @ stored[f"{where}.down_proj"][e]
        if "{e}" in where:
            gate, up, down = (stored[f"{where.format(e=e)}.{part}.weight"] for part in self.parts)
            return (silu(x @ gate.T) * (x @ up.T)) @ down.T
        if "input_linear" in self.parts:
            gate, up = (x @ stored[f"{where}.input_linear.weight"][e].T).chunk(2, dim=1)
            return (silu(gate) * up) @ stored[f"{where}.output_linear.weight"][e].T
        both = x @ stored[f"{where}.gate_up_proj"][e] + stored[f"{where}.gate_up_proj_bias"][e]
        gate, up = both[:, ::2].clamp(max=7.0), both[:, 1::2].clamp(-7.0, 7.0)
        inner = (up + 1) * gate * torch.sigmoid(1.702 * gate)
        return inner @ stored[f"{where}.down_proj"][e] + stored[f"{where}.down_proj_bias"][e]


EACH = "mlp.experts.{e}"
KINDS = {
    "mixtral": Kind("mlp", "block_sparse_moe.gate", renormalised, "block_sparse_moe.experts.{e}", ("w1", "w3", "w2")),
    "olmoe": Kind("mlp", "mlp.gate", softmaxed, EACH),
    "qwen3_moe": Kind("mlp", "mlp.gate", softmaxed, EACH),
    "deepseek_v3": Kind("mlp", "mlp.gate", sigmoid, EACH, first=1),
    "granitemoe": Kind("block_sparse_moe", "block_sparse_moe.router.layer", renormalised, "block_sparse_moe",
                       ("input_linear", "", "output_linear")),
    "llama4_text": Kind("feed_forward", "feed_forward.router", before, "feed_forward.experts", weighs_input=True),
    "gpt_oss": Kind("mlp", "mlp.router", renormalised, "mlp.experts", ("gate_up_proj", "", "down_proj")),
}  # fmt: skip


def manifest_of(name: str, folder: Path, shards: int = 1, **changes: object) -> Path:
    """A tiny model, its manifest, and a calibration shard beside it."""
    config = tiny_config(name, num_hidden_layers=2, **changes)
    source = save_checkpoint(tiny_model(config), folder / "model", shards)
    write_manifest(folder / "model.json", {"kind": "folder", "path": str(source)}, source, {})
    tokens = np.random.default_rng(0).integers(2, VOCABULARY, (6, 24)).astype(np.int32)
    about = {
        **TEXT.metadata,
        "languages": ["de"],
        "seed": 3,
        "model_digest": read_manifest(folder / "model.json")["digest"],
    }
    ones = np.ones_like(tokens)
    save_tokens(folder / "tokens.safetensors", TokenSet(tokens, ones, ones.astype(np.uint8) * 0, about))
    return folder / "model.json"


def removed(model: Path, scheme: str = "0.25") -> CellReader:
    path, about = model.parent / "mask.safetensors", CELL | {"scheme": scheme}
    tokens = model.parent / "tokens.safetensors"
    remove_experts(model, tokens, "reap", scheme, "de", 3, path, CPU, ENGINE, RUN | about)
    return CellReader(path)


def tokens_of(model: Path) -> Tensor:
    return torch.from_numpy(load_file(model.parent / "tokens.safetensors")["tokens"].numpy()).long()


@torch.inference_mode()
def saliencies(name: str, model: Path, layer: int) -> Tensor:
    """REAP-1 in float64."""
    kind, folder = KINDS[name], model.parent / "model"
    stored = {key: value.double() for key, value in load_file(folder / "model.safetensors").items()}
    theirs, seen = loaded(folder, experts_implementation="eager").double(), list[Tensor]()
    block = theirs.get_submodule(f"model.layers.{layer}.{kind.block}")
    block.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, 1)))
    theirs(input_ids=tokens_of(model), use_cache=False)
    prefix = f"model.layers.{layer}.{kind.router}."
    router = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
    weights = kind.weigh(seen[0], router)
    return kind.added(layer, seen[0], weights, stored).sum(0) / (weights > 0).sum(0)


@pytest.mark.parametrize("name", KINDS)
def test_the_least_salient_expert_goes_and_what_is_left_is_a_smaller_model_of_the_family(
    name: str, tmp_path: Path
) -> None:
    """REAP-1 and REAP-2 of each layer; our walk, the export in transformers, and the router: equal, and not dense."""
    model = manifest_of(name, tmp_path)
    cell = removed(model)
    for layer in range(2):
        if layer < KINDS[name].first:
            assert cell.experts_kept(layer) is None
            continue
        expected = saliencies(name, model, layer)
        (found,) = (value for key, value in cell.metadata["saliency"].items() if f"layers.{layer}." in key)
        torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), expected, rtol=1e-4, atol=1e-6)
        kept = cell.experts_kept(layer)
        assert kept is not None and (~kept).nonzero().flatten().tolist() == [int(expected.argmin())]
    exported(model, cell.path, tmp_path / "export/config.json")
    ours = walk_through(Decoder(open_model(model), CPU), tokens_of(model), cell)
    assert compared(ours, their_logits(tmp_path / "export", tokens_of(model))) == "exact"
    assert compared(ours, their_logits(tmp_path / "model", tokens_of(model))) != "exact"
    files = [(tmp_path / each / "model.safetensors").stat().st_size for each in ("export", "model")]
    assert files[0] < files[1]
    routed = routing_pass(Decoder(open_model(model), CPU), tokens_of(model), cell, 3)
    theirs = routing_pass(Decoder(Checkpoint(tmp_path / "export"), CPU), tokens_of(model), None, 3)
    for layer, each in routed.items():
        assert each.counts[each.removed].tolist() == [0] and each.counts.sum() == K * tokens_of(model).numel()
        assert each.counts[~each.removed].tolist() == theirs[layer].counts.tolist()


def test_the_dense_layer_is_whole_again_after_a_cell(tmp_path: Path) -> None:
    """Cells are pushed beside the dense model, layer by layer; and a decoder is walked again."""
    model = manifest_of("mixtral", tmp_path)
    cell, tokens = removed(model, "0.50"), tokens_of(model)
    decoder = Decoder(open_model(model), CPU)
    hidden, calls = decoder.embed(tokens, 2)
    beside = hidden.clone()
    for index, layer in decoder.walk():
        with compressed(decoder, index, cell):
            propagate(layer, beside, calls[index], 2)
        propagate(layer, hidden, calls[index], 2)
    dense, pruned = (decoder.logits(decoder.normalise(each)) for each in (hidden, beside))
    assert compared(dense, their_logits(tmp_path / "model", tokens)) == "exact" != compared(pruned, dense)
    assert torch.equal(walk_through(decoder, tokens, cell), pruned)
    assert torch.equal(walk_through(decoder, tokens), dense)


def test_an_export_of_shards_has_an_index_of_what_is_left(tmp_path: Path) -> None:
    model = manifest_of("olmoe", tmp_path, shards=3)
    cell = removed(model, "0.50")
    exported(model, cell.path, tmp_path / "export/config.json")
    index = json.loads((tmp_path / "export/model.safetensors.index.json").read_text())
    held = {name: file.name for file in (tmp_path / "export").glob("*.safetensors") for name in load_file(file)}
    assert index["weight_map"] == held and json.loads((tmp_path / "export/config.json").read_text())["num_experts"] == 2
    ours = walk_through(Decoder(open_model(model), CPU), tokens_of(model), cell)
    assert compared(ours, their_logits(tmp_path / "export", tokens_of(model))) == "exact"
    assert "with fewer of them" in (tmp_path / "export/README.md").read_text()


def test_same_bytes_twice_and_experts_without_a_token_are_said(tmp_path: Path) -> None:
    model = manifest_of("gpt_oss", tmp_path)
    first = removed(model).path.read_bytes()
    assert removed(model).path.read_bytes() == first
    few = load_file(tmp_path / "tokens.safetensors")["tokens"][:1, :1].numpy()
    about = CellReader(tmp_path / "mask.safetensors").metadata
    header = {**TEXT.metadata, "languages": ["de"], "seed": 3, "model_digest": about["model_digest"]}
    ones = np.ones_like(few)
    save_tokens(tmp_path / "tokens.safetensors", TokenSet(few, ones, ones.astype(np.uint8) * 0, header))
    cell = removed(model)
    assert notes_on(cell.brief) == ["4 of 8 experts were sent no calibration token: they are the first to go"]
    for key, sent in cell.metadata["sent"].items():
        assert sorted(sent) == [0, 0, 1, 1] and [s == 0 for s in sent] == [
            s == 0 for s in cell.metadata["saliency"][key]
        ]


@pytest.mark.parametrize(
    ("name", "scheme", "changes", "message"),
    [
        ("mixtral", "0.75", {}, "sends a token to 2 of 4 experts: 1 are too few; remove a smaller share"),
        ("deepseek_v3", "0.25", {"n_group": 2, "topk_group": 2}, "chooses among 2 groups of experts"),
    ],
)
def test_what_cannot_be_removed_is_refused(
    name: str, scheme: str, changes: dict[str, int], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        removed(manifest_of(name, tmp_path, **changes), scheme)


def test_a_model_without_experts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="LlamaForCausalLM has no experts"):
        _ = Decoder(Checkpoint(save_checkpoint(random_model("llama"), tmp_path / "model")), CPU).fewer_experts
