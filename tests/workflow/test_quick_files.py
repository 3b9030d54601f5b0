"""Files and lists of Snakemake's jobs are lighter, and are the same."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake.io
from snakemake.exceptions import WildcardError
from snakemake.io import IOCache, IOFile, _IOFile, flag, is_flagged, temp
from snakemake.iocontainers import InputFiles, Namedlist, Wildcards
from snakemake.jobs import Job
from snakemake.pathvars import Pathvars

from polyprune.workflow import quick_files

THEIRS = snakemake.io.apply_wildcards
ODD = ["", "./a", " a", "a ", "a\nb", "a//b", "//a", "a/{b.c}/d", "s3://a//b", "/a/b", "a/b/", "..", "../a", "/a", "a"]


@pytest.fixture
def rule() -> Any:
    workflow = SimpleNamespace(iocache=IOCache(max_wait_time=10))
    return SimpleNamespace(name="r", lineno=1, snakefile="s", pathvars=Pathvars.with_defaults(), workflow=workflow)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name, ours in quick_files.REPLACED:
        monkeypatch.setattr(owner, name, ours, raising=False)


@pytest.mark.parametrize(
    "pattern", ["results/{model}/{seed,[0-9]+}.md", "{seed}", "a/b.c", "", "{model}{seed}", "{{model}}", "a{b c}", "{"]
)
def test_wildcards_are_put_into_paths_as_snakemake_does(pattern: str) -> None:
    wildcards = {"model": "m", "seed": 3, "b c": "x"}
    assert quick_files.filled(pattern, wildcards) == THEIRS(pattern, wildcards)
    named: Any = Wildcards(fromdict={"model": "m", "seed": "3", "b c": "x"})
    assert quick_files.filled(pattern, named) == THEIRS(pattern, named)


def test_a_wildcard_without_a_value_is_missed() -> None:
    with pytest.raises(WildcardError, match="seed"):
        quick_files.filled("a/{seed}", {"model": "m"})


@pytest.mark.usefixtures("light")
def test_files_without_flags_share_their_path_and_flagged_ones_keep_their_own(rule: Any) -> None:
    pattern = IOFile("results/{model}/a.md", rule)
    first, second = (pattern.apply_wildcards({"model": "m"}) for _ in range(2))
    assert first == second == "results/m/a.md" and hash(first) == hash("results/m/a.md")
    assert first._file is second._file and type(first._file) is str and IOFile(first, rule) is first
    flagged = IOFile(temp("results/{model}/b.md"), rule).apply_wildcards({"model": "m"})
    assert is_flagged(flagged, "temp") and flagged.is_temp and flagged.flags == {"temp": True}
    another: Any = SimpleNamespace(**vars(rule))
    other = IOFile(first, another)
    assert other is not first and other == first


@pytest.mark.usefixtures("light")
def test_flags_that_are_set_later_stay_with_the_file_alone(rule: Any) -> None:
    pattern = IOFile("a/{model}", rule)
    first, second, third = (pattern.apply_wildcards({"model": "m"}) for _ in range(3))
    assert not first.flags and not is_flagged(first, "ancient")
    flag(first, "ancient")
    second.flags.update(checkpoint_target=True, ancient=False)
    assert first.flags == {"ancient": True} and first.is_ancient and is_flagged(first, "ancient")
    assert second.flags == {"checkpoint_target": True, "ancient": False} and not second.is_ancient
    assert third.flags == {} and not third.is_ancient and first == third


@pytest.mark.usefixtures("light")
def test_paths_that_snakemake_changes_are_left_to_it(rule: Any) -> None:
    assert IOFile("a/b/", rule) == "a/b" and IOFile("<results>/a", rule) == "results/a"
    assert IOFile(Path("a/b"), rule) == "a/b"
    assert IOFile(heard, rule).is_callable()


def heard(files: list[str], rule: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(snakemake.io.logger, "warning", said.append)
    for file in files:
        IOFile(file, rule).check()
    return said


def test_the_same_paths_are_odd(rule: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    before = heard(ODD, rule, monkeypatch), [IOFile(path, rule).get_inventory_parent() for path in ODD]
    request.getfixturevalue("light")
    assert (heard(ODD, rule, monkeypatch), [IOFile(path, rule).get_inventory_parent() for path in ODD]) == before
    assert len(before[0]) > 6


@pytest.mark.usefixtures("light")
def test_files_are_looked_for_once_where_the_cache_is_in_use(rule: Any, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    there, not_there = (IOFile(str(tmp_path / name), rule) for name in "ab")
    assert asyncio.run(there.exists()) and not asyncio.run(not_there.exists())
    (tmp_path / "a").unlink()
    (tmp_path / "b").touch()
    assert asyncio.run(there.exists()) and not asyncio.run(not_there.exists())
    rule.workflow.iocache.deactivate()
    assert not asyncio.run(there.exists()) and asyncio.run(not_there.exists())
    (tmp_path / "b").unlink()
    assert not asyncio.run(not_there.exists())


@pytest.mark.usefixtures("light")
def test_what_a_look_into_the_folder_found_is_known(rule: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    there, not_there = (IOFile(str(tmp_path / name), rule) for name in "ab")
    asyncio.run(there.inventory())
    monkeypatch.setattr(os.path, "exists", lambda path: pytest.fail(f"{path} was looked for"))
    assert asyncio.run(there.exists()) and not asyncio.run(not_there.exists())


def test_lists_are_the_same(request: pytest.FixtureRequest) -> None:
    def lists() -> list[tuple[list[str], dict[str, Any], list[str], list[Any]]]:
        plain = InputFiles(["x", "y", "z"])
        plain._set_name("several", 0, end=2)
        plain._add_name("index")
        found = [plain, InputFiles(toclone=plain), Namedlist(fromdict={"sort": 1, "b": 2}), plain._plainstrings()]
        found += [Namedlist(), Namedlist(iter("ab")), Namedlist(["a"], custom_map=str.upper)]
        return [(list(each), dict(each.items()), list(each.keys()), list(each._allitems())) for each in found]

    before = lists()
    request.getfixturevalue("light")
    assert lists() == before and Wildcards(fromdict={"a": 1}).get("sort", 3) == 3
    with pytest.raises(AttributeError, match="cannot be used"):
        Namedlist(["a"]).sort()
    with pytest.raises(AttributeError, match="reserved"):
        Namedlist(fromdict={"append": 1})


@pytest.mark.parametrize(
    ("outputs", "benchmark", "oldest"),
    [({"a": 30, "b": 20}, 40, 20), ({"a": 30, "b": None}, 10, 10), ({"a": None}, 10, 10), ({"a": None}, None, None)],
)
def test_the_oldest_output_is_found(
    outputs: dict[str, int | None],
    benchmark: int | None,
    oldest: float | None,
    rule: Any,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    for name, time in {**outputs, "benchmark": benchmark}.items():
        if time is not None:
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (time, time))
    files = {name: IOFile(str(tmp_path / name), rule) for name in [*outputs, "benchmark"]}
    job: Any = SimpleNamespace(output=[files[name] for name in outputs], benchmark=files["benchmark"])
    for _ in range(2):
        assert asyncio.run(Job.__dict__["output_mintime"].fget(job)) == oldest
        request.getfixturevalue("light")
    assert _IOFile.exists is quick_files._exists
