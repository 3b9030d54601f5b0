"""A model folder that is right, how it is registered, and what jobs take of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tests.helpers.tiny import random_model, save_checkpoint

from polyprune.artifacts.seals import digest_of
from polyprune.artifacts.tensors import bytes_of
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder
from polyprune.model.source import locate
from polyprune.model.tokenizer import open_tokenizer
from polyprune.model.training import train_tokenizer
from polyprune.running.device import choose_device
from polyprune.settings.engine import Engine
from polyprune.settings.models import FolderSource, Shape
from polyprune.stages.register_model import register_model

CONFIG = "config.json"
LEARNT = ["The quick brown fox jumps over the lazy dog, 12345 times in 1999.", "我能吞下玻璃而不伤身体。 天地玄黄"]
"""More words, so that the vocabulary is full."""
TEXTS = ["Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.", "12345 times in 1999."]
VOCABULARY = 340
SHAPE = Shape(layers=3, hidden=32, intermediate=48, heads=4, kv_heads=2, vocabulary=VOCABULARY, max_positions=64)


def good_folder(folder: Path) -> Path:
    """A model and a tokenizer of its size, of which nothing is damaged."""
    save_checkpoint(random_model("llama", vocab_size=VOCABULARY), folder)
    train_tokenizer([*LEARNT, *TEXTS] * 20, VOCABULARY).save_pretrained(folder)
    return folder


def registered(folder: Path) -> Path:
    manifest = folder.parent / "results" / "mine" / "model.json"
    register_model(FolderSource(kind="folder", path=str(folder)), SHAPE, "mine", manifest, Engine(), {})
    return manifest


def used(manifest: Path) -> dict[str, Any]:
    """What jobs take of a model: every layer's weights, and the tokens of some text."""
    checkpoint = open_model(manifest)
    decoder = Decoder(checkpoint, choose_device("cpu", []))
    decoder.logits(decoder.normalise(decoder.embed(torch.zeros(1, 2, dtype=torch.long), 1)[0]))
    weights = {
        f"{index}.{name}": digest_of(bytes_of(weight.detach()))
        for index, layer in decoder.walk()
        for name, weight in layer.named_parameters()
    }
    tokenizer = open_tokenizer(locate(manifest))
    tokenizer.require_agreement(TEXTS, "the text")
    tokens = [each.ids for each in tokenizer.plain.encode_batch(TEXTS)]
    return {"dtype": decoder.dtype_name, "weights": weights, "tokens": tokens, "frame": tokenizer.frame()}
