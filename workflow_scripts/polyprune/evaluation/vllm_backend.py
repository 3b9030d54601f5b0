"""Generation by vLLM instead of our own: several times faster on a GPU. Imported by name, when config.yaml asks for it.

vLLM reads weights from a folder, so the compressed model is written to a temporary one for the time of the job. Its
log-likelihoods encode a prompt once an option, which is slower than ours: it only generates.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

from polyprune.errors import UserError
from polyprune.evaluation.generation import Limits, cut
from polyprune.evaluation.language_model import SharedPrefixLM
from polyprune.evaluation.scoring import Weights


class VllmLM(SharedPrefixLM):
    """The same language model, generating by vLLM."""

    def __init__(self, weights: Weights, folder: Path, tokens_per_batch: int) -> None:
        """Raises `UserError` if vLLM is not installed here, or if the model does not fit in memory as a whole."""
        super().__init__(weights, folder, tokens_per_batch)
        self._vllm = _installed_vllm()
        if not weights.whole:
            raise UserError("evaluation.generation is vllm, but this model is streamed: it does not fit; set it to own")

    def _generate(self, prompts: list[str], tokens: list[list[int]], limits: Limits) -> list[str]:  # noqa: ARG002
        with tempfile.TemporaryDirectory(prefix="polyprune-vllm-") as name:
            folder = Path(name)
            self.weights.decoder.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            engine = self._vllm.LLM(model=str(folder), gpu_memory_utilization=0.4)
            sampling = self._vllm.SamplingParams(
                temperature=0.0,
                max_tokens=limits.max_tokens,
                stop=list(limits.stops),
                stop_token_ids=sorted(limits.end_tokens),
            )
            answers = engine.generate([{"prompt_token_ids": prompt} for prompt in tokens], sampling)
        return [cut(answer.outputs[0].text, limits.stops) for answer in answers]


def _installed_vllm() -> Any:
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise UserError(
            "evaluation.generation is vllm in config.yaml, but vLLM is not installed here: "
            f"install it (pip install vllm) or set evaluation.generation to own ({error})"
        ) from error
