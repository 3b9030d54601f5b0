"""Rows of one table are asked alike: a model's questions are put by one chat template."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from polyprune.errors import UserError
from polyprune.report.tables.rows import require_same_questions

VARIANTS = [("dense", "dense", "dense", None), *(("wanda", "0.50", "en", seed) for seed in (0, 1, 2))]
A, B = "a" * 16, "b" * 16


def rows(model: str, templates: list[str | None]) -> list[dict[str, Any]]:
    """Two columns of each variant, asked by its template."""
    return [
        {"model": model, "method": method, "scheme": scheme, "calibration": calibration, "seed": seed}
        | {"metric": "arc", "eval_language": language, "n": 60, "value": 1.0, "chat_template": template}
        for (method, scheme, calibration, seed), template in zip(VARIANTS, templates, strict=True)
        for language in ("de", "en")
    ]


@pytest.mark.parametrize("template", [A, None])
def test_one_template_a_model_is_right(template: str | None) -> None:
    require_same_questions(pd.DataFrame(rows("tiny", [template] * 4) + rows("other", [B] * 4)), ["arc"])


@pytest.mark.parametrize(("usual", "other"), [(A, B), (None, B), (A, None)])
def test_rows_asked_by_another_template_are_refused(usual: str | None, other: str | None) -> None:
    asked = pd.DataFrame(rows("other", [B] * 4) + rows("tiny", [usual, usual, other, usual]))
    with pytest.raises(
        UserError, match=r"tiny/wanda/0\.50/en/seed1: arc of de was asked with another chat .*\(and 1 more like this\)"
    ):
        require_same_questions(asked, ["arc"])
