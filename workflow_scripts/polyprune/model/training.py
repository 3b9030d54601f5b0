"""Train a tiny model from scratch: for the demo, not for the paper's models.

Muon (Jordan et al. 2024) on the matrices of the decoder layers, AdamW on the rest: with AdamW alone a model of this
size needs several times the tokens. Ours is in float32 and batched over matrices of one shape; torch's own runs in
bfloat16, which CPUs without AVX-512 emulate slowly.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Optimizer
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.cohere import CohereConfig, CohereForCausalLM
from transformers.models.llama import LlamaConfig, LlamaForCausalLM
from transformers.models.olmoe import OlmoeConfig, OlmoeForCausalLM

from polyprune.log import Progress
from polyprune.model.prompting import GENERATION, JINJA
from polyprune.settings.models import Shape, TrainedSource

BOS, EOS = "<s>", "</s>"
_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration; they do not converge to 1, but bring singular values near it fast."""
_NEWTON_SCHULZ_STEPS = 4
_WARM_UP_STEPS = 30
_FINAL_RATE = 0.05
_CONSTANT_SHARE = 0.05
_EXPERTS, _CHOSEN = 8, 2
"""Of a mixture of experts: how many a layer has, and a token is sent to."""
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['content'] }}"
    "{% if not loop.last %}\n{% endif %}{% endfor %}"
)
"""The content itself, as in training: the tiny models know no roles."""


def train_tokenizer(documents: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE. Han characters are kept apart, or merges would swallow whole Chinese phrases."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=EOS)
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build_model(source: TrainedSource, shape: Shape) -> PreTrainedModel:
    """A randomly initialised model; embedding and head are tied."""
    torch.manual_seed(source.seed)
    sizes: dict[str, Any] = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": shape.max_positions,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
        "tie_word_embeddings": True,
    }
    if source.architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes))
    if source.architecture == "olmoe":
        return OlmoeForCausalLM(
            OlmoeConfig(**sizes, num_experts=_EXPERTS, num_experts_per_tok=_CHOSEN, norm_topk_prob=True)
        )
    return CohereForCausalLM(CohereConfig(**sizes, logit_scale=1.0))


def newton_schulz(matrices: Tensor) -> Tensor:
    """Approximately orthogonal factors of a batch of matrices (n, rows, columns), float32."""
    a, b, c = _QUINTIC
    x = matrices / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(Optimizer):
    """Momentum orthogonalised per matrix; step size matched to AdamW's by 0.2 sqrt(max(rows, columns)).

    A parameter is a matrix, or a stack of them.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                by_shape.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in by_shape.items():
                self._step_together(parameters, group, 0.2 * max(shape[-2:]) ** 0.5)

    def _step_together(self, parameters: list[Tensor], group: dict[str, Any], scale: float) -> None:
        gradient = torch.stack([parameter.grad for parameter in parameters if parameter.grad is not None])
        state = self.state[parameters[0]]
        momentum = state.setdefault("momentum", torch.zeros_like(gradient))
        momentum.lerp_(gradient, 1 - group["momentum"])
        matrices = gradient.lerp(momentum, group["momentum"]).flatten(0, -3)
        updates = newton_schulz(matrices).view_as(gradient)
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-scale * group["lr"])


def rate_factor(step: int, steps: int) -> float:
    """Learning rate relative to its peak: linear warm-up, then linear decay to a twentieth."""
    warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
    decay = min(1.0, (steps - step) / ((1 - _CONSTANT_SHARE) * steps))
    return warm * (_FINAL_RATE + (1 - _FINAL_RATE) * decay)


def train(model: PreTrainedModel, sequences: Tensor, source: TrainedSource) -> None:
    """Train in place on token sequences (n, sequence_length), in an order drawn from the seed."""
    optimizers = _optimizers(model, source)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    generator = torch.Generator().manual_seed(source.seed)
    progress = Progress(source.steps, "step")
    order, position, loss_sum, last = torch.empty(0, dtype=torch.long), 0, 0.0, 0
    model.train()
    for step in range(source.steps):
        if position + source.batch_sequences > len(order):
            order, position = torch.randperm(len(sequences), generator=generator), 0
        batch = sequences[order[position : position + source.batch_sequences]]
        position += source.batch_sequences
        factor = rate_factor(step, source.steps)
        for optimizer, rates in zip(optimizers, peaks, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        logits = model(batch, use_cache=False).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        loss_sum += loss.item()
        if (step + 1) % 50 == 0 or step + 1 == source.steps:
            progress.report(step + 1, f"loss {loss_sum / (step + 1 - last):.3f}")
            loss_sum, last = 0.0, step + 1
    model.eval()


def _optimizers(model: PreTrainedModel, source: TrainedSource) -> list[Optimizer]:
    matrices = [p for name, p in model.named_parameters() if p.dim() >= 2 and ".layers." in name]
    embedding = [p for name, p in model.named_parameters() if p.dim() == 2 and ".layers." not in name]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    adam_groups = [
        {"params": embedding, "weight_decay": source.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [
        Muon(matrices, source.muon_learning_rate, source.weight_decay),
        AdamW(adam_groups, lr=source.adam_learning_rate, betas=(0.9, 0.95), fused=True),
    ]


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a folder in Hugging Face layout: config.json, model.safetensors, tokenizer files."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def prompting_of(folder: Path) -> dict[str, bytes]:
    """Of such a folder the files that only prompting uses, by name, as transformers has written them."""
    with TemporaryDirectory() as name:
        GenerationConfig.from_model_config(AutoConfig.from_pretrained(folder)).save_pretrained(name)
        return {GENERATION: Path(name, GENERATION).read_bytes(), JINJA: CHAT_TEMPLATE.encode()}
