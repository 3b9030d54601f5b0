"""The paper's claims in words, recomputed from tables: its own printed numbers, or a study's.

Rows, one a claim:

    claim, place, statement   string   what it says and where, in our words
    printed                   string   the number in print; empty if the claim has none
    recomputed                string   the same from the tables
    verdict                   string   holds, half, no; null where the tables do not have what it is about
    test                      string   what decides
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from polyprune.report.printed import NotInTablesError, Tables

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
