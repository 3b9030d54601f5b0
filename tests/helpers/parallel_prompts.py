"""Prompts in Belebele's layout, and a chat template to put them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polyprune.settings.text import FilesPrompts

LLAMA_LIKE = (
    "{{ bos_token }}{% for m in messages %}<|head|>{{ m['role'] }}<|tail|>\n\n{{ m['content'] | trim }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|head|>assistant<|tail|>\n\n{% endif %}"
)


def row(link: str, number: int, **changes: Any) -> dict[str, Any]:
    """A question on a passage."""
    fields = {"link": link, "question_number": number, "flores_passage": f" On {link}. ", "question": f"Q{number}?"}
    return fields | changes


def write_prompts(folder: Path, rows: list[Any]) -> FilesPrompts:
    """A file of English prompts, and the settings that ask for two of them."""
    file = folder / "eng_Latn.jsonl"
    file.write_text("\n".join(json.dumps(each) for each in rows) + "\n", encoding="utf-8")
    return FilesPrompts(kind="files", files={"en": str(file)}, n_prompts=2)
