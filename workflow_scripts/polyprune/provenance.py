"""What a result was made from: code digests, canonical JSON, content digests. Imported at parse time: no torch.

Snakemake does not notice edits of modules that a stage imports. So every rule carries `code_digest(stage)` in its
parameters: a hash over the stage and everything it imports from this package, blind to comments, docstrings and
blank lines. The digest, not the git commit, goes into the artifacts: it changes exactly when the bytes might.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import yaml

PACKAGE = Path(__file__).parent
NEUTRAL = {
    PACKAGE / name
    for name in ("__init__.py", "errors.py", "hub.py", "log.py", "places.py", "processes.py", "running", "settings")
}
"""Modules and folders that cannot change a result: the package's version, words for the user, how a job is run;
settings reach stages by value, the hub's files by commit."""


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values, equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(*parts: bytes | str) -> str:
    """16 hex digits of SHA-256 over the parts, each preceded by its length."""
    sha = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        sha.update(len(raw).to_bytes(8, "little"))
        sha.update(raw)
    return sha.hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def package_digest() -> str:
    """Of the bytes of all files of the package that decide results, in milliseconds."""
    files = sorted(path for pattern in ("*.py", "*.yaml", *_OF_PAGES) for path in PACKAGE.rglob(pattern))
    return digest(*(part for file in files for part in (file.relative_to(PACKAGE).as_posix(), file.read_bytes())))


_OF_PAGES = ("*.html", "*.css", "*.js")


@lru_cache
def code_digest(stage: str, *plugins: str) -> str:
    """Digest of `polyprune.stages.<stage>` and of all modules and data of the package that it imports.

    `plugins` are modules it imports by name, as paths from the package: `methods/wanda.py`.
    """
    starts = [PACKAGE / "stages" / f"{stage}.py", *(PACKAGE / plugin for plugin in plugins)]
    files = sorted({file for start in starts for file in import_closure(start)})
    return digest(*(part for file in files for part in (file.relative_to(PACKAGE).as_posix(), _essence(file))))


@lru_cache
def import_closure(file: Path) -> tuple[Path, ...]:
    """The file and every file of the package that it needs: imported modules, and the data files beside them."""
    seen: set[Path] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current not in seen and not NEUTRAL & {current, *current.parents}:
            seen.add(current)
            if current.suffix == ".py":
                waiting.extend(_imported_files(current))
                if current.name == "__init__.py":
                    waiting.extend(current.parent.glob("*/*.yaml"))
    return tuple(sorted(seen))


@lru_cache
def _imported_files(file: Path) -> tuple[Path, ...]:
    names: list[str] = []
    for node in _statements(file):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    found = (_module_file(name) for name in names if name.split(".")[0] == PACKAGE.name)
    return tuple(path for path in found if path)


@lru_cache
def _statements(file: Path) -> tuple[ast.AST, ...]:
    """All statements of a file of Python, and what such are parts of."""
    found: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    for node in found:
        for name in _BLOCKS:
            found += getattr(node, name, [])
    return tuple(found)


_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Attributes of statements that hold statements."""


@lru_cache
def _module_file(name: str) -> Path | None:
    stem = PACKAGE.parent.joinpath(*name.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


class _Loader(yaml.SafeLoader):
    """Takes what is tagged (`!function utils.f`, of the harness's tasks) for its text."""


_Loader.add_multi_constructor("!", lambda loader, tag, node: f"!{tag} {loader.construct_scalar(node)}")


@lru_cache
def _essence(file: Path) -> str:
    """What of a file can matter: of YAML its values; of Python all but comments, docstrings, blank lines and the like.

    Of templates and the like it is all. Docstrings are all strings that are statements of their own; the inside of
    other strings stays as it is.
    """
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".yaml":
        return canonical_json(yaml.load(text, Loader=_Loader))
    if file.suffix != ".py":
        return text
    lines = _TEXT_OR_COMMENT.sub(lambda match: match["text"] or "", text).split("\n")
    inside = set(_rows_inside_text(text))
    documentation: set[int] = set()
    for node in _statements(file):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            last = node.end_lineno or node.lineno
            before = lines[node.lineno - 1].encode()[: node.col_offset]
            after = lines[last - 1].encode()[node.end_col_offset :]
            if not before.strip() and not after.strip():
                documentation |= set(range(node.lineno, last + 1))
    kept = ((row, line) for row, line in enumerate(lines, start=1) if row not in documentation)
    return "\n".join(line if row in inside else line.rstrip() for row, line in kept if row in inside or line.strip())


_TEXT_OR_COMMENT = re.compile(
    r"""(?P<text>'{3}(?:[^\\]|\\.)*?'{3}|"{3}(?:[^\\]|\\.)*?"{3}|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|#[^\n]*""",
    re.DOTALL,
)
"""The texts and comments of a file of Python, from its beginning on. Python's own tokenizer is five times as slow."""


def _rows_inside_text(text: str) -> Iterator[int]:
    """Rows, counted from 1, that end inside a text of several rows."""
    row, seen = 1, 0
    for match in _TEXT_OR_COMMENT.finditer(text):
        if n_rows := match[0].count("\n"):
            row += text.count("\n", seen, match.start())
            yield from range(row, row + n_rows)
            row, seen = row + n_rows, match.end()
