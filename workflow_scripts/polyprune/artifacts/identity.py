"""Who an artifact is, and whether it is what its reader asked for. One comparison for all kinds of file.

An artifact's header holds, beside what the stage that made it has to say (settings, digests of inputs, versions),

    schema    kind and version of the format, as `tokens/3`
    place     where it was made to lie, below `results/`, as `tiny/wanda/0.50/de/seed0/mask.safetensors`;
              null for a file outside such a folder
    seal      digest of the content (`artifacts/seals.py`)

A reader compares three things: the schema with its own; the place with where the file lies, so that a file under
another's name is refused whoever reads it; and what it knows from its job with what the header says: model and its
digest, text, languages, method, scheme, calibration, seed, digests of inputs. Inputs of one job must agree among
themselves where they were made from the same things.

A job also knows what its inputs are to be made with (`inputs` of `workflow/specs.py`): results that were moved, linked
or copied from others may be of other settings. `expecting` says so for as long as the job runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyprune.errors import UserError
from polyprune.grammar.paths import DENSE

MODEL = "model/3"
"""Schema of a model's manifest (`model/source.py`)."""
PROMPTING = "prompting/1"
"""Schema of the manifest of what prompts and answers read besides (`model/prompting.py`)."""
CHECKPOINT = "checkpoint/1"
"""Schema of the manifest of a checkpoint that a cell is read from (`model/foreign/files.py`)."""
CONFIGFILES_VARIABLE = "POLYPRUNE_CONFIGFILES"
"""Of the environment: the options with which a run's Snakemake was given its files of settings, as they are typed."""
RESULTS = "results"
"""The folder that places are counted from; the last one of this name in a path."""
Header = Mapping[str, Any]


_made_with: dict[Path, Sequence[Header]] = {}
"""What the inputs of this process's job are to be made with."""


class DamagedError(UserError):
    """A file whose content is not what was written."""


class ForeignError(UserError):
    """A file that is whole, but not the one that was asked for."""


@contextmanager
def expecting(made_with: Mapping[Path, Sequence[Header]]) -> Iterator[None]:
    """While a job runs: entries that headers of these files must have, besides what its stage asks for."""
    _made_with.update(made_with)
    try:
        yield
    finally:
        _made_with.clear()


def place_of(path: Path, root: Path | None = None) -> str | None:
    """Where a file lies below `root`, or below the last folder `results` of its path; None if there is none."""
    if root is not None:
        return path.relative_to(root).as_posix()
    folders = path.parts[:-1]
    if RESULTS not in folders:
        return None
    last = len(folders) - 1 - folders[::-1].index(RESULTS)
    return "/".join(path.parts[last + 1 :])


def again(path: Path, root: Path | None = None) -> str:
    """How a file is made again, for the end of a message; of a link, as Snakemake's cache has them, both its ends."""
    place = place_of(path, root)
    target = path if place is None else f"{RESULTS}/{place}"
    linked = f", and {path.resolve()}, to which it leads," if path.is_symlink() else ""
    return f"delete it{linked} and make it again: {command_for(target)}"


def command_for(target: Path | str) -> str:
    """What to type to have a file made, with the files of settings that the run was given."""
    options = os.environ.get(CONFIGFILES_VARIABLE)
    return f"snakemake --profile local {f'{options} -- ' if options else ''}{target}"


def introduced(path: Path, schema: str, about: Header) -> dict[str, Any]:
    """What a file's header says: what its stage tells about it, and who it is."""
    return {**about, "schema": schema, "place": place_of(path)}


def require(
    path: Path, header: Header, schema: str, expected: Header | None = None, root: Path | None = None
) -> dict[str, Any]:
    """The header, if it is that of the file that was asked for.

    `expected` holds entries that the header must have with these values; of a mapping, those that it names.

    Raises:
        ForeignError: another kind, version, place or entry; says which, what is there and what was expected.
    """
    found = header.get("schema")
    kind, _, version = schema.partition("/")
    if found != schema:
        found_kind, _, found_version = str(found).partition("/")
        if found_kind == kind:
            raise ForeignError(
                f"{path} is in version {found_version} of the format {kind}, this program reads {version}; "
                f"{again(path, root)}"
            )
        raise ForeignError(f"{path} is of kind {found or 'unknown'}, expected {schema}; {again(path, root)}")
    here = place_of(path, root)
    if here is not None and header.get("place") != here:
        raise ForeignError(
            f"{path} was made as {_words(header.get('place'))} and lies in another's place; {again(path, root)}"
        )
    for name, value, wanted in _differences(header, expected or {}):
        raise ForeignError(
            f"{path} ({schema}) has {name} {_words(value)}, expected {_words(wanted)}; {again(path, root)}"
        )
    for made_with in _made_with.get(path, ()):
        if said := made_otherwise(header, made_with):
            raise ForeignError(
                f"{path} was made with other settings: {said}; take those settings, or a results folder of your own; "
                f"or {again(path, root)}"
            )
    return dict(header)


