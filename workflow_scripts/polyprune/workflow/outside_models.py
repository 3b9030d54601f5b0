"""Models outside of `results/`, or made in it, compared with their registrations when a run is planned (`outside.py`).

Each function yields a sentence a file that is no longer as it was registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from polyprune.errors import UserError
from polyprune.settings.sizes import LOCK_FILE, read_lock

# Modules that read models are imported in functions: only some configurations have such models, and it takes a second.


def registration(reader: Callable[[Path], Any], path: Path) -> Any:
    """A registration; None if there is none or if it is damaged, which the jobs say that read it."""
    try:
        return reader(path) if path.exists() else None
    except UserError:
        return None


def changes_of_commit(kind: str, name: str, fetched: str) -> Iterator[str]:
    """Of a model or data set of the hub that was fetched at a commit, where the lock file names another."""
    locked = read_lock().get(f"{kind}s", {}).get(name, fetched)
    if locked != fetched:
        yield f"{LOCK_FILE} says {locked} of {kind} {name}, fetched was {fetched}"


def changes_where_it_lies(
    registered: Mapping[str, Any], manifest: Path, say_missing: Callable[[str, Path], None]
) -> Iterator[str]:
    """Of a model that was made here, or lies in the hub's cache."""
    from polyprune.model.registered import changes
    from polyprune.model.source import deciding_files, folder_of

    source = registered["source"]
    if "revision" in source and (found := list(changes_of_commit("model", source["id"], source["revision"]))):
        yield from found
        return
    try:
        folder = folder_of(source, manifest)
        names = deciding_files(folder)
    except UserError as error:
        if source["kind"] != "hub":
            yield str(error)  # made here, and can be made again
        else:
            say_missing(str(error), manifest)
        return
    yield from (f"{folder}: {change}" for change in changes(registered, folder, names))


def changes_of_original(original: Path, source: Mapping[str, Any]) -> Iterator[str]:
    """Of what a model was converted from, but for its chat template; `source` is the manifest's."""
    from polyprune.artifacts.known_digests import known_digest
    from polyprune.model.registered import changes
    from polyprune.model.source import OF_TEXT, files_of

    files = source["original"]
    if original.is_dir():
        at, now = original, [name for name in files if name not in OF_TEXT and (original / name).is_file()]
        now += files_of(original, OF_TEXT)
    else:
        at, files, now = _alone(original, files)
    found = changes({"files": files}, at, now)
    if found and original.is_file():
        from polyprune.model.gguf_template import without_template

        with suppress(ValueError, KeyError, IndexError, OverflowError):  # whatever reading makes of a damaged file
            found = [] if known_digest(original, without_template) == source["without_template"] else found
    yield from (f"{at}: {change}" for change in found)


def changes_of_prompting(manifest: Path, model: Path, original: Path | None) -> Iterator[str]:
    """Of what only prompts and answers read of the model of a manifest, and of what that was converted from, if it was.

    Nothing where the model is not there, which is said of the model.
    """
    from polyprune.model.prompting import prompting_files, read_prompting
    from polyprune.model.registered import changes
    from polyprune.model.source import folder_of, read_manifest

    about, registered = registration(read_manifest, model), registration(read_prompting, manifest)
    if about is None or registered is None:
        return
    try:
        folder = folder_of(about["source"], model)
    except UserError:
        return
    if folder.is_dir():
        found = changes(registered, folder, prompting_files(folder), prompting=True)
        yield from (f"{folder}: {change}" for change in found)
    if original is not None and original.exists():
        at, files, names = (
            (original, registered["original"], prompting_files(original))
            if original.is_dir()
            else _alone(original, registered["original"])
        )
        found = changes({"files": files}, at, names, prompting=True)
        yield from (f"{at}: {change}" for change in found)


def _alone(original: Path, files: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any], list[str]]:
    """Folder, registration and name of the one file that a model was converted from, whatever it was called then."""
    return original.parent, {original.name: next(iter(files.values()))}, [original.name]
