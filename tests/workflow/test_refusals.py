"""What is wrong outside is told of all that a plan needs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from polyprune.errors import UserError
from polyprune.workflow.refusals import OutsideError, Refusals, told


@pytest.fixture
def refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refusals:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("models:\n  one: {}\n  two: {}\n", encoding="utf-8")
    return Refusals([Path("own.yaml")])


def add_three(refusals: Refusals) -> None:
    def broken() -> None:
        raise UserError("no weights")

    refusals.add(UserError("the cache is damaged"))
    for name in ("one", "two"):
        with pytest.raises(OutsideError) as refused:
            told(broken, ("models", name))
        refusals.add(refused.value)


SAID = """\
error: 2 problems in the configuration
  own.yaml:2: models.one: no weights
  own.yaml:3: models.two: no weights
error: the cache is damaged"""


def test_all_is_told_with_its_lines(refusals: Refusals) -> None:
    refusals.require_none()
    assert told(lambda: 7, ("models", "one")) == 7
    add_three(refusals)
    with pytest.raises(SystemExit) as ended:
        refusals.require_none()
    assert ended.value.code == SAID


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_told_when_snakemake_has_planned_or_cannot_go_on(
    fails: bool, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    import snakemake.api  # noqa: F401, whose modules import each other
    from snakemake.dag import DAG

    async def plan(*_: Any, progress: bool) -> None:
        assert progress
        add_three(refusals)
        if fails:
            raise ValueError

    monkeypatch.setattr(DAG, "init", plan)
    earlier = Refusals([])
    earlier.add(UserError("of another plan"))
    for each in (earlier, refusals):
        each.tell_when_planned()
    with pytest.raises(SystemExit) as ended:
        asyncio.run(DAG.init(None, progress=True))  # pyright: ignore[reportArgumentType]
    assert ended.value.code == SAID
