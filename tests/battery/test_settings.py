"""Every setting with values that people type by mistake: refused with file and line, or loaded as it was written."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.battery import Cases, examples, part_of, same
from tests.helpers.leaves import edited, everything, value_at

from polyprune.errors import UserError
from polyprune.settings.load import load_settings

Judge = Callable[[str], Cases]

VALUES: list[Any] = [
    None, True, "", " ", "12", "no", "ja", "ü" * 3, "a\nb", "../x", "x" * 300, "$(id)", "{language}",
    0, -1, 1, 10**30, 10**20, 2**63, 0.0, -0.5, 0.5, 1e-300, 1e300, float("nan"), float("inf"),
    [], {}, [None], [[]], {"x": 1}, [1, 2], ["de", "de"],
]  # fmt: skip
"""What stands in place of a value."""


def leaves(node: Any, place: str = "") -> Iterator[str]:
    """Places of all values and of all sections of a configuration."""
    if place:
        yield place
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{place}.{key}".lstrip("."))


EVERYTHING = everything()
PLACES = [place for place in leaves(EVERYTHING) if "." in place]
CASES = part_of(list(product(PLACES, VALUES)), 150)


def loaded(config: dict[str, Any], place: str) -> Any:
    """What the settings hold at a place, after they went through a file."""
    found = load_settings(config).model_dump(mode="python")
    return value_at(found, place)


def as_meant(value: Any, before: Any) -> Any:
    """A whole number where a fraction belongs is that fraction."""
    return float(value) if type(before) is float and type(value) is int else value


@pytest.mark.parametrize("group", range(8))
def test_a_wrong_value_is_refused_or_taken_as_it_is(cases: Judge, group: int):
    judge = cases("settings")
    for place, value in CASES[group::8]:
        config = edited(copy.deepcopy(EVERYTHING), {place: value})
        right = as_meant(value, value_at(EVERYTHING, place))
        if isinstance(right, dict) or right is None:  # defaults fill it
            judge.judge((place, value), lambda c=config: load_settings(c) and Taken(), Taken(), says=())
        else:
            judge.judge((place, value), lambda c=config, p=place: loaded(c, p), right)


class Taken:
    """Loaded; what fills the gaps is told by the defaults."""

    def __repr__(self) -> str:
        return "taken"


@pytest.mark.parametrize("place", part_of(PLACES, 20))
def test_an_unknown_key_is_refused_with_its_line(cases: Judge, place: str, tmp_path: Path):
    node = value_at(EVERYTHING, place)
    if not isinstance(node, dict):
        place, _, _ = place.rpartition(".")
    file = tmp_path / "mine.yaml"
    changed = edited(copy.deepcopy(EVERYTHING), {f"{place}.titel": 1})
    file.write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
    cases("settings").judge((place, "titel"), lambda: load_settings(changed, [file]), says=("titel", str(file)))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def test_any_value_anywhere(cases: Judge):
    judge = cases("settings, any value")

    @examples(400, 40)
    @given(st.sampled_from(PLACES), ANYTHING)
    def attempt(place: str, value: Any) -> None:
        config = edited(copy.deepcopy(EVERYTHING), {place: value})
        right = as_meant(value, value_at(EVERYTHING, place))
        if isinstance(right, dict) or right is None:
            judge.judge((place, value), lambda: load_settings(config) and Taken(), Taken())
        else:
            judge.judge((place, value), lambda: loaded(config, place), right)

    attempt()


def test_what_is_compared_tells_true_from_one():
    assert same([1, {"a": 0.5}], [1, {"a": 0.5}])
    assert not same(True, 1) and not same("1", 1) and not same(1.0, 1)


def test_a_case_that_is_taken_without_a_word_fails():
    """The battery's own teeth."""
    judge = Cases("teeth", [])
    with pytest.raises(AssertionError, match="taken without a word"):
        judge.judge("x", lambda: 1)
    with pytest.raises(AssertionError, match="1 instead of 2"):
        judge.judge("x", lambda: 1, right=2)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        judge.judge("x", lambda: 1 // 0)

    def refuse() -> None:
        raise UserError("because")

    with pytest.raises(AssertionError, match="though nothing is wrong"):
        judge.judge("x", refuse, right=1, sure=True)
    with pytest.raises(AssertionError, match="does not say"):
        judge.judge("x", refuse, says=("why",))
    assert judge.judge("x", refuse) == "because"
    assert len(judge.properties) == 6
