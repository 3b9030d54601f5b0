"""Run one stage from a command line: parse its arguments, log, report errors as its user needs them."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from polyprune import log
from polyprune.artifacts.atomic import trouble_of_disk
from polyprune.artifacts.identity import Header, expecting, place_of
from polyprune.errors import UserError
from polyprune.provenance import canonical_json
from polyprune.running import gpus
from polyprune.running.braces import expanded
from polyprune.running.memory import Memory, MemoryWatch
from polyprune.running.submitted import require_as_planned
from polyprune.settings.engine import Engine

ENGINE_VARIABLE = "POLYPRUNE_ENGINE"
"""Engine settings travel in the environment: they do not change results, so they must not trigger reruns."""


def export_engine(engine: Engine) -> None:
    """Set what `python -m polyprune` reads of its environment, for this process's jobs."""
    os.environ[ENGINE_VARIABLE] = canonical_json(engine.model_dump())


def run(argv: list[str]) -> int:
    """Run `STAGE --name value …`; 0 if it succeeded, else 1.

    `--settings` is a JSON object of further arguments; what it says is also handed on as `provenance`. Its `inputs` are
    what the files of an option were to be made with: one object for all of them, or a list of one for each. Its
    `made_with` says so of files of any option by patterns of their places, as `tiny/wanda/*/drift.parquet`.
    `--log`, `--threads` and `--gpus` (how many it is given; none if absent) are for this function. Words of all other
    options may have braces (`running/braces.py`).
    """
    if not argv:
        print("usage: python -m polyprune STAGE --settings JSON --log FILE --threads N …", file=sys.stderr)
        return 2
    name, *rest = argv
    options = _options(rest)
    log_file = Path(options.pop("log")[0])
    threads = int(options.pop("threads")[0])
    n_gpus = int(options.pop("gpus", ["0"])[0])
    spec = options.pop("settings")[0]
    options = {option: [path for word in words for path in expanded(word)] for option, words in options.items()}
    settings = json.loads(spec)
    started = time.monotonic()
    try:
        log.log_to(log_file, str(settings.get("job", name)))
    except OSError as error:
        said = trouble_of_disk(log_file, error) or f"{log_file} cannot be written: {error.strerror}"
        print(f"error: {said}", file=sys.stderr)
        return 1
    try:
        require_as_planned(spec)
        leased = gpus.lease(n_gpus)
        stage = getattr(importlib.import_module(f"polyprune.stages.{name}"), name)
        gc.freeze()  # what is imported stays: garbage is looked for among what comes from here on
        gc.enable()
        _limit_threads(threads)
        expected = expectations(options, settings.get("inputs", {}), settings.get("made_with", {}))
        with expecting(expected), MemoryWatch() as watch:
            stage(**_arguments(stage, options, settings, leased))
            memory = watch.peaks()
    except UserError as error:
        log.logger.error("error: %s", error)
        return 1
    except Exception as error:
        if said := _trouble_of_disk(error, options):
            log.logger.error("error: %s", said)
        else:
            log.logger.error("unexpected error, please report it with %s:\n%s", log_file, traceback.format_exc())
        return 1
    seconds = time.monotonic() - started
    log.logger.info(
        "done in %.1f s, peak memory %.2f GiB, of which %.2f needed; up to %.2f of mapped files",
        *(seconds, memory.peak / 1024, memory.needed / 1024, memory.mapped / 1024),
    )
    _keep_record(log_file, memory, seconds)
    return 0


def _keep_record(log_file: Path, memory: Memory, seconds: float) -> None:
    """Write `{log}.memory.json`, which plans are made with (`workflow/prices.py`); the job is done without it, too.

    Snakemake's own records are of the process that it started, which may have handed the job to the warm worker.
    """
    found = {"peak_mb": memory.peak, "needed_mb": memory.needed, "mapped_mb": memory.mapped, "s": seconds}
    with suppress(OSError):
        text = json.dumps({name: round(value, 1) for name, value in found.items()})
        log_file.with_suffix(log.MEMORY_RECORD).write_text(text + "\n", encoding="utf-8")


def _trouble_of_disk(error: Exception, options: dict[str, list[str]]) -> str | None:
    """What to tell of the system's errors that a library of others met; of the output if they name no file."""
    named = getattr(error, "filename2", None) or getattr(error, "filename", None)
    if isinstance(error, PermissionError):
        return f"{named}: {error.strerror}: see to the permissions of the file and of its folder"
    return trouble_of_disk(Path(str(named or next(iter(options.get("output", [])), "a result"))), error)


def _options(words: list[str]) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    current: list[str] = []
    for word in words:
        if word.startswith("--"):
            current = options.setdefault(word[2:].replace("-", "_"), [])
        else:
            current.append(word)
    return options


def _arguments(
    stage: Callable[..., None], options: dict[str, list[str]], settings: dict[str, Any], leased: list[str]
) -> dict[str, Any]:
    """Values for the stage's parameters, converted to their annotated types; those that the engine sets by name."""
    hints = get_type_hints(stage, include_extras=True)
    hints.pop("return", None)
    values: dict[str, Any] = {}
    for name, hint in hints.items():
        if name == "provenance":
            values[name] = settings | {"polyprune": _version(), "torch": version("torch")}
        elif name == "engine":
            values[name] = _engine()
        elif name == "device":
            values[name] = _device(leased)
        elif name in options:
            values[name] = [Path(word) for word in options[name]] if hint == list[Path] else hint(options[name][0])
        else:
            values[name] = TypeAdapter(hint).validate_python(settings[name])
    return values


def expectations(
    options: dict[str, list[str]], inputs: dict[str, Any], by_place: dict[str, Header]
) -> dict[Path, list[Header]]:
    """What the header of each input file is to say."""
    found: dict[Path, list[Header]] = {}
    for name, entries in inputs.items():
        files = options.get(name, [])
        for file, header in zip(files, entries if isinstance(entries, list) else [entries] * len(files), strict=True):
            found[Path(file)] = [header]
    if by_place:
        for file in dict.fromkeys(Path(word) for words in options.values() for word in words):
            place = place_of(file) or ""
            matching = (key for key in by_place if any(fnmatchcase(place, each) for each in key.split()))
            found.setdefault(file, []).extend(by_place[key] for key in matching)
    return found


def _engine() -> Engine:
    return Engine.model_validate_json(os.environ.get(ENGINE_VARIABLE, "{}"))


def _device(leased: list[str]) -> Any:
    """The stage's torch.device. Torch is imported for stages that compute with it, and for no others."""
    from polyprune.running.device import choose_device

    return choose_device(_engine().device, leased)


def _version() -> str:
    from polyprune import __version__

    return __version__


def _limit_threads(threads: int) -> None:
    """Hold torch to the rule's threads; its own reading of the environment may be the warm worker's."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
