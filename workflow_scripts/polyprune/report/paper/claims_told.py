"""`make claims`: the paper's claims on its own printed numbers, in a terminal, in seconds, without model or GPU.

`python -m polyprune.report.paper.claims_told [--paper FOLDER] [--markdown]`
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from polyprune.commands import run_command
from polyprune.report.paper.claim_list import CLAIMS
from polyprune.report.paper.claims import judge, render_claims
from polyprune.report.printed import load_all_printed


def main(argv: Sequence[str] | None = None) -> int:
    """Print the verdicts on the printed numbers."""
    parser = argparse.ArgumentParser(prog="python -m polyprune.report.paper.claims_told", description=main.__doc__)
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
    raise SystemExit(run_command(main))
