"""`corpora` and `prompts`: text that is generated, fetched from the hub or the web, or read from local files."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from polyprune.settings.base import Commit, Count, Key, Language, Languages, Section


def _only_language_in_braces(pattern: str) -> str:
    if left := re.findall(r"\{.*?\}|[{}]", pattern.replace("{language}", "")):
        raise ValueError(f"{pattern!r}: only {{language}} is replaced, not {left[0]}")
    return pattern


FilePattern = Annotated[str, AfterValidator(_only_language_in_braces)]


class DemoDocuments(Section):
    """How many documents of each part are generated for a language."""

    train: Count = 3000
    calibration: Count = 400
    evaluation: Count = 150


class DemoCorpus(Section):
    """Text generated from CLDR facts: no download."""

    kind: Literal["demo"]
    languages: Languages
    documents: DemoDocuments = DemoDocuments()

    @property
    def trains(self) -> bool:
        """Whether it has text to train a model on."""
        return True


class HubDocuments(Section):
    """How many documents of each part are fetched for a language."""

    calibration: Count = 200_000
    evaluation: Count = 20_000


class HubFiles(Section):
    """File patterns in the data set's repository; `{language}` is replaced."""

    calibration: FilePattern
    evaluation: FilePattern


class HubCorpus(Section):
    """A data set on the Hugging Face hub, streamed from pinned files."""

    kind: Literal["hub"]
    languages: Languages
    dataset: str = Field(description="repository, e.g. allenai/c4")
    revision: Commit | None = Field(default=None, description="else resolved once into revisions.lock")
    codes: dict[Language, str] = Field(
        default={}, description="what the data set calls languages that it calls otherwise, as {zh_hant: cmn_Hant}"
    )
    files: HubFiles
    field: str = "text"
    documents: HubDocuments = HubDocuments()

    @property
    def trains(self) -> bool:
        return False


class FileShares(Section):
    """Shares of a language's documents, in file order: first training, then calibration, the rest is evaluation."""

    train: float = Field(0.0, ge=0, lt=1)
    calibration: float = Field(gt=0, lt=1)
    evaluation: float = Field(gt=0, lt=1)


class FilesCorpus(Section):
    """Your own text: .txt (a document a line), .jsonl, .jsonl.gz or .parquet (a document a row)."""

    kind: Literal["files"]
    files: dict[Language, str | list[str]] = Field(min_length=1, description="paths or globs, per language")
    field: str = Field("text", description="name of the text field in .jsonl and .parquet")
    shares: FileShares

    @property
    def languages(self) -> list[str]:
        return sorted(self.files)

    @property
    def trains(self) -> bool:
        return self.shares.train > 0


class TmxFile(Section):
    """A translation memory, and which of its languages is meant."""

    name: str = Field(pattern=r"^[\w.-]+$", description="of the file below `url` and in `folder`: .tmx, or .tmx.zip")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the file; another content is refused")
    code: str = Field(description="what the file calls the language, e.g. es-LA")


class TmxCorpus(Section):
    """Translation memories (TMX) of the web, each fetched once and known by its digest; a sentence a document."""

    kind: Literal["tmx"]
    url: str = Field(pattern=r"^https://.+/$", description="folder of the files, at one commit; ends in a slash")
    licence: str = Field(description="of the text, noted in all that is made of it, e.g. CC0-1.0")
    folder: str = Field(description="where fetched files are kept; a file that is there already is not fetched")
    files: dict[Language, TmxFile] = Field(min_length=1)
    shares: FileShares

    @property
    def languages(self) -> list[str]:
        return sorted(self.files)

    @property
    def trains(self) -> bool:
        return self.shares.train > 0


class PromptsCorpus(Section):
    """The texts of `prompts`, each a document: passages and questions with the same content in every language."""

    kind: Literal["prompts"]
    prompts: Key = Field(description="a key of `prompts`")
    languages: Languages
    shares: FileShares

    @property
    def trains(self) -> bool:
        """A model is trained here on text, not on questions."""
        return False


LocalCorpus = Annotated[DemoCorpus | FilesCorpus, Field(discriminator="kind")]
Corpus = Annotated[DemoCorpus | HubCorpus | FilesCorpus | TmxCorpus | PromptsCorpus, Field(discriminator="kind")]


class DemoPrompts(Section):
    """Reading questions about the demo world, generated."""

    kind: Literal["demo"]
    languages: Languages
    n_prompts: Count = 100


class HubPrompts(Section):
    """Passages with questions from a data set of parallel JSON lines on the Hugging Face hub, in Belebele's layout."""

    kind: Literal["hub"]
    dataset: str = Field(description="repository, e.g. facebook/belebele")
    revision: Commit | None = Field(default=None, description="else resolved once into revisions.lock")
    codes: dict[Language, str] = Field(min_length=1, description="the data set's name of each language")
    file: FilePattern = "data/{language}.jsonl"
    n_prompts: Count = 900

    @property
    def languages(self) -> list[str]:
        return sorted(self.codes)


class FilesPrompts(Section):
    """The same from local files, one a language, in Belebele's layout: .jsonl."""

    kind: Literal["files"]
    files: dict[Language, str] = Field(min_length=1)
    n_prompts: Count = 900

    @property
    def languages(self) -> list[str]:
        return sorted(self.files)


LocalPrompts = Annotated[DemoPrompts | FilesPrompts, Field(discriminator="kind")]
Prompts = Annotated[DemoPrompts | HubPrompts | FilesPrompts, Field(discriminator="kind")]
