"""What sections of the configuration share: the refusal of unknown keys, and types of single values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from polyprune.grammar.spelling import nearest

HINT = "\0"


class Section(BaseModel):
    """Base of all settings: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _hint_at_known_keys(cls, values: Any) -> Any:
        """Write the valid keys beside an unknown one: the refusal, which comes later, does not know them."""
        if not isinstance(values, Mapping):
            return values
        known = cls.model_fields
        return {
            key if key in known else f"{key}{HINT}{nearest(str(key), known)}": value for key, value in values.items()
        }


def distinct(values: list[Any]) -> list[Any]:
    if twice := [value for value, count in Counter(map(str, values)).items() if count > 1]:
        raise ValueError(f"{', '.join(twice)} listed twice")
    return values


Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Languages = Annotated[list[Language], Field(min_length=1), AfterValidator(distinct)]
Count = Annotated[int, Field(ge=1)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash: a branch would move on")]
Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.]*(-[a-z0-9.]+)*$")]
