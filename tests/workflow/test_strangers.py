"""Results that Snakemake does not know are asked what they were made with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.artifacts import READERS, make_results

from polyprune.artifacts.any_kind import read_any_header, settings_in
from polyprune.artifacts.exports import save_export_record
from polyprune.errors import UserError
from polyprune.workflow import strangers
from polyprune.workflow.strangers import Strangers, difference

FILE = "results/corpora/demo/de.parquet"
RIGHT = {"code": "c", "job": "collect_documents demo de", "language": "de"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("strangers") / "results"
    make_results(root)
    return root


@pytest.mark.parametrize("place", READERS)
def test_every_kind_of_file_is_asked(results: Path, place: str) -> None:
    path = results / place
    assert difference(path, {"code": None}) is None
    said = difference(path, {"code": None, "sequence_length": 160})
    assert said == f"{path} was made with other settings: sequence_length none, here 160"
    assert difference(path, {"code": "d"}) == f"{path} was made by another version of this program: code none, here d"


def test_of_a_damaged_file_it_is_said(results: Path) -> None:
    path = results / FILE.removeprefix("results/")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert "is damaged" in str(difference(path, RIGHT)) or "has no seal" in str(difference(path, RIGHT))
    path.write_bytes(whole)


def test_pictures_have_no_header_and_exports_have_theirs_beside(tmp_path: Path) -> None:
    (tmp_path / "table1.png").touch()
    assert difference(tmp_path / "table1.png", RIGHT) is None
    folder = tmp_path / "results" / "tiny" / "export"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_export_record(folder, {"cell": {}, "export": {"title": "A", "code": "c"}}, folder / "config.json")
    assert difference(folder / "config.json", {"code": "c", "title": "A"}) is None
    said = difference(folder / "config.json", {"code": "c", "title": "B"})
    assert said and said.endswith("config.json was made with other settings: title A, here B")


@dataclass(eq=False)
class Job:
    """One of Snakemake's."""

    output: list[str]


class Rule:
    """What of Snakemake's is asked of a rule."""

    def __init__(self, spec: Any) -> None:
        self.params, self.inputs = SimpleNamespace(spec=spec), list[Callable[[Any], list[str]]]()
        self.name = "collect_documents"
        self.output = ["results/corpora/{corpus}/{language,[a-z]+}.parquet", "results/gone.parquet"]
        self.log = ["logs/corpora/{corpus}/{language}.log"]

    def set_input(self, function: Callable[[Any], list[str]]) -> None:
        self.inputs.append(function)

    def expand_output(self, wildcards: dict[str, str]) -> tuple[list[str], None]:
        return [f"results/corpora/{wildcards['corpus']}/{wildcards['language']}.parquet", "results/gone.parquet"], None


def looked(monkeypatch: pytest.MonkeyPatch, results: Path, record: Any, **changes: Any) -> tuple[Any, list[str]]:
    """A plan with one rule, in a folder with results; what it found and what was said."""
    monkeypatch.chdir(results.parent)
    facts = {"main": True, "spec": json.dumps(RIGHT), "force": False, "own": {}, "touch": False} | changes
    rule, said = Rule(facts["spec"]), list[str]()
    dag = SimpleNamespace(forcefiles=set(), forcerules={rule} if facts["force"] else set())
    persistence = SimpleNamespace(metadata=lambda _: record)
    workflow = SimpleNamespace(is_main_process=facts["main"], dag=dag, persistence=persistence, touch=facts["touch"])
    found = Strangers(workflow, said.append, lambda *names: facts["own"].get(names))
    found.watch([rule, SimpleNamespace(params=SimpleNamespace())])
    for _ in range(2):
        assert rule.inputs[0]({"corpus": "demo", "language": "de"}) == []
    assert set(found.found) == dag.forcefiles
    return found, said


