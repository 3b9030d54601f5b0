"""What sections of the configuration share: the refusal of unknown keys, and types of single values."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from polyprune.grammar.calibrations import LANGUAGE_PATTERN
from polyprune.grammar.schemes import MOST_SEED


class Section(BaseModel):
    """Base of all settings: unknown keys are refused, values do not change and are of their type.

    `true` and "12" are no numbers, and neither are infinities.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def distinct(values: list[Any]) -> list[Any]:
    if twice := [value for value, count in Counter(map(str, values)).items() if count > 1]:
        raise ValueError(f"{', '.join(twice)} listed twice")
    return values


Language = Annotated[str, Field(pattern=f"^{LANGUAGE_PATTERN}$")]
Languages = Annotated[list[Language], Field(min_length=1), AfterValidator(distinct)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash: a branch would move on")]
Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.]*(-[a-z0-9.]+)*$")]
