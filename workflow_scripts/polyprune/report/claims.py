"""The paper's claims in words, recomputed from tables: its own printed numbers, or a study's.

Rows, one a claim:

    claim, place, statement   string   what it says and where, in our words
    printed                   string   the number in print; empty if the claim has none
    recomputed                string   the same from the tables
    verdict                   string   holds, half, no; null where the tables do not have what it is about
    test                      string   what decides

`python -m polyprune.report.claims` prints them on the paper's own numbers, in seconds, without model or GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from polyprune.report.printed import NotInTablesError, Tables, load_all_printed

Verdict = Literal["holds", "half", "no"]


@dataclass(frozen=True)
class Found:
    """What the tables say of a claim."""

    recomputed: str
    verdict: Verdict


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper and what decides it. `place` is the section, `test` says how `check` decides."""

    name: str
    place: str
    statement: str
    printed: str
    test: str
    check: Callable[[Tables], Found]


def judge(claims: Sequence[Claim], tables: Tables) -> pd.DataFrame:
    """A row a claim; `verdict` is None and `recomputed` says what lacks where tables do not have it."""
    rows = []
    for claim in claims:
        try:
            found = claim.check(tables)
            recomputed, verdict = found.recomputed, found.verdict
        except NotInTablesError as error:
            recomputed, verdict = f"cannot be seen here: {error}", None
        rows.append(
            {
                "claim": claim.name,
                "place": claim.place,
                "statement": claim.statement,
                "printed": claim.printed,
                "recomputed": recomputed,
                "verdict": verdict,
                "test": claim.test,
            }
        )
    return pd.DataFrame(rows)


def render_claims(judged: pd.DataFrame, title: str) -> str:
    """Markdown: how many of each verdict, then all of them."""
    counts = judged["verdict"].value_counts()
    summary = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in ("holds", "half", "no"))
    unseen = int(judged["verdict"].isna().sum())
    lines = [f"# {title}", "", f"Of {len(judged)} claims: {summary}{f', {unseen} cannot be seen here' * bool(unseen)}."]
    lines += ["", "| claim | where | says | in print | recomputed | verdict | test |", "|---|---|---|---|---|---|---|"]
    for row in judged.fillna({"verdict": "-"}).to_dict("records"):
        cells = [row[name] for name in ("claim", "place", "statement", "printed", "recomputed", "verdict", "test")]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the verdicts on the printed numbers."""
    from rich.console import Console
    from rich.table import Table

    from polyprune.report.claim_list import CLAIMS

    parser = argparse.ArgumentParser(prog="python -m polyprune.report.claims", description=main.__doc__)
    parser.add_argument("--paper", type=Path, default=Path("data/paper"), help="folder of the paper's numbers")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    options = parser.parse_args(argv)
    judged = judge(CLAIMS, load_all_printed(options.paper))
    title = "The paper's claims, recomputed from the numbers it prints"
    if options.markdown:
        print(render_claims(judged, title))
        return 0
    table = Table(title=title, show_lines=True)
    for name in ("place", "statement", "printed", "recomputed", "verdict", "test"):
        table.add_column(name)
        judged[name] = judged[name].fillna("-")
    for row in judged[[column.header for column in table.columns]].itertuples(index=False):
        table.add_row(*map(str, row))
    console = Console()
    Console(width=max(console.width, 160)).print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
