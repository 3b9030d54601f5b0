"""Many paths in few letters, for command lines: bash puts them together again.

A shell's command is one argument, of which Linux allows 128 KiB; the files behind the paper's answers are more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from polyprune.workflow.wildcards import Wildcards

Tree = dict[str, "Tree"]


def braced(paths: Sequence[str]) -> str:
    """`a/{b,c}/d` for a/b/d and a/c/d; nothing for none. For paths of letters, digits, `.`, `_` and `-`."""
    tree: Tree = {}
    for path in paths:
        node = tree
        for part in path.split("/"):
            node = node.setdefault(part, {})
    return _alternatives(tree)


def words(paths: Sequence[str]) -> Callable[[Wildcards], str]:
    """`braced` for the params of a rule: a function, for in a text Snakemake would take braces for wildcards."""
    text = braced(paths)
    return lambda wildcards: text  # noqa: ARG005


def _alternatives(tree: Tree) -> str:
    """Names with the same files below them share these."""
    by_rest: dict[str, list[str]] = {}
    for name, below in tree.items():
        by_rest.setdefault(f"/{_alternatives(below)}" if below else "", []).append(name)
    return _one_of([_one_of(names) + rest for rest, names in by_rest.items()])


def _one_of(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{{{','.join(texts)}}}" if texts else ""
