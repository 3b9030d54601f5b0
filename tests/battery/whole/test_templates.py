"""A chat template replaced between two cells: what is asked is asked again, and what is computed on text is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.helpers.battery import Cases
from tests.helpers.model_folders import good_folder
from tests.helpers.small_study import SmallStudy, small_study

from polyprune.artifacts.tables import read_header

Judge = Callable[[str], Cases]
MINE = """\
corpora:
  little: {kind: demo, languages: [de, sw], documents: {train: 1, calibration: 60, evaluation: 40}}
models:
  mine:
    title: Mine
    source: {kind: folder, path: ../model}
    shape: {layers: 3, hidden: 32, intermediate: 48, heads: 4, kv_heads: 2, vocabulary: 340, max_positions: 64}
    text: {corpus: little, sequence_length: 32, calibration_sequences: 4, evaluation_sequences: 2, sampling: packed}
studies:
  asked:
    grids:
      main: {models: [mine], methods: [magnitude], schemes: ["0.50"], calibrations: [de], seeds: [0]}
    tables:
      table1: {title: Mine, report: benchmarks, grids: [main], benchmarks: [arc]}
      table2: {title: Mine, report: drift, grids: [main]}
evaluation: {demo_questions: 4}
"""
CELL = "results/mine/magnitude/0.50/de/seed0"
TARGETS = ("asked", f"{CELL}/export/config.json")
ASKED = {
    "register_prompting": 1,
    "evaluate_dense": 1,
    "evaluate_model": 1,
    "export_model": 1,
    "tabulate_asked_table1": 1,
    "asked": 1,
}
COMPUTED = {
    "register_model": 1,
    "build_calibration_set": 1,
    "build_evaluation_set_little": 1,
    "prune_model": 1,
    "dump_dense_little": 1,
    "dump_cell_little": 1,
    "measure_dense": 1,
    "measure_drift": 1,
    "tabulate_asked_table2": 1,
}
TEMPLATE = "{{ bos_token }}{% for message in messages %}Q: {{ message['content'] }}\n{% endfor %}A: "


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStudy]:
    folder = tmp_path_factory.mktemp("asked")
    good_folder(folder / "model")
    found = small_study(folder / "checkout")
    (found.folder / "small.yaml").write_text(MINE, encoding="utf-8")
    assert found.run(*TARGETS) == 0, found.said()
    yield found


def planned(study: SmallStudy) -> tuple[list[tuple[str, int]], str]:
    """Jobs by rule that a dry run lists, sorted, and what it said."""
    assert study.run(*TARGETS, words=("-n",)) == 0, study.said()
    said = study.said()
    rows = re.findall(r"^(\w+) +(\d+)$", said.partition("Job stats:")[2].split("\n\n")[0], flags=re.MULTILINE)
    return sorted((rule, int(count)) for rule, count in rows if rule != "total"), said


OF_PROMPTS: dict[str, tuple[str, Callable[[str], str]]] = {
    "a template": ("chat_template.jinja", lambda _: TEMPLATE),
    "an end of answers": ("generation_config.json", lambda _: '{"eos_token_id": [1, 2]}'),
    "a template inside": ("tokenizer_config.json", lambda old: json.dumps(json.loads(old) | {"chat_template": "x"})),
}


@pytest.mark.parametrize("name", OF_PROMPTS)
def test_what_only_prompts_read_concerns_what_is_asked(cases: Judge, study: SmallStudy, name: str) -> None:
    file, change = OF_PROMPTS[name]
    path = study.folder.parent / "model" / file
    kept = path.read_text()
    path.write_text(change(kept))
    jobs, said = planned(study)
    path.write_text(kept)
    cases("templates").judge(name, lambda: jobs, sorted(ASKED.items()), sure=True)
    assert "prompting.json is made again, with all that depends on it" in said and f"{file} has " in said


def test_what_text_needs_concerns_everything(cases: Judge, study: SmallStudy) -> None:
    path = study.folder.parent / "model/tokenizer_config.json"
    kept = path.read_text()
    path.write_text(json.dumps(json.loads(kept) | {"add_prefix_space": True}))
    jobs, said = planned(study)
    path.write_text(json.dumps(json.loads(kept), indent=1))
    cases("templates").judge("tokens", lambda: jobs, sorted((ASKED | COMPUTED).items()), sure=True)
    assert "model.json is made again, with all that depends on it" in said and f"{path.name} has SHA-256" in said
    cases("templates").judge("spaces", lambda: planned(study)[0], [], sure=True)


def test_the_next_run_asks_all_alike(cases: Judge, study: SmallStudy) -> None:
    """Cells and dumps are the same files, not only the same bytes; a table of both kinds of rows is never made."""
    mask, scores = study.folder / CELL / "mask.safetensors", [f"{CELL}/evaluation/arc.parquet"]
    scores += ["results/mine/dense/evaluation/arc.parquet"]
    headers = [read_header(study.folder / file, "evaluation/2") for file in scores]
    before, made = study.contents(), mask.stat()
    template = study.folder.parent / "model/chat_template.jinja"
    template.write_text(TEMPLATE)
    assert study.run(*TARGETS) == 0, study.said()
    now = study.contents()
    changed = {place for place in now if now[place] != before[place]}
    judge = cases("templates")
    judge.judge("the same", lambda: mask.stat() == made, True, sure=True)
    kept = {place for place in now if place.endswith((".safetensors", ".h5")) and "/export/" not in place}
    assert kept and not kept & changed
    assert "mine/magnitude/0.50/de/seed0/export/chat_template.jinja" in changed
    again = [read_header(study.folder / file, "evaluation/2") for file in scores]
    assert len({header["prompting_digest"] for header in again}) == 1
    assert not {header["prompting_digest"] for header in again} & {header["prompting_digest"] for header in headers}
    assert {header["model_digest"] for header in again} == {header["model_digest"] for header in headers}
    assert Path(study.folder / CELL / "export/chat_template.jinja").read_text() == TEMPLATE