def made_otherwise(header: Header, wanted: Header) -> str | None:
    """The first entry that is not as it is wanted, with both values; None if all are."""
    for name, value, here in _differences(header, wanted):
        return f"{name} {_words(value)}, here {_words(here)}"
    return None


def require_agreement(headers: Mapping[Path, Header], names: Sequence[str]) -> None:
    """Refuse inputs of one job of which an entry differs; `names` may lead into mappings, as `data.digest`.

    Raises:
        ForeignError: names both files, the entry and both values.
    """
    files = list(headers)
    for name in names:
        values = [_entry(headers[file], name) for file in files]
        for file, value in zip(files, values, strict=True):
            if value != values[0]:
                raise ForeignError(
                    f"{file} has {name} {_words(value)}, but {files[0]} has {_words(values[0])}: they were not made "
                    f"from the same; delete the older one and make it again: {command_for(file)}"
                )


def _entry(header: Header, name: str) -> Any:
    value: Any = header
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _differences(header: Any, expected: Header, inside: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Name, what is there and what was expected, of entries that differ."""
    for name, wanted in expected.items():
        value: Any = header.get(name) if isinstance(header, Mapping) else None
        if isinstance(wanted, Mapping):
            yield from _differences(value, wanted, f"{inside}{name}.")
        elif _are_mappings(value) and _are_mappings(wanted) and len(value) == len(wanted):
            for number, (entry, wanted_entry) in enumerate(zip(value, wanted, strict=True)):
                yield from _differences(entry, wanted_entry, f"{inside}{name}.{number}.")
        elif value != wanted:
            yield f"{inside}{name}", value, wanted


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _words(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def sources_of(headers: Mapping[Path, Header]) -> dict[str, str]:
    """What files of measurements were made from: digests of the model, as `model`, of each text, as `text de`, and of
    what cells were calibrated on, as `calibration text de-en seed0`.

    Raises:
        ForeignError: they are of different models, those of one language of different texts, or those of one method of
            different cells.
    """
    require_agreement(headers, ("model_digest", "tokenizer_digest"))
    for method in {header["method"] for header in headers.values()}:
        of_method = {path: header for path, header in headers.items() if header["method"] == method}
        require_agreement(of_method, ("provenance.cell",))
    by_language: dict[str, dict[Path, Header]] = {}
    for path, header in headers.items():
        by_language.setdefault(header["language"], {})[path] = header
    for files in by_language.values():
        require_agreement(files, ("data_digest",))
    first = next(iter(headers.values()))
    texts = {f"text {language}": next(iter(files.values()))["data_digest"] for language, files in by_language.items()}
    cells = [header["provenance"]["cell"] for header in headers.values()]
    return {"model": first["model_digest"], **texts, **calibration_texts([cell for cell in cells if cell])}


def calibration_texts(cells: Sequence[Header]) -> dict[str, str]:
    """Digests of what cells were calibrated on, from their headers; of composed ones, of what both parts were."""
    found: dict[str, str] = {}
    for cell in cells:
        if "rest" in cell:
            found |= calibration_texts([part for part in (cell["rest"], cell["part"]) if isinstance(part, Mapping)])
        elif "checkpoint" in cell:
            variant = f"{cell['method']} {cell['scheme']} {cell['calibration']} seed{cell['seed']}"
            found[f"checkpoint {variant}"] = cell["checkpoint"]["digest"]
        else:
            found[f"calibration text {cell['calibration']} seed{cell['seed']}"] = cell["calibration_digest"]
    return found


DENSE_VARIANT: dict[str, Any] = {**dict.fromkeys(("method", "scheme", "calibration"), DENSE), "seed": None}
"""The columns that name a dense model, without the model."""


def of_variant(variant: Header) -> dict[str, Any]:
    """What the header of a file of one variant says of it, from the columns that name the variant in tables."""
    return {name: variant[name] for name in ("method", "scheme", "calibration", "seed")}
