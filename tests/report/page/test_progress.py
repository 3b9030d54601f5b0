"""How far a study is, in words, and on its page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
from tests.helpers.page import STUDY

from polyprune.report.answers.answer import best_calibrations
from polyprune.report.page.content import Content, Part, Work
from polyprune.report.page.progress import states
from polyprune.report.page.render import render

TOTAL: dict[str, Any] = {"model": "", "method": "", "scheme": "", "gpu_hours": 0.0, "gigabytes": 1.5}


def parts(**state: str) -> list[Part]:
    return [Part(name, f"Title of {name}", found, 3, 8) for name, found in state.items()]


def test_runs_are_shortened_and_states_come_in_their_order():
    tables = {f"table{n}": "outstanding" for n in (1, 2, 3, 7, 8)}
    found = list(states(parts(**tables, table9="finished", figure1="outstanding", figure2="outdated")))
    assert found == [
        ("Finished", "Table 9"),
        ("To be made again", "Figure 2"),
        ("To come", "Tables 1 to 3, 7, 8; Figure 1"),
    ]


def page(work: Work) -> str:
    content = Content(replace(STUDY, cells=56), [], [], best_calibrations({}), pd.DataFrame(), [], work)
    return " ".join(render(content, [], []).split())


def test_a_page_says_what_is_finished_and_counts_compressed_models_and_not_what_all_of_the_study_asks_for():
    line = TOTAL | {"done": 0, "incomplete": 0, "outstanding": 58}
    text = page(Work([line], parts(table1="finished", table2="outstanding", figure1="outdated"), 14, "snakemake x"))
    notice = text[text.index('id="unfinished"') : text.index("<nav")]
    assert "<dt>Finished</dt><dd>Table 1</dd>" in notice and "<dt>To come</dt><dd>Table 2</dd>" in notice
    assert "<dd>14 of 56" in notice and 'style="width: 25%"' in notice and "58" not in notice
    listed = text[text.index('id="parts"') : text.index("By model, method and scheme")]
    assert "Title of table2" in listed and "3 of 8" in listed and "Title of table1" not in listed
    assert "Title of figure1 <span" in listed and "shown as it was" in listed
    assert "GPU-hours to go" not in text


def test_a_finished_study_has_no_such_notice_and_gpu_hours_are_shown_where_there_are_some():
    assert 'id="unfinished"' not in page(Work(parts=parts(table1="finished"), made=56))
    line = TOTAL | {"done": 0, "incomplete": 0, "outstanding": 58, "gpu_hours": 7.25}
    assert "GPU-hours to go" in page(Work([line], parts(table1="outstanding")))
