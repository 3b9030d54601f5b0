"""Sentences of translation memories (TMX 1.4), from the web or from the user's copies of the files."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

from polyprune.corpora.from_files import cut_by_shares
from polyprune.errors import UserError
from polyprune.hub import download_file
from polyprune.log import logger
from polyprune.places import path_at
from polyprune.settings.text import TmxCorpus, TmxFile

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def split_documents(corpus: TmxCorpus, language: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The sentences of a language in the file's order, cut into the splits by `shares`; source, licence and digest.

    Raises:
        UserError: the file is not in `folder` and cannot be fetched, or is not the one with the digest, or is no TMX.
    """
    wanted = corpus.files[language]
    file = path_at(corpus.folder) / wanted.name
    if not file.exists():
        put = f"fetch it on a machine with network and put it at {file}"
        download_file(corpus.url + wanted.name, file, put)
        logger.info("%s: fetched %s%s (%s)", language, corpus.url, wanted.name, corpus.licence)
    content = file.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != wanted.sha256:
        raise UserError(f"{file} has SHA-256 {found}, not {wanted.sha256}; delete it, and it is fetched again")
    source = {"dataset": corpus.url, "revision": wanted.sha256, "licence": corpus.licence}
    return cut_by_shares(sentences(file, wanted), corpus.shares, f"{language} ({file})"), source


def sentences(file: Path, wanted: TmxFile) -> list[str]:
    """The segments of one language, without blanks around them, in the order of the file.

    Raises:
        UserError: the file cannot be read as TMX, or has nothing in the language.
    """
    try:
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                root = ET.fromstring(archive.read(wanted.name.removesuffix(".zip")))
        else:
            root = ET.fromstring(file.read_bytes())
    except (zipfile.BadZipFile, KeyError, ET.ParseError) as error:
        raise UserError(f"{file} cannot be read as TMX ({error})") from error
    variants = list(root.iter("tuv"))
    found = [variant.find("seg") for variant in variants if variant.get(_LANGUAGE) == wanted.code]
    texts = ["".join(segment.itertext()).strip() for segment in found if segment is not None]
    if not any(texts):
        codes = sorted({str(variant.get(_LANGUAGE)) for variant in variants})
        raise UserError(f"{file} has no text in {wanted.code!r}, it has: {', '.join(codes)}; correct `code`")
    return [text for text in texts if text]
