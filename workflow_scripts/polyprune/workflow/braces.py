"""What rules that make one thing are given: worked out late, and many paths in few letters.

The stage's command line puts the paths apart again (`running/braces.py`): a shell's command is one argument, of which
Linux allows 128 KiB, and all of a program's are 2 MB; the files behind the paper's answers are more than the one, those
behind a table of three thousand cells more than the other.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TypeVar

from polyprune.workflow.wildcards import Wildcards

Tree = dict[str, "Tree"]
Value = TypeVar("Value")


def braced(paths: Sequence[str]) -> str:
    """`a/{b,c}/d` for a/b/d and a/c/d; nothing for none. For paths of letters, digits, `.`, `_` and `-`."""
    tree: Tree = {}
    for path in paths:
        node = tree
        for part in path.split("/"):
            node = node.setdefault(part, {})
    return _alternatives(tree)


def words(paths: Callable[..., Sequence[str]], *arguments: str) -> Callable[[Wildcards], str]:
    """`braced`, for the params of a rule that makes one thing, when its job is planned; quoted, as no shell expands it.

    Nothing for no paths.
    """

    def quoted() -> str:
        word = braced(paths(*arguments))
        return shlex.quote(word) if word else ""

    return later(quoted)


def later(value: Callable[..., Value], *arguments: str) -> Callable[[Wildcards], Value]:
    """For the inputs and params of a rule that makes one thing: what is worked out when its job is planned.

    There are hundreds of such rules, with thousands of inputs, of which most plans have a few. Nor does Snakemake take
    braces for wildcards in what a function returns.
    """
    return lambda wildcards: value(*arguments)  # noqa: ARG005


def _alternatives(tree: Tree) -> str:
    """Names with the same files below them share these."""
    by_rest: dict[str, list[str]] = {}
    for name, below in tree.items():
        by_rest.setdefault(f"/{_alternatives(below)}" if below else "", []).append(name)
    return _one_of([_one_of(names) + rest for rest, names in by_rest.items()])


def _one_of(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{{{','.join(texts)}}}" if texts else ""
