"""Targets that nothing makes: what was meant, before Snakemake says only that no rule makes it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from snakemake.io import strip_wildcard_constraints

from polyprune.errors import UserError
from polyprune.grammar.paths import PAPER
from polyprune.grammar.spelling import nearest
from polyprune.settings.config import Settings
from polyprune.settings.yaml_lines import read_yaml
from polyprune.workflow.targets import check_target, passes

_ENDINGS = {"tables": ".parquet", "figures": ".pdf"}
_FLAGS = {"-n", "--dry-run", "--dryrun", "-F", "--forceall", "-f", "--force", "-k", "--keep-going", "-p", "--verbose",
          "--printshellcmds", "--rerun-incomplete", "--ri", "--unlock", "--nolock", "--touch", "-t"}  # fmt: skip
"""Options of Snakemake's without a value."""
_WILDCARD = re.compile(r"\\\{\w+\\\}")
"""As `re.escape` leaves it."""
_LOADED_BY = "--configfile FILE -- "


def require_targets(argv: Sequence[str], settings: Settings, rules: Collection[Any]) -> None:
    """Refuse words of Snakemake's command line that are targets and that nothing makes.

    `rules` are Snakemake's, whose names are targets, too. Which words are targets, Snakemake's own parser says; it is
    asked where something looks wrong, for it takes a tenth of a second.

    Raises:
        UserError: says what to type.
    """
    names = {rule.name for rule in rules}

    def wrong(words: Sequence[str]) -> list[str]:
        others = [word for word in words if word not in names and not _is_other_file(word)]
        return [word for word in others if not passes(require_target, word, settings) or _no_rule(word, rules)]

    if not wrong(_positional(argv)):
        return
    from snakemake.cli import get_argument_parser

    for word in wrong(list(get_argument_parser().parse_known_args(list(argv))[0].targets)):
        require_target(word, settings)
        if said := _no_rule(word, rules):
            raise UserError(said)


def _no_rule(word: str, rules: Collection[Any]) -> str | None:
    """Of a path of results that no rule makes, that this is so, and the nearest path that one makes."""
    if not word.startswith("results/") or any(rule.is_producer(word) for rule in rules if _may_make(rule, word)):
        return None
    shapes = {strip_wildcard_constraints(str(output)): rule for rule in rules for output in rule.output}
    filled = {_filled(shape, word): rule for shape, rule in sorted(shapes.items(), key=lambda each: each[0])}
    made = [path for path, rule in filled.items() if rule.is_producer(path)]
    hint = "".join(f"; did you mean {path}?" for path in get_close_matches(word, made, n=1, cutoff=0.8))
    return f"{word} is no target: no rule makes such a file{hint}"


def _may_make(rule: Any, word: str) -> bool:
    """Whether an output's name is that of the path or has a wildcard: to match the others takes a tenth of a second."""
    names = (str(output).rpartition("/")[2] for output in rule.output)
    return any("}" in name or name == word.rpartition("/")[2] for name in names)


def _filled(shape: str, word: str) -> str:
    """An output's path with what stands in the same places of another path for its wildcards."""
    parts = [*word.split("/"), *[""] * shape.count("/")]
    ours = shape.split("/")
    return "/".join(_like(our, part) for our, part in zip(ours, parts, strict=False))


def _like(shape: str, part: str) -> str:
    """`seed{seed}` of `seed0`: `seed0`; `{language}.parquet` of `de.parquets`: `de.parquet`."""
    if re.fullmatch(_WILDCARD.sub(".+", re.escape(shape)), part):
        return part
    return re.sub(r"\{\w+\}", part.split(".")[0], shape)


def require_choice(targets: Collection[str], files: Sequence[Path]) -> None:
    """Refuse to begin the paper's study, which is the default, where files of other studies were named and no target.

    Raises:
        UserError: says what to type.
    """
    studies = [study for file in files for study in _sections(file).get("studies") or {}]
    if studies and not targets and PAPER not in studies:
        raise UserError(
            f"no target was named, and the default is the paper's study: type -- {studies[0]} behind all options (or "
            f"-- {PAPER}, if that is meant)"
        )


