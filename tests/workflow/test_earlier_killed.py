"""Snakemake killed while it keeps or puts back: no file is ever believed to be made with other settings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.taken_away import OLD, Place, begin_export, exported, kept, nothing_queued

from polyprune.workflow import earlier
from polyprune.workflow.earlier import Records, put_back


class Killed(BaseException):
    """SIGKILL, as far as one process can have it."""


STEPS: list[tuple[Any, str]] = [
    (os, "link"),
    (Path, "replace"),
    (shutil, "rmtree"),
    (Records, "write"),
    (Records, "complete"),
]


def killed_at(number: int, does: Callable[[], None]) -> bool:
    """Whether what `does` came to as many steps and was killed before that one."""
    left = [number]

    def patched(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*words: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*words, **named)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, patched(getattr(owner, name)))
        try:
            does()
        except Killed:
            return True
    return False


def failed(place: Place) -> None:
    place.end(None)


def killed_late(place: Place) -> None:
    place.output.write_text("new")


STEPS_TAKEN = ((failed, 5), (killed_late, 4))


@pytest.mark.parametrize(("befalls", "number"), [(each, n) for each, n_steps in STEPS_TAKEN for n in range(n_steps)])
def test_killed_at_any_step_no_file_is_believed_to_be_made_with_other_settings(
    place: Place, befalls: Callable[[Place], None], number: int
):
    place.begin()
    befalls(place)
    assert killed_at(number, lambda: put_back(nothing_queued))
    content, made_with, marked = place.state
    assert marked or content is None or (content, made_with) == ("old", OLD["params"])
    put_back(nothing_queued)
    assert place.state == ("old", OLD["params"], False) and kept() == []


@pytest.mark.parametrize("number", range(7))
def test_killed_at_any_step_a_folder_is_whole_where_its_output_is_there(export: Place, number: int):
    begin_export(export)
    export.end(None)
    assert killed_at(number, lambda: put_back(nothing_queued))
    assert not export.output.exists() or exported(export) == {"config.json": "old", "weights": "old weights"}
    put_back(nothing_queued)
    assert exported(export) == {"config.json": "old", "weights": "old weights"}


def test_those_are_all_steps(place: Place):
    for befalls, n_steps in STEPS_TAKEN:
        place.begin()
        befalls(place)
        assert not killed_at(n_steps, lambda: put_back(nothing_queued))


def test_killed_while_it_keeps_nothing_is_lost(place: Place):
    assert killed_at(1, lambda: place.tell("JOB_INFO"))
    assert len(kept()) == 1 and earlier._read(kept()[0]) is None
    put_back(nothing_queued)
    assert kept() == [] and place.state == ("old", OLD["params"], False)
