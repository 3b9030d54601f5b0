"""Models that also see: the decoder of text is walked and compressed, everything else is copied as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.helpers.engine import CPU, run_engine
from tests.helpers.exports import exported
from tests.helpers.families import VOCABULARY, shaken, tiny_config
from tests.helpers.tiny import save_checkpoint
from tests.helpers.tried import compared, their_logits, walk_through

from polyprune.artifacts.cells import EXPERTS, CellReader, join_layers
from polyprune.errors import UserError
from polyprune.grammar.schemes import parse_scheme
from polyprune.model.calibration import Calibration
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.export import export_weights
from polyprune.model.probing import probe
from polyprune.model.removal import remove_experts_of
from polyprune.model.source import read_manifest, write_manifest

WRAPPERS = {
    "gemma3": "Gemma3ForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl_moe": "Qwen3VLMoeForConditionalGeneration",
    "llama4": "Llama4ForConditionalGeneration",
    "mistral3": "Mistral3ForConditionalGeneration",
    "aya_vision": "AyaVisionForConditionalGeneration",
}


def test_experts_that_files_have_turned_round(tmp_path: Path) -> None:
    """As Qwen3-VL's are published, (n_experts, d_in, d_out): transformers turns them on loading, exports are alike."""
    torch.manual_seed(0)
    config: Any = tiny_config("qwen3_vl_moe")
    config.text_config.moe_intermediate_size = 24  # so that no matrix is square
    folder = save_checkpoint(shaken(transformers.Qwen3VLMoeForConditionalGeneration(config)), tmp_path / "model")
    tokens = torch.randint(2, VOCABULARY, (3, 16), generator=torch.Generator().manual_seed(0))
    as_saved, stored = their_logits(folder, tokens), load_file(folder / "model.safetensors")
    experts = {name for name in stored if ".experts." in name}
    other = {name: each.mT.contiguous() if name in experts else each for name, each in stored.items()}
    save_file(other, folder / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(their_logits(folder, tokens), as_saved) and experts
    probe(Decoder(Checkpoint(folder), CPU))
    cell = run_engine(folder, tokens, "sparsegpt", "0.50", tmp_path / "cell.safetensors")
    (tmp_path / "export").mkdir()
    export_weights(Checkpoint(folder), cell, tmp_path / "export")
    (tmp_path / "export" / "config.json").write_text((folder / "config.json").read_text())
    ours = walk_through(Decoder(Checkpoint(folder), CPU), tokens, cell)
    assert compared(ours, their_logits(tmp_path / "export", tokens)) == "exact" != compared(ours, as_saved)
    after = load_file(tmp_path / "export" / "model.safetensors")
    assert {name: each.shape for name, each in after.items()} == {name: each.shape for name, each in other.items()}


MIXTURES = ("llama4", "qwen3_vl_moe")
"""Of these, those whose decoder of text has experts."""


@pytest.mark.parametrize("model_type", MIXTURES)
def test_experts_of_the_text_decoder_are_removed_and_the_rest_is_copied(model_type: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = shaken(getattr(transformers, WRAPPERS[model_type])(tiny_config(model_type)))
    folder = save_checkpoint(model, tmp_path / "model")
    write_manifest(tmp_path / "model.json", {"kind": "folder", "path": str(folder)}, folder, {})
    tokens = torch.randint(2, VOCABULARY, (3, 16), generator=torch.Generator().manual_seed(0))
    calibration = Calibration(Decoder(Checkpoint(folder), CPU), tokens, 3, False, {})
    about = {"method": "reap", "scheme": "0.25", "calibration": "de", "seed": 0, "unit": EXPERTS}
    about |= {
        "model_digest": read_manifest(tmp_path / "model.json")["digest"],
        "calibration_digest": "0" * 16,
        "code": "1",
    }
    remove_experts_of(calibration, parse_scheme("0.25"), tmp_path / "layers", about)
    join_layers(tmp_path / "layers", calibration.decoder.n_layers, tmp_path / "mask.safetensors", about)
    exported(tmp_path / "model.json", tmp_path / "mask.safetensors", tmp_path / "export/config.json")
    cell = CellReader(tmp_path / "mask.safetensors")
    ours = walk_through(Decoder(Checkpoint(folder), CPU), tokens, cell)
    assert (
        compared(ours, their_logits(tmp_path / "export", tokens))
        == "exact"
        != compared(ours, their_logits(folder, tokens))
    )
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "export" / "model.safetensors")
    changed = {name for name in before if name not in after or not torch.equal(before[name], after[name])}
    assert changed and all("experts" in name or "router" in name or "mlp.gate" in name for name in changed)


GEMMA_4: dict[str, Any] = {"attention_k_eq_v": True, "num_global_key_value_heads": 1, "global_head_dim": 16}
GEMMA_4_EXPERTS = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 16}
MADE = {
    **{name: lambda name=name: getattr(transformers, WRAPPERS[name])(tiny_config(name)) for name in WRAPPERS},
    "gemma4 as 31B": lambda: gemma_4(GEMMA_4),
    "gemma4 as 26B-A4B": lambda: gemma_4(GEMMA_4 | GEMMA_4_EXPERTS),
}
"""Makes the model: those of `WRAPPERS` and Gemma 4, whose full attention has wider heads and no values of its own."""


def gemma_4(changes: dict[str, Any], embeddings: int = 0) -> Any:
    """A tiny Gemma 4 that also sees; layers of the smallest ones (E2B, E4B) have `embeddings` of the tokens each."""
    text: Any = tiny_config("gemma4_text", hidden_size_per_layer_input=embeddings, **changes)
    vision: Any = tiny_config("gemma4_vision")
    config = transformers.Gemma4Config(text_config=text, vision_config=vision, audio_config=None)
    return transformers.Gemma4ForConditionalGeneration(config)


def test_a_gemma_4_whose_layers_have_embeddings_of_the_tokens_is_refused_by_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = save_checkpoint(shaken(gemma_4({}, embeddings=8)), tmp_path / "model")
    said = "Gemma4ForConditionalGeneration cannot be walked: it calls its layers with per_layer_input, which depends on"
    with pytest.raises(UserError, match=said):
        probe(Decoder(Checkpoint(folder), CPU))


@pytest.mark.parametrize("name", MADE)
def test_the_text_decoder_is_compressed_and_the_rest_copied(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = save_checkpoint(shaken(MADE[name]()), tmp_path / "model")
    tokens = torch.randint(2, VOCABULARY, (3, 16), generator=torch.Generator().manual_seed(0))
    decoder = Decoder(Checkpoint(folder), CPU)
    probe(decoder)
    assert compared(walk_through(decoder, tokens), their_logits(folder, tokens)) == "exact"
    cell = run_engine(folder, tokens, "wanda", "0.50", tmp_path / "cell.safetensors")
    (tmp_path / "export").mkdir()
    export_weights(Checkpoint(folder), cell, tmp_path / "export")
    (tmp_path / "export" / "config.json").write_text((folder / "config.json").read_text())
    ours = walk_through(Decoder(Checkpoint(folder), CPU), tokens, cell)
    assert compared(ours, their_logits(tmp_path / "export", tokens)) == "exact"
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "export" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert set(before) == set(after) and changed
    assert not any("vision" in name or "projector" in name or "visual" in name for name in changed)
    places = cell.metadata.get("places", {})
    assert changed == {places[name]["tensor"] if name in places else f"{name}.weight" for name in cell.columns}
