"""The chat template of a GGUF file, and the file without it. No torch."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from gguf import GGUFReader, Keys, ReaderField

_COUNT_OF_ENTRIES = 16
"""Where a file says how many entries it has, the template among them: behind magic, version and count of tensors."""


def template_of(file: Path) -> str | None:
    """The chat template; None if there is none."""
    field = GGUFReader(file).get_field(Keys.Tokenizer.CHAT_TEMPLATE)
    return None if field is None else str(field.contents())


def without_template(file: Path) -> str:
    """SHA-256 of all other entries and of the tensors, 64 hex digits: where they lie in the file is no part of it."""
    reader = GGUFReader(file)
    found = sha256(reader.data[:_COUNT_OF_ENTRIES].data)
    for name, field in _fields(reader):
        if name != Keys.Tokenizer.CHAT_TEMPLATE:
            found.update(reader.data[field.offset : field.offset + sum(part.nbytes for part in field.parts)].data)
    found.update(reader.data[reader.data_offset :].data)
    return found.hexdigest()


def _fields(reader: GGUFReader) -> list[tuple[str, ReaderField]]:
    """What stands in front of the tensors: entries, and what each tensor is."""
    entries = [(name, field) for name, field in reader.fields.items() if not name.startswith("GGUF.")]
    return entries + [(tensor.name, tensor.field) for tensor in reader.tensors]
