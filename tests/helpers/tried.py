"""One family tried: a tiny random model saved, walked, compressed, exported, and loaded again by transformers."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from tests.helpers.engine import CPU, run_engine
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.tiny import save_checkpoint
from torch import Tensor
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import apply_cell, propagate
from polyprune.model.decoder import Decoder
from polyprune.model.export import export_weights
from polyprune.model.probing import probe

CLOSE = 1e-4
"""Largest difference of logits, as a share of the largest logit, that counts as exact: float32 rounding."""


@dataclass(frozen=True)
class Outcome:
    """What became of a family: `walked` and `exported` say `exact`, a difference or why not; `compressed` how many."""

    model_type: str
    architecture: str
    walked: str
    compressed: str
    exported: str

    @property
    def exact(self) -> bool:
        """Whether all three are as they should be."""
        return self.walked == self.exported == "exact" and self.compressed[:1].isdigit()


def walk_through(decoder: Decoder, tokens: Tensor, cell: CellReader | None = None, batch: int = 2) -> Tensor:
    """Logits by our walk, of the cell or of the dense model."""
    hidden, calls = decoder.embed(tokens, batch)
    for index, layer in decoder.walk():
        if cell is not None:
            apply_cell(decoder, index, cell)
        propagate(layer, hidden, calls[index], batch)
    return decoder.logits(decoder.normalise(hidden))


@torch.inference_mode()
def their_logits(folder: Path, tokens: Tensor) -> Tensor:
    """Logits by transformers' own loading and forward."""
    return loaded(folder)(input_ids=tokens, use_cache=False).logits


def loaded(folder: Path, **options: str) -> PreTrainedModel:
    """The model as transformers loads it, by the class that its config.json names."""
    config = transformers.AutoConfig.from_pretrained(folder)
    return getattr(transformers, (config.architectures or ["?"])[0]).from_pretrained(folder, **options).eval()


def compared(ours: Tensor, theirs: Tensor) -> str:
    """`exact`, or how far apart logits are."""
    ours, theirs = ours.cpu(), theirs.cpu()
    share = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    return "exact" if share < CLOSE else f"differs by {share:.1e} of the largest logit"


def try_family(model_type: str, method: str = "wanda") -> Outcome:
    """Everything, in a folder that is thrown away."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w", encoding="utf-8") as nothing,
        contextlib.redirect_stderr(nothing),
    ):
        return _tried(model_type, Path(folder), method)


def _tried(model_type: str, folder: Path, method: str) -> Outcome:
    try:
        model = tiny_model(tiny_config(model_type))
    except Exception as error:
        return Outcome(model_type, "?", f"not tried: {_said(error)}", "", "")
    architecture = type(model).__name__
    tokens = torch.randint(2, VOCABULARY, (4, 24), generator=torch.Generator().manual_seed(0))
    try:
        save_checkpoint(model, folder / "model")
        theirs = their_logits(folder / "model", tokens)
    except Exception as error:
        return Outcome(model_type, architecture, f"not tried: {_said(error)}", "", "")
    try:
        decoder = Decoder(Checkpoint(folder / "model"), CPU)
        probe(decoder)
    except UserError as error:
        return Outcome(model_type, architecture, f"refused: {_said(error, folder)}", "", "")
    walked = compared(walk_through(decoder, tokens), theirs)
    try:
        return Outcome(model_type, architecture, walked, *_compressed(folder, tokens, theirs, method))
    except UserError as error:
        return Outcome(model_type, architecture, walked, f"refused: {_said(error, folder)}", "")


def _compressed(folder: Path, tokens: Tensor, theirs: Tensor, method: str) -> tuple[str, str]:
    """What is compressed, and whether the export has our logits, given the dense model's."""
    cell = run_engine(folder / "model", tokens, method, "0.50", folder / "cell.safetensors")
    ours = walk_through(Decoder(Checkpoint(folder / "model"), CPU), tokens, cell)
    (folder / "export").mkdir()
    export_weights(Checkpoint(folder / "model"), cell, folder / "export")
    (folder / "export" / "config.json").write_text((folder / "model" / "config.json").read_text())
    removed, size = map(sum, zip(*cell.metadata["removed"].values(), strict=True))
    changed = "" if compared(ours, theirs) != "exact" else " (nothing changed)"
    said = f"{len(cell.columns)} matrices, {removed / size:.2f} removed{changed}"
    return said, compared(ours, their_logits(folder / "export", tokens))


def _said(error: Exception, folder: Path | None = None) -> str:
    said = " ".join(str(error).split()).replace(f"{folder}/model: ", "")
    return said if isinstance(error, UserError) else f"{type(error).__name__}: {said[:160]}"
