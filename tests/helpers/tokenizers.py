"""What may be done to the files of the small model with a tokenizer (`tests/model/conftest.py`)."""

from __future__ import annotations

import json
from pathlib import Path

from tests.helpers.damages import Damage

TEXTS = [
    "The quick brown fox jumps over the lazy dog, 12345 times in 1999.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "我能吞下玻璃而不伤身体。 天地玄黄",
    "  spaces, \n\n lines\tand\ttabs  ",
    "",
]
VOCABULARY = 340
BOS, EOS = 0, 1


def added(*words: str, special: bool = False) -> Damage:
    """Tokens added to tokenizer.json after the last one."""

    def damage(folder: Path) -> None:
        path = folder / "tokenizer.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
        size = len(found["model"]["vocab"])
        found["added_tokens"] += [{"id": size + n, "content": word, **flags} for n, word in enumerate(words)]
        path.write_text(json.dumps(found), encoding="utf-8")

    return damage


TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"
