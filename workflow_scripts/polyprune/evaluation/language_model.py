"""Our language model under the harness: what it asks for, answered from packed rows and by our own generation.

Tokenisation follows the harness's stock backend to the letter: white space at the end of a prompt belongs to the
continuation, a continuation's tokens are what its prompt's tokens leave of both encoded together, and a BOS is added
unless the text begins with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from polyprune.artifacts.json_files import read_object
from polyprune.errors import UserError
from polyprune.evaluation.generation import Limits, generate
from polyprune.evaluation.packing import pack
from polyprune.evaluation.scoring import Weights, score_rows
from polyprune.log import logger
from polyprune.model.chat import render, render_accepted, template_digest
from polyprune.model.tokenizer import open_tokenizer

_DEFAULT_MAX_LENGTH = 2048
_ENCODED_TOGETHER = 4096
_NOT_APPLIED = (
    *("bad_words_ids", "begin_suppress_tokens", "encoder_repetition_penalty", "forced_bos_token_id"),
    *("forced_eos_token_id", "no_repeat_ngram_size", "repetition_penalty", "sequence_bias", "suppress_tokens"),
)
"""Of generation_config.json: what changes the choice of a token also where none is drawn."""


class SharedPrefixLM(LM):
    """A model of this project as the harness sees it. Keeps no cache on disk."""

    def __init__(self, weights: Weights, folder: Path, tokens_per_batch: int) -> None:
        super().__init__()
        self.weights, self.tokens_per_batch = weights, tokens_per_batch
        self._tokenizer = open_tokenizer(folder)
        self.tokenizer: Any = self._tokenizer.fast
        config = weights.decoder.config
        self.max_length = int(getattr(config, "max_position_embeddings", None) or _DEFAULT_MAX_LENGTH)
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        self._first = bos if bos is not None else eos
        self._first_text = None if self._first is None else self.tokenizer.decode([self._first])
        self._ends = frozenset(end for end in (eos, *_end_tokens(folder)) if end is not None)
        self._tokenizer.require_embedded(sorted(self._ends), "the end of an answer, by generation_config.json,")

    @property
    def tokenizer_name(self) -> str:
        return self.tokenizer.name_or_path.replace("/", "__")

    @property
    def has_chat_template(self) -> bool:
        return self.tokenizer.chat_template is not None

    @property
    def chat_template_digest(self) -> str | None:
        """Identifies the template; None if the model has none, and prompts are sent as they are."""
        return template_digest(self.tokenizer)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return str(self.tokenizer.chat_template) if chat_template and self.has_chat_template else None

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation as text; without system turns if the template refuses them."""
        options = {
            "add_generation_prompt": add_generation_prompt,
            "continue_final_message": not add_generation_prompt,
        }
        try:
            return render(self.tokenizer, chat_history, **options)
        except jinja2.exceptions.TemplateError:
            without = [message for message in chat_history if message["role"] != "system"]
            return render_accepted(self.tokenizer, without, **options)

    def encode(self, texts: Sequence[str]) -> dict[str, list[int]]:
        """Tokens of each distinct text, with a BOS in front unless it is there already.

        Raises:
            UserError: class and file of the tokenizer differ on the texts, or a token has no embedding.
        """
        distinct = list(dict.fromkeys(texts))
        self._tokenizer.require_agreement(distinct, "the questions")
        found: dict[str, list[int]] = {}
        for begun in (True, False):
            chosen = [text for text in distinct if self._is_begun(text) == begun]
            for start in range(0, len(chosen), _ENCODED_TOGETHER):
                part = chosen[start : start + _ENCODED_TOGETHER]
                found |= zip(part, self.tokenizer(part, add_special_tokens=not begun)["input_ids"], strict=True)
        for text, tokens in found.items():
            self._tokenizer.require_embedded(tokens, f"{text[:60]!r}")
        return found

    def _is_begun(self, text: str) -> bool:
        return self._first_text is not None and text.startswith(self._first_text)

    def encode_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        """Tokens of prompts and of their continuations.

        Raises:
            UserError: a continuation without tokens, or an empty prompt for a model without BOS and EOS.
        """
        split = []
        for context, continuation in pairs:
            if not continuation:
                raise UserError(f"an option of the question {context[-60:]!r} is empty: correct the benchmark's data")
            kept = context.rstrip()
            split.append((kept, kept + context[len(kept) :] + continuation))
        encoded = self.encode([text for pair in split for text in pair if text])
        result = []
        for (context, both), (_, continuation) in zip(split, pairs, strict=True):
            if context:
                prompt = encoded[context]
                pair = prompt, encoded[both][len(prompt) :]
            else:
                if self._first is None:
                    raise UserError(
                        f"{continuation[:60]!r} has no prompt, and the tokenizer of {self._tokenizer.folder} no BOS or "
                        "EOS to begin with: name one in tokenizer_config.json"
                    )
                tokens = self.tokenizer(continuation, add_special_tokens=False)["input_ids"]
                pair = ([self._first], tokens) if tokens[:1] != [self._first] else (tokens[:1], tokens[1:])
            if not pair[1]:
                raise UserError(
                    f"the option {continuation[:60]!r} of the question {context[-60:]!r} is no token of its own: "
                    "correct the benchmark's data, or leave it out"
                )
            result.append(pair)
        return result

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:  # noqa: ARG002
        pairs = self.encode_pairs([request.args for request in requests])  # type: ignore[misc]
        for _, continuation in pairs:
            self._room(len(continuation) - 1)
        rows = pack(pairs, self.max_length, self.weights.shares)
        scores = score_rows(self.weights, rows, len(pairs), self.tokens_per_batch)
        return [(score.log_likelihood, score.greedy) for score in scores]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        prompts = [str(request.args[0]) for request in requests]
        encoded = self.encode(prompts)
        texts: dict[int, str] = {}
        for limits, chosen in self._by_limits(requests).items():
            room = self._room(limits.max_tokens)
            if n_long := sum(len(encoded[prompts[index]]) > room for index in chosen):
                logger.info(
                    "%d of %d prompts are longer than %d tokens and lose their beginning", n_long, len(chosen), room
                )
            tokens = [encoded[prompts[index]][-room:] for index in chosen]
            found = self._generate([prompts[index] for index in chosen], tokens, limits)
            texts |= dict(zip(chosen, found, strict=True))
        return [texts[index] for index in range(len(requests))]

    def _room(self, answer: int) -> int:
        """Tokens that a prompt may have before an answer of which so many are read; there are positions for no more."""
        if answer >= self.max_length:
            raise UserError(
                f"an answer of {answer} tokens leaves no room for a prompt in the model's {self.max_length} positions: "
                "lower evaluation.mkqa.max_new_tokens in config.yaml, or leave out the benchmark with such options"
            )
        return self.max_length - answer

    def _generate(self, prompts: list[str], tokens: list[list[int]], limits: Limits) -> list[str]:  # noqa: ARG002
        return generate(self.weights, self.tokenizer, tokens, limits, self.tokens_per_batch)

    def _by_limits(self, requests: list[Instance]) -> dict[Limits, list[int]]:
        groups: dict[Limits, list[int]] = {}
        for index, request in enumerate(requests):
            options: dict[str, Any] = request.args[1]  # type: ignore[assignment]
            if options.get("do_sample") or options.get("temperature"):
                raise ValueError("only greedy generation is supported; set do_sample: false in the task")
            stops = options.get("until") or []
            stops = (stops,) if isinstance(stops, str) else tuple(stop for stop in stops if stop)
            limits = Limits(stops, int(options.get("max_gen_toks", 256)), self._ends)
            groups.setdefault(limits, []).append(index)
        return groups

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        raise NotImplementedError("perplexity of whole texts is measured by dump_hidden_states, not by the harness")


def _end_tokens(folder: Path) -> list[int | None]:
    """What ends a generation, by the model's generation_config.json."""
    file = folder / "generation_config.json"
    found = read_object(file) if file.is_file() else {}
    if left := sorted(name for name in _NOT_APPLIED if found.get(name) not in (None, 0, 1, [])):
        logger.warning("%s: %s is not applied, answers are the likeliest tokens alone", file, ", ".join(left))
    said = found.get("eos_token_id")
    ends = said if isinstance(said, list) else [said]
    if any(end is not None and (type(end) is not int or end < 0) for end in ends):
        raise UserError(f"{file}: eos_token_id is {said!r}, no token's number nor a list of such; correct the file")
    return ends
