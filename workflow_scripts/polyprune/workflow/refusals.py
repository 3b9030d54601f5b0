"""What is wrong with things outside is told at once of all that a plan needs, when Snakemake has made it.

Else whoever has moved a folder of models would plan once for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import unwrap
from pathlib import Path
from typing import Any

from polyprune.errors import UserError
from polyprune.settings.problems import explain
from polyprune.settings.yaml_lines import Place, read_yaml_lines


class OutsideError(UserError):
    """Something outside is not what the configuration says at `place`."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def told(look: Callable[[], Any], place: Place) -> Any:
    """What `look` finds; its refusal is of what the configuration says at `place`."""
    try:
        return look()
    except UserError as error:
        raise OutsideError(place, str(error)) from error


class Refusals:
    """What was found wrong under settings that were read from `files`."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files, self._found = files, list[UserError]()

    def add(self, error: UserError) -> None:
        self._found.append(error)

    def require_none(self) -> None:
        """Raises `SystemExit` with all that was added, where it can with the line of the configuration."""
        problems = [(error.place, str(error)) for error in self._found if isinstance(error, OutsideError)]
        said = [explain(problems, [read_yaml_lines(file) for file in self._files], "config")] if problems else []
        said += [str(error) for error in self._found if not isinstance(error, OutsideError)]
        if said:
            raise SystemExit("\n".join(f"error: {each}" for each in said))

    def tell_when_planned(self) -> None:
        """Have Snakemake's plans end with `require_none`, also those that something else ends."""
        from snakemake.dag import DAG  # it brings pandas

        plan: Any = unwrap(DAG.init)  # not what another plan of this process has put there

        @wraps(plan)
        async def init(dag: Any, *args: Any, **options: Any) -> None:
            try:
                await plan(dag, *args, **options)
            finally:
                self.require_none()

        DAG.init = init  # pyright: ignore[reportAttributeAccessIssue]
