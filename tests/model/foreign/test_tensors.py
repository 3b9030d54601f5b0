"""Files and names of checkpoints as tools leave them: within other modules, in shards, in pickles of many kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.helpers.foreign import write_folder
from torch import Tensor

from polyprune.errors import UserError
from polyprune.model.foreign.reading import ForeignMatrices
from polyprune.model.foreign.tensors import ForeignTensors

DOWN, HEAD, EMBEDDING = "model.layers.0.mlp.down_proj.weight", "lm_head.weight", "model.embed_tokens.weight"
DENSE = (DOWN, HEAD, EMBEDDING, "model.layers.1.mlp.down_proj.weight")
WEIGHT = torch.arange(8.0).view(2, 4)


@pytest.mark.parametrize(
    ("whole", "layers"),
    [
        ("module.", "module.model."),
        ("_orig_mod.", "_orig_mod.model."),
        ("language_model.", "language_model.model."),
        ("", "model.language_model."),
        ("_fsdp_wrapped_module.", "_fsdp_wrapped_module.model._checkpoint_wrapped_module."),
    ],
)
def test_names_within_another_module_are_the_dense_models(whole: str, layers: str, tmp_path: Path) -> None:
    """Also beside a tower of pictures with more layers, whose names stay as they are."""
    stored = {layers + name.removeprefix("model."): WEIGHT + place for place, name in enumerate(DENSE) if name != HEAD}
    tower = {f"model.visual.blocks.{index}.mlp.fc.weight": WEIGHT.clone() for index in range(4)}
    folder = write_folder(tmp_path, {**stored, **tower, whole + HEAD: WEIGHT - 1})
    found = ForeignTensors(folder, pickles=False, like=DENSE)
    assert set(found.file_of) == {*DENSE, *tower}
    assert torch.equal(found.tensor(EMBEDDING), WEIGHT + DENSE.index(EMBEDDING))
    assert torch.equal(found.tensor(HEAD), WEIGHT - 1) and torch.equal(found.tensor(DOWN), WEIGHT)


def test_a_mask_beside_the_weights_is_applied(tmp_path: Path) -> None:
    """As torch.nn.utils.prune has them before they are made permanent."""
    name = DOWN.removesuffix(".weight")
    mask = (WEIGHT % 2 == 0).float()
    folder = write_folder(tmp_path, {f"{name}.weight_orig": WEIGHT + 1, f"{name}.weight_mask": mask})
    found = ForeignMatrices(ForeignTensors(folder, pickles=False)).read(name)
    assert found.tolist() == [[1, 0, 3, 0], [5, 0, 7, 0]]  # type: ignore[union-attr]


def test_shards_without_an_index_are_read_if_all_are_there(tmp_path: Path) -> None:
    for number, name in enumerate((DOWN, HEAD), 1):
        save_file({name: WEIGHT + number}, tmp_path / f"model-0000{number}-of-00002.safetensors")
    found = ForeignTensors(tmp_path, pickles=False)
    assert torch.equal(found.tensor(HEAD), WEIGHT + 2) and torch.equal(found.tensor(DOWN), WEIGHT + 1)
    (tmp_path / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"has no model-00001-of-00002\.safetensors"):
        ForeignTensors(tmp_path, pickles=False)


@pytest.mark.parametrize("within", [None, "state_dict", "model"])
@pytest.mark.parametrize("sparse", [False, True])
def test_pickles_of_training_programs_and_of_sparse_tensors(within: str | None, sparse: bool, tmp_path: Path) -> None:
    stored: dict[str, Tensor] = {DOWN: WEIGHT.to_sparse() if sparse else WEIGHT}
    torch.save(stored if within is None else {within: stored, "step": 7}, tmp_path / "pytorch_model.bin")
    found = ForeignTensors(tmp_path, pickles=True)
    assert set(found.file_of) == {DOWN} and torch.equal(found.tensor(DOWN), WEIGHT)


def test_a_pickle_of_one_tensor_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save(WEIGHT, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds a Tensor, no tensors by name"):
        ForeignTensors(tmp_path, pickles=True).tensor(DOWN)
