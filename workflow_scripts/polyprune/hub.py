"""All that talks to the Hugging Face hub: revisions, models, data files. Nothing else needs the network.

A revision is resolved once, at the first fetch, into `revisions.lock` beside config.yaml:

    {"datasets": {"allenai/c4": "<commit>"}, "models": {"org/name": "<commit>"},
     "sizes": {"org/name@<commit>": {"layers": 32, …}}}

`sizes` are those of models as their config.json says them, for planning. Later runs must match it; take it along to
make a study on another machine from the same models and data.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects, httpx
from huggingface_hub.utils.sha import git_hash

from polyprune.artifacts.atomic import PART, atomic_write
from polyprune.artifacts.json_files import write_json
from polyprune.artifacts.known_digests import known_digest
from polyprune.errors import UserError
from polyprune.settings.sizes import LOCK_FILE, read_lock

DATASET_FILES = "hf://datasets/"
MODEL_FILES = ["*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*",
               "added_tokens.json", "special_tokens_map.json", "chat_template*",
               "additional_chat_templates/*"]  # fmt: skip

PICKLES = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]

CHECKPOINT_FILES = ["*.safetensors", "*.safetensors.index.json", "config.json", "quantize_config.json",
                    "quant_config.json", "hf_quant_config.json"]  # fmt: skip

Kind = Literal["model", "dataset"]


@contextmanager
def explained(kind: Kind, name: str) -> Iterator[None]:
    """Turn the hub's refusals into what to do about them."""
    page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}"
    try:
        yield
    except GatedRepoError as error:
        raise UserError(
            f"{kind} {name} is gated: accept its licence at {page}, then log in with `hf auth login` (or set HF_TOKEN)"
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{kind} {name} has no such revision; correct config.yaml or {LOCK_FILE}") from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"{kind} {name} does not exist, or your account cannot see it: check the spelling at {page}"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, httpx.TransportError) as error:
        raise UserError(
            f"{kind} {name} is not in this machine's cache and the hub is off or out of reach; "
            "fetch it once on a machine with network, or set HF_HOME to a cache that has it"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code == 401:
            raise UserError(
                f"the hub refuses your token, though {kind} {name} may be open to all: log in anew with "
                "`hf auth login`, or set HF_TOKEN to one that is valid"
            ) from error
        raise UserError(f"{kind} {name} could not be fetched from the hub ({type(error).__name__}: {error})") from error


def resolve_revision(kind: Kind, name: str, pinned: str | None) -> str:
    """The commit of a repository: `pinned` if set, else the locked one, else today's, which is then locked.

    Raises:
        UserError: `pinned` differs from the lock, or the hub refuses.
    """
    section = f"{kind}s"
    with FileLock(f"{LOCK_FILE}.guard"):
        lock = read_lock()
        locked = lock.get(section, {}).get(name)
        if locked and pinned and locked != pinned:
            raise UserError(
                f"{kind} {name}: config.yaml pins revision {pinned}, {LOCK_FILE} says {locked}; "
                f"results made so far are of {locked}: remove its line from {LOCK_FILE} to start anew with {pinned}"
            )
        if locked:
            return locked
        if pinned is None:
            with explained(kind, name):
                pinned = HfApi().repo_info(name, repo_type=kind).sha
        if pinned is None:
            raise UserError(f"the hub names no commit for {kind} {name}; pin `revision` in config.yaml")
        lock.setdefault(section, {})[name] = pinned
        write_json(LOCK_FILE, lock)
        return pinned


def lock_sizes(name: str, revision: str, sizes: Mapping[str, int]) -> None:
    """Keep what a model's config.json says beside its commit; `name` is a repository, or a file of one."""
    with FileLock(f"{LOCK_FILE}.guard"):
        lock = read_lock()
        lock.setdefault("sizes", {})[f"{name}@{revision}"] = dict(sizes)
        write_json(LOCK_FILE, lock)


def download_file_of_model(name: str, revision: str, file: str) -> Path:
    """Download one file of a model's repository into the hub's cache.

    Raises:
        UserError: there is no such file, or it is damaged in the cache.
    """
    with explained("model", name):
        try:
            path = Path(hf_hub_download(name, file, revision=revision))
        except RemoteEntryNotFoundError as error:
            raise UserError(
                f"model {name} has no file {file} at {revision}: correct `file`, as "
                f"https://huggingface.co/{name}/tree/{revision} lists them"
            ) from error
    require_as_named(path.parent, [path.name])
    return path


def download_pickles(name: str, revision: str) -> Path:
    """Download a model whose weights are pickled into the hub's cache; its snapshot folder."""
    return _download(name, revision, [pattern for pattern in MODEL_FILES if "safetensors" not in pattern] + PICKLES)


def download_model(name: str, revision: str) -> Path:
    """Download what is needed of a model (no pickles, no code) into the hub's cache; its snapshot folder."""
    return _download(name, revision, MODEL_FILES)


def download_checkpoint(name: str, revision: str, pickles: bool) -> Path:
    """Download weights and configuration of a checkpoint into the hub's cache; its snapshot folder."""
    return _download(name, revision, _of_checkpoint(pickles))


def _of_checkpoint(pickles: bool) -> list[str]:
    return CHECKPOINT_FILES + (PICKLES if pickles else [])


def _download(name: str, revision: str, wanted: list[str]) -> Path:
    """What the cache has already is taken from there, unless it is damaged: the hub's own library does not look."""
    with explained("model", name):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    require_as_named(folder, _wanted(folder, wanted))
    return folder


def _wanted(folder: Path, patterns: list[str]) -> list[str]:
    """Names of a snapshot's files that the patterns ask for, and of links whose file is gone."""
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    return sorted(filter_repo_objects(files, allow_patterns=patterns))


def require_as_named(folder: Path, names: Iterable[str]) -> None:
    """Compare files that lie in the hub's cache with what the cache calls them.

    There a snapshot is links to `blobs/`, whose names are the hub's: SHA-256 of large files, git's SHA-1 of others.
    Files elsewhere have no such name, and nothing is said of them.

    Raises:
        UserError: a file's content is another; names it and what to type.
    """
    for name in names:
        blob = (folder / name).resolve()
        if blob.parent.name != "blobs" or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", blob.name):
            continue
        found = known_digest(blob) if len(blob.name) == 64 else git_hash(blob.read_bytes())
        if found != blob.name:
            repository = blob.parents[1].name.partition("--")[2].replace("--", "/")
            revision = f" --revision {folder.name}" if folder.parent.name == "snapshots" else ""
            raise UserError(
                f"{folder / name} is damaged in the hub's cache: its content is {found[:16]}…, the hub's is "
                f"{blob.name[:16]}…; results stay as they are: rm {blob}, and fetch the file again with hf download "
                f"{repository}{revision}"
            )


def cached_model(name: str, revision: str) -> Path:
    """The snapshot folder of a model downloaded before; never uses the network.

    Raises:
        UserError: it is not there, or links of it lead to files that are gone.
    """
    return _cached(name, revision, MODEL_FILES)


def cached_checkpoint(name: str, revision: str, pickles: bool) -> Path:
    """The same of a checkpoint, of which less was downloaded."""
    return _cached(name, revision, _of_checkpoint(pickles))


def _cached(name: str, revision: str, wanted: list[str]) -> Path:
    with explained("model", name):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=True))
    if gone := [file for file in _wanted(folder, wanted) if not (folder / file).exists()]:
        raise UserError(
            f"model {name} is not whole in this machine's cache, {folder / gone[0]} leads to a file that is gone; "
            f"fetch it again with hf download {name} --revision {revision}"
        )
    return folder


