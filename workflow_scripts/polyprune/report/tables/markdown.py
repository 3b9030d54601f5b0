"""Tables in Markdown that can also be read as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from polyprune.grammar.titles import Titles
from polyprune.report.names import calibration_label
from polyprune.report.numbers import format_printed
from polyprune.report.pipe_tables import pipe_table
from polyprune.report.tables.blocks import Block, Panel, above_references, seeds_phrase, wins


def render_markdown(
    blocks: Sequence[Block], title: str, titles: Titles, cell_notes: Sequence[str] = (), about: Sequence[str] = ()
) -> str:
    """The whole page: title, a summary line per block, notes, then a section per model; notes on cells.

    `about` are sentences that end the notes.
    """
    lines = "\n".join(f"- {line}" for line in summaries(blocks, titles))
    parts = [f"# {title}", lines, " ".join([_notes(blocks), *about])]
    model = None
    for block in blocks:
        if block.model != model:
            parts.append(f"## {titles.models[block.model]}")
        model = block.model
        parts.append(f"### {titles.compression(block.method, block.scheme)}")
        parts += [_panel_table(panel, block.languages) for panel in block.panels]
    if cell_notes:
        parts.append("## Notes on cells\n\n" + "\n".join(f"- {note}" for note in cell_notes))
    return "\n\n".join(parts) + "\n"


def summaries(blocks: Sequence[Block], titles: Titles) -> list[str]:
    """A line a block: how often the evaluation language is the best calibration and would be by chance; or mixes."""
    return [
        f"{titles.heading(block.model, block.method, block.scheme)}: "
        f"{_mixes(block) if block.has_references else _wins(block, titles)}"
        for block in blocks
    ]


def _wins(block: Block, titles: Titles) -> str:
    """`target best in 2 of 2 perplexity columns (1.0 by chance, 2 alone), SNR 1 of 2 (1.0, 1)`."""
    found = [(panel.name, wins(panel)) for panel in block.panels]
    if not any(each.columns for _, each in found):
        return "no column has a choice of languages with its own among them"
    (name, first), *others = found
    line = f"target best in {first.best} of {first.columns} {_in_sentence(name, titles)} columns "
    line += f"({first.by_chance:.1f} by chance, {first.alone} alone)"
    rest = [
        f"{_in_sentence(name, titles)} {each.best} of {each.columns} ({each.by_chance:.1f}, {each.alone})"
        for name, each in others
    ]
    return ", ".join([line, *rest])


def _mixes(block: Block) -> str:
    """`better than target in so many of 25 columns (12.5 by chance), than English of 25 (12.5): AR+DE 10 / 12`."""
    counts = above_references(block)
    texts = [
        f"{calibration_label(name, block.languages)} {own} / {english}"
        for name, ((own, _), (english, _)) in counts.items()
    ]
    of = [max((each[place][1] for each in counts.values()), default=0) for place in (0, 1)]
    line = f"better than target in so many of {of[0]} columns ({of[0] / 2:.1f} by chance), than English of {of[1]} "
    return f"{line}({of[1] / 2:.1f}): {', '.join(texts)}"


def _in_sentence(name: str, titles: Titles) -> str:
    """Lower-case first letter, unless the word is an abbreviation or a benchmark's name."""
    return name if name[1:2].isupper() or name in titles.benchmarks.values() else name[:1].lower() + name[1:]


def _notes(blocks: Sequence[Block]) -> str:
    panels = [panel for block in blocks for panel in block.panels]
    spread = ", ± their standard deviation over seeds" if _any(panel.std for panel in panels) else ""
    of = "rows" if any(block.has_references for block in blocks) else "single-language calibrations"
    notes = ["Calibration language down, evaluation language across.", f"Numbers are {seeds_phrase(blocks)}{spread}."]
    if any(panel.note for panel in panels):
        notes += [
            f"**Bold**: what cannot be told from the best of the {of} of its column, over the same questions or "
            "sequences and over seeds (INF-9); in a column without bold nothing can be told.",
            "Told apart from: so far from the best a row must be to be told from it, the usual one of a table.",
        ]
    else:
        notes.append(f"**Bold**: the best of the {of} in its column (all of them if equal).")
    if any(block.has_references for block in blocks):
        notes.append("target: in each column the calibration in its own language.")
    else:
        notes.append(
            "Target best: columns in which their own language is the best calibration, ties counted; by chance: of how "
            "many this could be said if it were any other; alone: without a tie."
        )
    notes.append("↓: smaller is better, ↑: larger is better.")
    if _any(panel.paper for panel in panels):
        notes.append("In parentheses: the value that the paper prints.")
    return " ".join(notes)


def _any(frames: Iterable[pd.DataFrame]) -> bool:
    return any(frame.notna().to_numpy().any() for frame in frames)


def _panel_table(panel: Panel, known: Sequence[str]) -> str:
    """A pipe table with aligned columns; rows without any value are left out. `known`: languages of the whole block."""
    header = [f"{panel.title} {'↑' if panel.larger_is_better else '↓'}"]
    header += [language.upper() for language in panel.languages]
    arrays = (frame.to_numpy() for frame in (panel.mean, panel.std, panel.paper, panel.marked))
    there = panel.mean.notna().any(axis=1)
    rows = [
        [calibration_label(str(name), known), *(_cell(panel, *cell) for cell in zip(*of_row, strict=True))]
        for name, *of_row in zip(panel.mean.index, *arrays, strict=True)
        if there[name]
    ]
    note = f"{panel.name}: {panel.note}.\n\n" if panel.note else ""
    return note + pipe_table([header, *rows])


def _cell(panel: Panel, mean: float, std: float, paper: float, marked: bool) -> str:
    text = panel.text(mean)
    if marked:
        text = f"**{text}**"
    if std == std:
        text += f" ± {panel.text(std)}"
    if paper == paper:
        text += f" ({format_printed(paper)})"
    return text
