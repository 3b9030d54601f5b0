"""Tiny random models with a tokenizer and benchmark data, for tests of the evaluation layer."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from tests.helpers.tiny import random_model
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer
from transformers.models.auto import AutoModelForCausalLM

from polyprune.corpora.demo import demo_documents
from polyprune.evaluation.language_model import SharedPrefixLM
from polyprune.evaluation.scoring import Weights
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.training import train_tokenizer

torch.set_num_threads(1)
VOCABULARY = 400
LLAMA3_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>\n\n{{ message['content'] | trim }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n\n{% endif %}"
)
"""As Llama-3's: the header of the answer ends in white space, which the harness moves into the option."""


def model_folder(folder: Path, architecture: str, max_length: int = 640) -> Path:
    """A random model of transformers with a trained tokenizer, which adds a BOS, and a chat template."""
    model = random_model(architecture, vocab_size=VOCABULARY, max_position_embeddings=max_length)
    model.save_pretrained(folder)
    tokenizer = train_tokenizer(
        [text for language in ("en", "de", "zh") for text in demo_documents(language, "t", 60)], VOCABULARY
    )
    tokenizer.chat_template = LLAMA3_TEMPLATE
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save_pretrained(folder)
    return folder


def language_model(folder: Path, tokens_per_batch: int = 2048, whole: bool = True) -> SharedPrefixLM:
    decoder = Decoder(Checkpoint(folder), torch.device("cpu"))
    return SharedPrefixLM(Weights(decoder, None, whole), folder, tokens_per_batch)


def stock_backend() -> type:
    """The harness's own backend for models of transformers. It imports accelerate, but uses it on several GPUs only."""
    if "accelerate" not in sys.modules and importlib.util.find_spec("accelerate") is None:
        absent, utils = ModuleType("accelerate"), ModuleType("accelerate.utils")
        for name in ("Accelerator", "InitProcessGroupKwargs", "find_executable_batch_size"):
            setattr(absent, name, None)
        utils.get_max_memory = None  # type: ignore[attr-defined]
        sys.modules |= {"accelerate": absent, "accelerate.utils": utils}
    return importlib.import_module("lm_eval.models.huggingface").HFLM


def stock_model(folder: Path, batch_size: int, device: str = "cpu") -> Any:
    """The stock backend on the same model, with sums in float32 as ours."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return stock_backend()(
        pretrained=model.to(device), tokenizer=tokenizer, batch_size=batch_size, softmax_dtype="float32"
    )