def download_dataset(name: str, revision: str, folder: Path) -> None:
    """Download a data set's files as they lie on the hub into a folder of their own, in place of what that held.

    They gather beside it, under the name of the commit, where a download that was cut off goes on: in a folder with
    files of another commit the hub's library leaves them, and takes them for this one's where the hub is out of reach.
    """
    gathered = folder.with_name(f"{folder.name}.{revision}{PART}")
    with explained("dataset", name):
        snapshot_download(name, repo_type="dataset", revision=revision, local_dir=gathered)
    shutil.rmtree(folder, ignore_errors=True)
    gathered.rename(folder)


def dataset_file(name: str, revision: str, file: str) -> str:
    """Where `datasets` reads a file of a data set's repository at a commit, without a download."""
    return f"{DATASET_FILES}{name}@{revision}/{file}"


def download_file(url: str, path: Path, otherwise: str) -> None:
    """Download a file that is not on the hub; `otherwise` says what to do where that is impossible.

    Raises:
        UserError: the server is out of reach or refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=60) as answer:
            answer.raise_for_status()
            with atomic_write(path) as part, part.open("wb") as out:
                for piece in answer.iter_bytes():
                    out.write(piece)
    except (httpx.TransportError, httpx.HTTPStatusError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{url} could not be fetched ({reason}); {otherwise}") from error
