"""What is wrong with a command line before Snakemake reads any file of ours: both profiles ask. No library is imported
that Snakemake does not bring.

Snakemake's `--configfile` takes all words up to the next option, and a file that is not there ends it in a traceback;
of one that is no YAML it does not say which, nor where.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path

from polyprune.errors import UserError

_OPTIONS = ("--configfile", "--configfiles")
_CORES = ("--cores", "-c")
_SNAKEFILE = ("-s", "--snakefile")
_ENDINGS = (".yaml", ".yml", ".json")
_ROOM = 1 << 20
"""Bytes, more than all rules and profiles."""


def require_start(argv: Sequence[str], repository: Path) -> None:
    """End this process, saying what to type, where Snakemake would not find its files, or have no room for its own.

    `argv` is without the program.

    Raises:
        SystemExit: with the message.
    """
    problem = _elsewhere(argv, repository) or _config_files(argv) or _no_cores(argv) or _full_home()
    if problem:
        raise SystemExit(f"error: {problem}")


def _no_cores(argv: Sequence[str]) -> str | None:
    """Snakemake takes it, and waits for ever."""
    words = " ".join(argv).replace("=", " ").split()
    if "-c0" in words or any(option in _CORES and value == "0" for option, value in pairwise(words)):
        return "with 0 cores no job ever runs: type --cores 1 or more, or nothing for all that there are"
    return None


def _elsewhere(argv: Sequence[str], repository: Path) -> str | None:
    here = Path.cwd()
    if {*"{}"} & {*str(repository)}:
        return f"Snakemake takes braces in a folder's name for wildcards: give {repository} another name"
    named = any(word.split("=")[0] in _SNAKEFILE for word in argv)
    if named or (here / "Snakefile").is_file():
        return None
    return f"there is no Snakefile in {here}; start in the repository's folder: cd {shlex.quote(str(repository))}"


def _full_home() -> str | None:
    """Whether Snakemake can keep its copies of the rules where it wants to: it would end in a traceback."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache) as tried:
            tried.write(bytes(_ROOM))
    except OSError as error:
        return (
            f"nothing can be written below {cache}: {error.strerror}. Make room there, or name a folder where "
            "Snakemake may keep what it needs while it runs: export XDG_CACHE_HOME=/path"
        )
    return None


def _config_files(argv: Sequence[str]) -> str | None:
    start = next((i for i, word in enumerate(argv) if word.split("=")[0] in _OPTIONS), None)
    if start is None:
        return None
    first = argv[start].split("=", 1)[1:]
    end = next((i for i in range(start + 1, len(argv)) if argv[i].startswith("-")), len(argv))
    words = [*first, *argv[start + 1 : end]]
    swallowed = [word for word in words if not word.endswith(_ENDINGS) or word.startswith("results/")]
    files = [word for word in words if word not in swallowed]
    if swallowed and files:
        rest = [*argv[:start], *argv[end:]]
        cut = rest.index("--") if "--" in rest else len(rest)
        meant = ["snakemake", *rest[:cut], "--configfile", *files, "--", *swallowed, *rest[cut + 1 :]]
        return (
            f"--configfile takes every word up to the next option for a file, {' '.join(swallowed)} too; put -- before "
            f"what is to be made: {shlex.join(meant)}"
        )
    missing = [word for word in words if not Path(word).is_file()]
    if missing and Path(missing[0]).is_dir():
        return f"--configfile names {missing[0]}, which is a folder: name the file in it"
    if not words or missing:
        known = sorted(str(path) for path in [*Path("studies").glob("*.yaml"), *Path().glob("*.yaml")])
        close = get_close_matches(missing[0], known, n=1, cutoff=0.6) if missing else []
        hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}" if known else ""
        what = f"--configfile names {missing[0]}, which is not" if missing else "--configfile names no file"
        return f"{what} in {Path.cwd()}{hint}" if missing else f"{what}{hint}"
    return next(filter(None, map(_unreadable, words)), None)


def _unreadable(file: str) -> str | None:
    """Why a file is no configuration, with its line."""
    from polyprune.settings.yaml_lines import read_yaml

    try:
        content = read_yaml(Path(file))
    except UserError as error:
        return str(error)
    if not isinstance(content, dict):
        return f"{file} has no sections: begin as studies/mix.yaml does, with studies: or models:"
    return None
