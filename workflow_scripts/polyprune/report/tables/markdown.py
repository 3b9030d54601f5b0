"""Tables in Markdown that can also be read as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from polyprune.grammar.titles import BENCHMARK_TITLES
from polyprune.report.names import calibration_label
from polyprune.report.numbers import decimals_of, format_number, format_printed
from polyprune.report.tables.blocks import Block, Panel, diagonal_count, seeds_phrase


def render_markdown(
    blocks: Sequence[Block], title: str, titles: Mapping[str, str], cell_notes: Sequence[str] = ()
) -> str:
    """The whole page: title, a summary line per block, notes, then a section per model; notes on cells."""
    parts = [f"# {title}", "\n".join(f"- {line}" for line in summaries(blocks, titles)), _notes(blocks)]
    model = None
    for block in blocks:
        if block.model != model:
            parts.append(f"## {titles[block.model]}")
        model = block.model
        parts.append(f"### {block.compression}")
        parts += [_panel_table(panel, block.languages) for panel in block.panels]
    if cell_notes:
        parts.append("## Notes on cells\n\n" + "\n".join(f"- {note}" for note in cell_notes))
    return "\n\n".join(parts) + "\n"


def summaries(blocks: Sequence[Block], titles: Mapping[str, str]) -> list[str]:
    """A line a block: how often calibrating in the evaluation language is best, per panel."""
    return [_summary(block, titles) for block in blocks]


def _summary(block: Block, titles: Mapping[str, str]) -> str:
    (first, hits, columns), *others = [(panel.name, *diagonal_count(panel)) for panel in block.panels]
    rest = ", ".join(f"{_in_sentence(name)} {count}/{of}" for name, count, of in others)
    line = f"{block.heading(titles)}: diagonal best in {hits} of {columns} {_in_sentence(first)} columns"
    return f"{line} ({rest})" if rest else line


def _in_sentence(name: str) -> str:
    """Lower-case first letter, unless the word is an abbreviation or a benchmark's name."""
    return name if name[1:2].isupper() or name in BENCHMARK_TITLES.values() else name[:1].lower() + name[1:]


def _notes(blocks: Sequence[Block]) -> str:
    panels = [panel for block in blocks for panel in block.panels]
    deviation = ", ± their standard deviation" if _any(panel.std for panel in panels) else ""
    notes = [
        "Calibration language down, evaluation language across.",
        f"Numbers are {seeds_phrase(blocks)}{deviation}.",
        "**Bold**: the best of the single-language calibrations in its column (all of them if equal).",
        '"Diagonal best" counts the columns where that is the evaluation language itself.',
        "↓: smaller is better, ↑: larger is better.",
    ]
    if _any(panel.paper for panel in panels):
        notes.append("In parentheses: the value that the paper prints.")
    return " ".join(notes)


def _any(frames: Iterable[pd.DataFrame]) -> bool:
    return any(frame.notna().to_numpy().any() for frame in frames)


def _panel_table(panel: Panel, known: Sequence[str]) -> str:
    """A pipe table with aligned columns; rows without any value are left out. `known`: languages of the whole block."""
    languages = panel.languages
    header = [f"{panel.title} {'↑' if panel.larger_is_better else '↓'}", *(language.upper() for language in languages)]
    rows = [
        [calibration_label(str(row), known), *(_cell(panel, str(row), language) for language in languages)]
        for row in panel.mean.index[panel.mean.notna().any(axis=1)]
    ]
    return pipe_table([header, *rows])


def _cell(panel: Panel, row: str, column: str) -> str:
    mean, std, paper = (float(frame.at[row, column]) for frame in (panel.mean, panel.std, panel.paper))  # type: ignore[arg-type]
    text = format_number(mean)
    if panel.best.at[row, column]:
        text = f"**{text}**"
    if std == std:
        text += f" ± {format_number(std, decimals_of(mean))}"
    if paper == paper:
        text += f" ({format_printed(paper)})"
    return text


def pipe_table(lines: list[list[str]]) -> str:
    """First line is the header, first column is left-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    texts = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        for line in [lines[0], rule, *lines[1:]]
    ]
    return "\n".join(f"| {' | '.join(text)} |" for text in texts)