def uses_profile(argv: Sequence[str]) -> bool:
    """Whether a command line or the environment names a profile of Snakemake's."""
    named = any(word.split("=")[0] in ("--profile", "--workflow-profile") for word in argv)
    return named or bool(os.environ.get("SNAKEMAKE_PROFILE"))


def _positional(argv: Sequence[str]) -> list[str]:
    """Words that may be targets: not options, and no first value of an option."""
    if "--" in argv:
        end = list(argv).index("--")
        return [*_positional(argv[:end]), *argv[end + 1 :]]
    before = ["", *argv]
    return [
        word
        for previous, word in zip(before, argv, strict=False)
        if not word.startswith("-") and (not previous.startswith("-") or previous in _FLAGS or "=" in previous)
    ]


def _is_other_file(word: str) -> bool:
    """Whether it is a file that Snakemake may be asked for; of results, which nothing makes any more, it is not."""
    return not _is_result(word) and Path(word).exists()


def _is_result(word: str) -> bool:
    return Path(word).resolve().is_relative_to(Path("results").resolve())


def require_target(word: str, settings: Settings) -> None:
    """Refuse a word that is neither a study nor a path of the grammar, nor a rule's own name.

    Raises:
        UserError: says what to type.
    """
    if word in settings.studies:
        return
    try:
        check_target(word, settings)
    except UserError as error:
        raise UserError(f"{error}{_elsewhere(word, settings)}") from error
    if Path(word).is_absolute() and _is_result(word):
        place = Path("results", Path(word).resolve().relative_to(Path("results").resolve()))
        raise UserError(
            f"{word} is no target, as Snakemake knows results by their place in the repository: type {place}"
        )
    parts = word.split("/")
    if parts[0] == "results" and (len(parts) > 3 or "." in parts[-1] or len(parts) < 2):
        return
    if meant := next(_meant(word, settings), None):
        raise UserError(f"{word} is no target: type {meant}")
    if parts[0] == "results":
        return
    raise UserError(
        f"{word} is no target: it is {nearest(word, settings.studies)} (studies), and files lie under results/, as "
        f"results/table1.parquet{_elsewhere(word, settings)}"
    )


def _meant(word: str, settings: Settings) -> Iterator[str]:
    """Targets that are nearly this word."""
    parts = word.strip("/").split("/")
    if close := get_close_matches(parts[0], ["results"], n=1, cutoff=0.7):
        parts = [*close, *parts[1:]]
    for path in ("/".join(parts), f"results/{'/'.join(parts)}"):
        study, stem = path.split("/")[1:-1], path.split("/")[-1].split(".")[0]
        entry = settings.studies.get(study[0] if study else PAPER) if len(study) < 2 else None
        for kind, ending in _ENDINGS.items():
            if path.startswith("results/") and entry is not None and stem in getattr(entry, kind):
                yield path if "." in parts[-1] else f"{path}{ending}"
    path = f"results/{'/'.join(parts)}" if parts[0] != "results" else "/".join(parts)
    if len(parts) > 2 and path != word and passes(check_target, path, settings):
        yield path
    yield from get_close_matches(word, settings.studies, n=1, cutoff=0.75)


def _elsewhere(word: str, settings: Settings) -> str:
    """What to add where a study, model or corpus that was named is in a file that was not."""
    parts = word.split("/")
    name = parts[1] if parts[0] == "results" and len(parts) > 2 else parts[0]
    if name in settings.studies or name in settings.models:
        return ""
    if file := file_of(name):
        return f"; it is in {file}, which was not named (make: CONFIGFILE={file}): type --configfile {file} -- {word}"
    return f"; what a file of your own adds is known where it is named: {_LOADED_BY}{word}"


def study_files() -> list[Path]:
    """What may be meant by a file of a study, in studies/ and in this folder."""
    return sorted([*Path("studies").glob("*.yaml"), *Path().glob("*.yaml")])


def file_of(name: str) -> Path | None:
    """The first file of studies/ or of this folder that has a study, model or corpus of this name."""
    for file in study_files():
        sections = _sections(file)
        if any(name in (sections.get(section) or {}) for section in ("studies", "models", "corpora")):
            return file
    return None


def _sections(file: Path) -> dict[str, Any]:
    """Of a file of settings; none if it cannot be read as one."""
    try:
        content = read_yaml(file)
    except (OSError, UserError):
        return {}
    return content if isinstance(content, dict) else {}
