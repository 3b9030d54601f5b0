"""What a layer is like, found out by a probe, and statistics that skip what nobody reads."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.engine import linears_of
from tests.helpers.families import tiny_config, tiny_model
from tests.helpers.tiny import CONFIGS, random_model, random_tokens, save_checkpoint
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from polyprune.errors import UserError
from polyprune.maths.statistics import InputGram
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import batches, propagate
from polyprune.model.decoder import Decoder
from polyprune.model.products import Product
from polyprune.model.statistics import Anatomy, anatomy, collect
from polyprune.model.watching import removed

CPU = torch.device("cpu")
QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
GATE_UP = ("mlp.gate_proj", "mlp.up_proj")
OUT, DOWN = "self_attn.o_proj", "mlp.down_proj"


def probe(decoder: Decoder, layer: nn.Module, tokens: Tensor) -> Anatomy:
    few, calls = decoder.embed(tokens[:1, :8], 1)
    return anatomy(layer, decoder.products(0), few, calls[0], "layer")


def test_llama_reads_four_inputs_and_never_the_product_of_down_proj(tmp_path: Path) -> None:
    decoder = Decoder(Checkpoint(save_checkpoint(random_model("llama"), tmp_path)), CPU)
    walk: Any = decoder.walk()
    _, layer = next(walk)
    found = probe(decoder, layer, random_tokens(1, 24))
    walk.close()
    assert found.groups == (QKV, (OUT,), GATE_UP, (DOWN,))
    assert found.unread(found.groups) == [DOWN]
    assert found.unread([QKV]) == [*QKV, OUT, *GATE_UP, DOWN]
    assert found.unread([(OUT,)]) == [OUT, *GATE_UP, DOWN]
    assert found.unread([GATE_UP]) == [*GATE_UP, DOWN]


def test_cohere_reads_three_inputs_and_never_the_products_of_o_proj_and_down_proj(tmp_path: Path) -> None:
    decoder = Decoder(Checkpoint(save_checkpoint(random_model("cohere"), tmp_path)), CPU)
    walk: Any = decoder.walk()
    _, layer = next(walk)
    found = probe(decoder, layer, random_tokens(1, 24))
    walk.close()
    assert found.groups == ((*QKV, *GATE_UP), (OUT,), (DOWN,)) or found.groups == ((*QKV, *GATE_UP), (DOWN,), (OUT,))
    assert found.unread(found.groups) == [OUT, DOWN]
    assert found.unread([(DOWN,)]) == [*QKV, OUT, DOWN]


def test_the_probe_computes_no_product_twice(tmp_path: Path) -> None:
    """Seven at first; with q, k or v spoilt o, gate and up, with o gate and up."""
    decoder = Decoder(Checkpoint(save_checkpoint(random_model("llama"), tmp_path)), CPU)
    walk: Any = decoder.walk()
    _, layer = next(walk)
    few, calls = decoder.embed(random_tokens(1, 8), 1)
    with ProductsCounted() as counted:
        anatomy(layer, decoder.products(0), few, calls[0], "layer")
    walk.close()
    assert counted.times == 7 + 3 * 3 + 2


class ProductsCounted(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.times += func is nn.functional.linear
        return func(*args, **(kwargs or {}))


def note_if_computed(names: list[str], name: str, _: nn.Module, __: object, product: Tensor) -> None:
    """A skipped product is one number, seen everywhere."""
    if product.stride(-1):
        names.append(name)


@torch.inference_mode()
@pytest.mark.parametrize("name", CONFIGS)
def test_statistics_are_identical_to_those_of_the_whole_forward(name: str, tmp_path: Path) -> None:
    """Bit for bit, layer by layer; and products were indeed skipped."""
    decoder = Decoder(Checkpoint(save_checkpoint(random_model(name), tmp_path)), CPU)
    tokens = random_tokens(4, 24)
    hidden, calls = decoder.embed(tokens, 2)
    _, short_calls = decoder.embed(tokens[:1, :8], 1)
    for index, layer in decoder.walk():
        linears = linears_of(layer)
        products = decoder.products(index)
        found = anatomy(layer, products, hidden[:1, :8], short_calls[index], "layer")
        computed: list[str] = []
        hooks = [
            module.register_forward_hook(partial(note_if_computed, computed, linear))
            for linear, module in linears.items()
        ]
        ours = collect(layer, products, found, found.groups, batches(hidden, 2, CPU), calls[index], InputGram)
        for hook in hooks:
            hook.remove()
        assert DOWN not in computed and QKV[0] in computed
        assert all("forward" not in module.__dict__ for module in linears.values()), "skipping ends with the pass"
        seen: dict[str, InputGram] = {linear: InputGram(module.in_features) for linear, module in linears.items()}
        hooks = [
            module.register_forward_pre_hook(lambda _, x, gram=seen[linear]: gram.update(x[0].flatten(0, 1)))
            for linear, module in linears.items()
        ]
        propagate(layer, hidden.clone(), calls[index], 2)
        for hook in hooks:
            hook.remove()
        assert sorted(linear for group in found.groups for linear in group) == sorted(linears)
        for group, reading in zip(found.groups, ours, strict=True):
            assert tuple(product.name for product, _ in reading.matrices) == group and reading.n_tokens is None
            for linear in group:
                assert torch.equal(reading.statistic.total, seen[linear].total), linear
        propagate(layer, hidden, calls[index], 2)


def test_a_linear_layer_without_a_part_in_the_forward_is_refused_by_name() -> None:
    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.expert = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    layer = Routed()
    with pytest.raises(UserError, match=r"layers\.3: expert had no part in the forward pass"):
        products = [Product(name, module, "weight", False, None, ()) for name, module in linears_of(layer).items()]
        anatomy(layer, products, torch.ones(1, 2, 4), {}, "layers.3")


@torch.inference_mode()
def test_what_changes_nothing_among_a_few_tokens_is_computed_among_many(tmp_path: Path) -> None:
    """DeepSeek-V3.2's indexer chooses the keys of each query: all of them, where there are no more than it chooses."""
    decoder = Decoder(Checkpoint(save_checkpoint(tiny_model(tiny_config("deepseek_v32")), tmp_path)), CPU)
    tokens = random_tokens(2, 24)
    assert decoder.config.index_topk == 8
    hidden, calls = decoder.embed(tokens, 2)
    few, short_calls = decoder.embed(tokens[:1, :8], 1)
    walk: Any = decoder.walk()
    _, layer = next(walk)
    products = decoder.products(0)
    found = anatomy(layer, products, few, short_calls[0], "layer")
    assert set(found.unread(found.groups)) == {DOWN}
    ours = collect(layer, products, found, found.groups, batches(hidden, 2, CPU), calls[0], InputGram)
    module, seen = layer.get_submodule(OUT), InputGram(layer.get_submodule(OUT).in_features)
    with removed([module.register_forward_pre_hook(lambda _, x: seen.update(x[0].flatten(0, 1)))]):
        propagate(layer, hidden, calls[0], 2)
    walk.close()
    assert torch.equal(ours[found.groups.index((OUT,))].statistic.total, seen.total)
