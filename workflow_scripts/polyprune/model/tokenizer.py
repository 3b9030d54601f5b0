"""The one tokenizer of a model, for all text: calibration, evaluation, prompts and questions.

transformers opens it, as everything else that loads the model will. Its classes for some families build a tokenizer of
their own from the vocabulary of tokenizer.json, and leave out what else the file says. Which one a model was trained
with cannot be known here; so both are asked, on a sample of the text, and must give the same tokens.

Padding and truncation that tokenizer.json may have been saved with are switched off, as transformers does on each call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import AutoTokenizer

from polyprune.artifacts.json_files import read_object
from polyprune.artifacts.tokens import Frame
from polyprune.errors import UserError
from polyprune.model.source import CONFIG, TOKENIZER, read_config, special_tokens
from polyprune.settings.models import FROM_MODEL, NO_TOKEN, PUBLISHED

_SAMPLE, _SAMPLE_LENGTH = 32, 2048
"""Texts that class and file are compared on at least, from all places of a corpus, and characters of each."""
_ENDS_OF_DOCUMENTS = {
    "<|im_end|>": "<|endoftext|>",
    "<|eot_id|>": "<|end_of_text|>",
    "<|eom_id|>": "<|end_of_text|>",
    "<|eot|>": "<|end_of_text|>",
    "<|return|>": "<|endoftext|>",
    "<end_of_turn>": "<eos>",
    "<|END_OF_TURN_TOKEN|>": "<EOS_TOKEN>",
}
"""What ends a turn of a chat and is named as EOS by chat models, and what ends a document in the same vocabulary: of
ChatML (Qwen, SmolLM2), Llama 3 and 4, gpt-oss, Gemma, and Cohere."""
_IDS = 1 << 32
"""Numbers that the tokenizers library can count tokens with."""
_BEGIN_TURNS = ("<|im_start|>", "<|im_end|>")
"""Of ChatML: config.json may name one as BOS, and nothing stood before a document when such a model was pretrained."""


@dataclass(frozen=True)
class ModelTokenizer:
    """A model's tokenizer as transformers opens it (`fast`) and as tokenizer.json says (`stored`).

    `n_embedded` is how many tokens the model has an embedding for, None if its config.json does not say.
    """

    folder: Path
    fast: PreTrainedTokenizerFast
    stored: Tokenizer
    n_embedded: int | None

    @property
    def plain(self) -> Tokenizer:
        """For text without a template."""
        return self.fast.backend_tokenizer

    def require_agreement(self, texts: Sequence[str], where: str) -> None:
        """Raises `UserError` where class and file make different tokens of a sample of the texts; says which."""
        every = max(1, len(texts) // _SAMPLE)
        sample = [text[:_SAMPLE_LENGTH] for text in texts[::every]]
        for special in (False, True):
            by_class = self.plain.encode_batch(sample, add_special_tokens=special)
            by_file = self.stored.encode_batch(sample, add_special_tokens=special)
            for ours, theirs in zip(by_class, by_file, strict=True):
                if ours.ids != theirs.ids:
                    part = slice(first := _first_difference(ours.ids, theirs.ids), first + 3)
                    raise UserError(
                        f"{self.folder} has two tokenizers, which differ on {where}: from token {first} on, "
                        f"transformers' {type(self.fast).__name__} gives {ours.ids[part]} {ours.tokens[part]}, "
                        f"{TOKENIZER} {theirs.ids[part]} {theirs.tokens[part]}; find out which the model was trained "
                        'with, then set tokenizer_class to "TokenizersBackend" in tokenizer_config.json if it is the '
                        "file, else save the class's with AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
                    )

    def require_embedded(self, ids: np.ndarray | Sequence[int], where: str) -> None:
        """Raises `UserError` for a token beyond the model's embedding; names it and the sizes."""
        largest = int(np.max(ids)) if len(ids) else 0
        if self.n_embedded is not None and largest >= self.n_embedded:
            raise UserError(
                f"{where} has token {largest} ({self.fast.convert_ids_to_tokens(largest)!r}), but the model of "
                f"{self.folder} has embeddings for {self.n_embedded:,} tokens only, 0 to {self.n_embedded - 1}: its "
                f"tokenizer, of {len(self.fast):,} tokens, is another model's or was added to; bring the right one"
            )

    def frame(self, bos: str = FROM_MODEL, separator: str = FROM_MODEL) -> Frame:
        """What stands before and after a packed document (see `settings.models.TextSettings`).

        Raises:
            UserError: a token that the settings or config.json name is unknown to the tokenizer.
        """
        begin, end = special_tokens(read_object(self.folder / CONFIG))
        after = self._separator(end) if separator == FROM_MODEL else self._chosen(separator, "separator")
        if bos != FROM_MODEL:
            return self._chosen(bos, "bos"), after
        return None if begin == after or self._named(begin) in _BEGIN_TURNS else begin, after

    def framing(self, framing: str, bos: str, separator: str) -> tuple[Frame | None, dict[str, Any]]:
        """The frame of packed text, None if it is joined, and what headers say of it: `framing` and `around`, the
        tokens before and after each document, None where there is none.

        Raises:
            UserError: as `frame`.
        """
        if framing == PUBLISHED:
            return None, {"around": None}
        frame = self.frame(bos, separator)
        return frame, {"around": [None if id is None else self.stored.id_to_token(id) for id in frame]}

    @property
    def ordinary(self) -> list[int]:
        """Ids of tokens that stand for text, ascending, of those that the model has an embedding for."""
        ids = np.arange(min(self.n_embedded or len(self.fast), self.stored.get_vocab_size()))
        known = np.isin(ids, list(self.stored.get_vocab().values()))
        return ids[known & (self.special(ids, None) == 0)].tolist()

    def special(self, tokens: np.ndarray, frame: Frame | None) -> np.ndarray:
        """uint8 of the same shape: 1 for tokens that stand for no text, such as BOS, EOS and PAD.

        They are what the tokenizer calls special, but for the token of what it does not know, and the frame.
        """
        named = {id for id, token in self.stored.get_added_tokens_decoder().items() if token.special}
        named |= set(self.fast.all_special_ids)
        if (unknown := self.fast.unk_token_id) not in (self.fast.bos_token_id, self.fast.eos_token_id):
            named.discard(unknown)
        framing = {id for id in frame or () if id is not None}
        return np.isin(tokens, sorted(named | framing)).astype(np.uint8)

    def _separator(self, end: int | None) -> int | None:
        """The model's EOS, unless that ends a turn of a chat."""
        name = self._named(end)
        if name not in _ENDS_OF_DOCUMENTS:
            return end
        wanted = _ENDS_OF_DOCUMENTS[name]
        if (found := self.stored.token_to_id(wanted)) is None:
            raise UserError(
                f"{self.folder}: config.json's EOS {name} ends a turn of a chat, not a document, and the tokenizer "
                f"has no {wanted}: say in `text.separator` what stands after a document, or {NO_TOKEN}"
            )
        return found

    def _chosen(self, setting: str, name: str) -> int | None:
        """The token that a setting names."""
        found = self.stored.token_to_id(setting)
        if setting != NO_TOKEN and found is None:
            raise UserError(f"text.{name} is {setting!r}, which the tokenizer of {self.folder} does not have")
        return None if setting == NO_TOKEN else found

    def _named(self, id: int | None) -> str | None:
        """The token that config.json means by an id."""
        if id is None:
            return None
        token = self.stored.id_to_token(id) if type(id) is int and 0 <= id < _IDS else None
        if token is None:
            raise UserError(
                f"{self.folder / CONFIG} names token {id} as BOS or EOS, which {TOKENIZER} does not have (it has "
                f"{self.stored.get_vocab_size():,}): correct the entry, bring the tokenizer of this model, or say in "
                f"`text.bos` and `text.separator` what stands around a document, or {NO_TOKEN}"
            )
        return token


