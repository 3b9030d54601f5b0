"""Run one stage from a command line: parse its arguments, log, report errors as its user needs them."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from polyprune import log
from polyprune.artifacts.identity import Header, expecting
from polyprune.errors import UserError
from polyprune.provenance import canonical_json
from polyprune.running import gpus
from polyprune.settings.engine import Engine

ENGINE_VARIABLE = "POLYPRUNE_ENGINE"
"""Engine settings travel in the environment: they do not change results, so they must not trigger reruns."""


def export_engine(engine: Engine) -> None:
    """Set what `python -m polyprune` reads of its environment, for this process's jobs."""
    os.environ[ENGINE_VARIABLE] = canonical_json(engine.model_dump())


def run(argv: list[str]) -> int:
    """Run `STAGE --name value …`; 0 if it succeeded, else 1.

    `--settings` is a JSON object of further arguments; what it says is also handed on as `provenance`. Its `inputs` are
    what the files of an option were to be made with: one object for all of them, or a list of one for each.
    `--log`, `--threads` and `--gpus` (how many it is given; none if absent) are for this function.
    """
    if not argv:
        print("usage: python -m polyprune STAGE --settings JSON --log FILE --threads N …", file=sys.stderr)
        return 2
    name, *rest = argv
    options = _options(rest)
    log_file = Path(options.pop("log")[0])
    threads = int(options.pop("threads")[0])
    n_gpus = int(options.pop("gpus", ["0"])[0])
    settings = json.loads(options.pop("settings")[0])
    log.log_to(log_file, " ".join(str(settings[key]) for key in ("job",) if key in settings) or name)
    started = time.monotonic()
    try:
        leased = gpus.lease(n_gpus)
        stage = getattr(importlib.import_module(f"polyprune.stages.{name}"), name)
        _limit_threads(threads)
        with expecting(_made_with(options, settings.get("inputs", {}))):
            stage(**_arguments(stage, options, settings, leased))
    except UserError as error:
        log.logger.error("error: %s", error)
        return 1
    except Exception:
        log.logger.error("unexpected error, please report it with %s:\n%s", log_file, traceback.format_exc())
        return 1
    log.logger.info("done in %.1f s, peak memory %.2f GiB", time.monotonic() - started, log.peak_memory_gib())
    return 0


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


def _made_with(options: dict[str, list[str]], inputs: dict[str, Any]) -> dict[Path, Header]:
    """What the header of each input file is to say."""
    found: dict[Path, Header] = {}
    for name, entries in inputs.items():
        files = options.get(name, [])
        for file, header in zip(files, entries if isinstance(entries, list) else [entries] * len(files), strict=True):
            found[Path(file)] = header
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
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
