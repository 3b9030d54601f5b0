"""How much text of a corpus the cells of studies take."""

from __future__ import annotations

import pytest
from tests.helpers.leaves import edited, everything

from polyprune.settings.calibrations import sequences_of_cells
from polyprune.settings.load import load_settings


@pytest.mark.parametrize(
    ("calibrations", "sampling", "taken"),
    [
        (["sw"], "packed", {"made/sw": 8, "code/en": 0}),
        (["sw+n20", "sw+n3"], "packed", {"made/sw": 20}),
        (["en20@code-sw80+n12"], "packed", {"made/sw": 10, "code/en": 2}),
        (["en@code-sw"], "long_documents", {"made/sw": 4, "code/en": 0}),
        (["en@code+chat"], "long_documents", {"made/sw": 0, "code/en": 8}),
        (["random", "sw+self"], "packed", {"made/sw": 0}),
    ],
)
def test_the_most_sequences_of_all_cells_of_a_model(calibrations: list[str], sampling: str, taken: dict[str, int]):
    """Of 12 in shares of four fifths and one: 9.6 and 2.4. Windows of long documents may be drawn again, exchanges are
    packed, and a model that goes on from beginnings needs few of them.
    """
    places = {
        "studies.all.grids.elsewhere.calibrations": calibrations,
        "models.trained.text.sampling_of": {"code": sampling},
    }
    settings = load_settings(edited(everything(), places))
    for place, n in taken.items():
        assert sequences_of_cells(settings, "trained", *place.split("/")) == n