def open_tokenizer(folder: Path) -> ModelTokenizer:
    """The tokenizer of a model folder.

    Raises:
        UserError: its files cannot be read, or its BOS or EOS has no embedding.
    """
    config = read_config(folder)
    stored = _read_stored(folder / TOKENIZER)
    try:
        fast: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # what it raises is not documented: whatever its parsers do
        said = " ".join(str(error).split())
        raise UserError(
            f"{folder}: transformers cannot open this tokenizer ({type(error).__name__}: {said[:300]}); "
            "fetch its files again"
        ) from error
    if not isinstance(getattr(fast, "backend_tokenizer", None), Tokenizer):
        raise UserError(
            f"{folder}: transformers opens this tokenizer as {type(fast).__name__}, without {TOKENIZER}; "
            'set tokenizer_class to "TokenizersBackend" in tokenizer_config.json'
        )
    for plain in (fast.backend_tokenizer, stored):
        plain.no_padding()
        plain.no_truncation()
    found = ModelTokenizer(folder, fast, stored, config.get("vocab_size"))
    for name in ("bos_token", "eos_token"):
        if (id := getattr(fast, f"{name}_id")) is not None:
            found.require_embedded([id], f"{name} of tokenizer_config.json")
    return found


def _first_difference(ours: Sequence[int], theirs: Sequence[int]) -> int:
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(ours), len(theirs)))


def _read_stored(file: Path) -> Tokenizer:
    read_object(file)
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more specific
        raise UserError(f"{file} is no tokenizer ({error}); fetch it again") from error