def test_a_file_that_snakemake_does_not_know_is_planned_anew_where_it_differs(
    monkeypatch: pytest.MonkeyPatch, results: Path
) -> None:
    other = json.dumps(RIGHT | {"n": 5})
    monkeypatch.setattr(strangers, "difference", lambda path, spec: f"{path} is wrong" if "n" in spec else None)
    assert looked(monkeypatch, results, None)[1] == []
    found, said = looked(monkeypatch, results, None, spec=other)
    assert set(found.found) == {FILE} and len(said) == 1 and said[0].startswith(f"{FILE} is wrong; with all")
    by_function = looked(monkeypatch, results, None, spec=lambda _: other)
    assert set(by_function[0].found) == {FILE}


def test_a_file_is_compared_with_the_spec_that_it_is_recorded_by(
    monkeypatch: pytest.MonkeyPatch, results: Path
) -> None:
    monkeypatch.setattr(strangers, "difference", lambda _, spec: "wrong" if "n" in spec else None)
    other, named = json.dumps(RIGHT | {"n": 5}), ("collect_documents", FILE)
    assert looked(monkeypatch, results, None, own={named: other})[0].found
    assert not looked(monkeypatch, results, None, spec=other, own={named: json.dumps(RIGHT)})[0].found


def test_what_snakemake_knows_better_is_not_opened(monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    """The file that it made, by its time; one that it makes again because its spec was another; what is forced."""
    monkeypatch.setattr(strangers, "difference", lambda path, _: f"{path} is wrong")
    made = (results / "corpora/demo/de.parquet").stat().st_mtime
    spec = json.dumps(RIGHT)
    for record, known in (
        ({"params": ["'a/b'", repr(spec)], "endtime": made}, True),
        ({"params": ["'a/b'", repr(spec)], "endtime": made + 1}, False),
        ({"params": ["'another'"], "endtime": made + 1}, True),
        ({"params": None, "endtime": made + 1}, False),
        (None, False),
    ):
        assert bool(looked(monkeypatch, results, record)[0].found) != known
    assert not looked(monkeypatch, results, None, main=False)[0].found
    assert not looked(monkeypatch, results, None, force=True)[0].found


def test_a_run_does_not_begin_over_the_files_of_others(monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    """Unless they follow from something that is made anew: then their owner has deleted it."""
    monkeypatch.setattr(strangers, "difference", lambda path, _: f"{path} is wrong")
    found, _ = looked(monkeypatch, results, None)
    job, before = Job([FILE, "results/gone.parquet"]), Job(["results/x"])

    def dag(needed: list[Job], dependencies: list[Job]) -> Any:
        return SimpleNamespace(needrun_jobs=lambda: needed, dependencies={job: dependencies, before: []})

    with pytest.raises(UserError) as refused:
        found.require_none(dag([job], []))
    assert str(refused.value).startswith(f"{FILE} is wrong\nThis run would overwrite it and is not begun. To keep it,")
    assert str(refused.value).endswith(f"to have it made again with all that depends on it: rm {FILE}")
    found.require_none(dag([job, before], [before]))
    found.require_none(dag([], []))


def test_what_is_touched_is_of_the_settings_that_are_asked_for(monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    """Known to Snakemake or not; another version of this program is no reason."""
    header = settings_in(read_any_header(results / FILE.removeprefix("results/")) or {})
    spec = json.dumps({"code": "another", "job": RIGHT["job"], "language": header["language"]})
    other = json.dumps({**json.loads(spec), "language": "sw"})
    known = {"params": ["'another'"], "endtime": 0.0}
    for record in (known, None):
        found, _ = looked(monkeypatch, results, record, touch=True, spec=spec)
        found.require_none(SimpleNamespace(needrun_jobs=list))
        found, _ = looked(monkeypatch, results, record, touch=True, spec=other)
        with pytest.raises(UserError, match="with other settings: language de, here sw\nTouched, it would pass for"):
            found.require_none(SimpleNamespace())
    assert looked(monkeypatch, results, None, spec=spec)[0].found, "but a run says so"
