"""docs/configuration.md says of every setting what the types say, with a unit and an example."""

from __future__ import annotations

import pytest
from tests.helpers.configuration_page import GENERATED, PAGE, page, unit_of
from tests.helpers.leaves import settings_of_types


def test_the_page_is_that_of_the_types() -> None:
    """If red: PYTHONPATH=.:workflow_scripts python -m tests.helpers.configuration_page"""
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text)


def test_every_setting_has_a_row_with_an_example() -> None:
    made = PAGE.read_text(encoding="utf-8").partition(GENERATED)[2]
    rows = [line for line in made.splitlines() if line.startswith("| `")]
    assert len(rows) == len(settings_of_types()) > 100
    assert all(len(example) > 2 for example in (row.split(" | ")[4] for row in rows))


def test_a_number_without_a_unit_is_no_row() -> None:
    assert unit_of("models.text.sequence_length", {"type": "integer"}) == "tokens"
    assert unit_of("models.title", {"type": "string"}) == ""
    with pytest.raises(LookupError, match=r"no unit of models\.text\.new_number"):
        unit_of("models.text.new_number", {"anyOf": [{"type": "number"}, {"type": "null"}]})
