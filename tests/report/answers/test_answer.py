"""Of how many hypotheses a gain's p is one."""

from __future__ import annotations

import numpy as np
from tests.helpers.answers import BLOCK, study

from polyprune.report.answers.answer import best_calibrations


def test_two_languages_are_one_question_and_not_two():
    """DE less EN and EN less DE have one p; a mix beside them is a question of its own."""
    column = study(np.random.default_rng(6), effect=0.8)["arc", "de"]
    for names, hypotheses in ((("de", "en"), 1), (("de", "en", "ar-de-en"), 2)):
        some = column.only({name: column.seeds[name] for name in names})
        others = best_calibrations({BLOCK: {("arc", "de"): some}}).query("reference == 'others'")
        assert set(others["hypotheses"]) == {hypotheses}
        own = others[others["calibration"] == "de"].iloc[0]
        assert own["p"] <= own["p_holm"] <= hypotheses * own["p"] + 1e-12
