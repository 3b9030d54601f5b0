"""Tables of Markdown with aligned columns, which can also be read as plain text."""

from __future__ import annotations


def pipe_table(lines: list[list[str]]) -> str:
    """First line is the header, first column is left-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    texts = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        for line in [lines[0], rule, *lines[1:]]
    ]
    return "\n".join(f"| {' | '.join(text)} |" for text in texts)
