"""Results that lie there without Snakemake's knowing how they came: moved, linked, copied from others, or swapped.

Snakemake remembers in `.snakemake` what it made a file with. Of a file that it does not know, or that is not the one
which it made, it believes that it is the right one. So such files are asked themselves: their headers say what they
were made with (`artifacts/identity.py`), which is compared with the specs of the jobs that would make them. One that
was made otherwise, or is damaged, is a stranger. A dry run plans it anew, with all that depends on it; a run refuses to
begin before it is deleted, for it may be somebody else's work.

Only files are opened that Snakemake does not know: what it has made itself costs nothing here. With `--touch`, which
has Snakemake take what lies there for what it would make, all are asked for their settings; that this program was
another one is left to who touches. A file where a folder of results or logs belongs ends a plan, too.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from polyprune.errors import UserError
from polyprune.workflow.quick_files import filled
from polyprune.workflow.quick_records import record_of
from polyprune.workflow.wildcards import Wildcards

_SHOWN = 10
_JOB, _CODE = "job", "code"
"""Entries of specs: the job's name, which files that several jobs might write do not have; the digest of its code."""


class Strangers:
    """Looks at results when a run is planned; `workflow` is Snakemake's.

    `spec_of` has the spec that an output of a rule is recorded by, where it is not its job's.
    """

    def __init__(self, workflow: Any, say: Callable[[str], None], spec_of: Callable[[str, str], str | None]) -> None:
        self.workflow, self.say, self.spec_of = workflow, say, spec_of
        self.found: dict[str, str] = {}
        self._seen: set[str] = set()
        self._folders: dict[str, bool] = {}

    def watch(self, rules: Iterable[Any]) -> None:
        """Have rules with a spec ask for inputs here, which get none: their outputs are looked at."""
        for rule in rules:
            if hasattr(rule.params, "spec"):
                rule.set_input(self._look(rule))

    def _look(self, rule: Any) -> Callable[[Wildcards], list[str]]:
        def no_files(wildcards: Wildcards) -> list[str]:
            values = dict(wildcards.items())
            if not self.workflow.is_main_process:
                return []
            for log in rule.log:
                self._has_folder(filled(log, values))
            places = [filled(output, values) for output in rule.output]
            there = {place: time for place in places if (time := self._time_of(place)) is not None}
            if there and rule not in self.workflow.dag.forcerules:
                outputs, _ = rule.expand_output(values)
                spec: Any = rule.params.spec
                text = str(spec(wildcards) if callable(spec) else spec)
                for output, time in zip(outputs, map(there.get, places), strict=True):
                    if time is not None:
                        self._judge(output, time, self.spec_of(rule.name, str(output)) or text)
            return []

        return no_files

    def _time_of(self, place: str) -> float | None:
        """When a file was changed or put there as a link; None if there is none."""
        if not self._has_folder(place):
            return None
        try:
            found = os.lstat(place)
        except OSError:
            return None
        linked = stat.S_ISLNK(found.st_mode)
        return found.st_mtime if stat.S_ISREG(found.st_mode) or (linked and Path(place).is_file()) else None

    def _has_folder(self, file: str) -> bool:
        """Whether the file's folder is there, asked once of each; where that is a file or cannot be seen, the run ends.

        Before Snakemake stumbles over it.
        """
        folder, _, _ = file.rpartition("/")
        if not folder:
            return True
        if folder not in self._folders:
            path = Path(folder)
            try:
                self._folders[folder] = self._has_folder(folder) and path.is_dir()
            except PermissionError:
                raise SystemExit(f"error: {path.parent} may not be looked into: see to its permissions") from None
            if not self._folders[folder] and path.is_file():
                raise SystemExit(f"error: {path} is a file and should be a folder: move it away and run again")
        return self._folders[folder]

    def _judge(self, output: Any, time: float, spec: str) -> None:
        """`output` is Snakemake's name of a file that a job of this spec would make; it was changed at that time."""
        path, forced = str(output), self.workflow.dag.forcefiles
        if path in self._seen or output in forced:
            return
        self._seen.add(path)
        touches, wanted = self.workflow.touch, json.loads(spec)
        if touches:
            wanted.pop(_CODE, None)
        if (touches or not self._is_known(output, time, spec)) and (said := difference(Path(path), wanted)):
            self.found[path] = said
            forced.add(output)
            if len(self.found) <= _SHOWN:
                self.say(f"{said}; with all that depends on it, it is to be made again")

    def _is_known(self, output: Any, time: float, spec: str) -> bool:
        """Whether Snakemake knows better: it made this very file, or it will make it again by itself."""
        record = record_of(self.workflow.persistence, output)
        if record is None:
            return False
        params = record.get("params")
        return (params is not None and repr(spec) not in params) or record.get("endtime") == time

    def require_none(self, dag: Any) -> None:
        """Before the first job of Snakemake's `dag`.

        Raises:
            UserError: files of others would be overwritten, other than those whose own inputs are made again; or any
                would be touched.
        """
        if self.found and self.workflow.touch:
            raise UserError(
                f"{next(iter(self.found.values()))}\nTouched, it would pass for what is asked for now: nothing is "
                "touched. Take the settings it was made with, or have it made again: the same without --touch"
            )
        needed = set(dag.needrun_jobs())
        first = [job for job in needed if not needed & set(dag.dependencies[job])]
        named = sorted(str(file) for job in first for file in job.output if str(file) in self.found)
        if named:
            more = f" (and {len(named) - _SHOWN} more, whose jobs snakemake -n shows)" if len(named) > _SHOWN else ""
            raise UserError(
                f"{self.found[named[0]]}\nThis run would overwrite it and is not begun. To keep it, take the settings "
                "it was made with, or a results folder of your own; to have it made again with all that depends on it: "
                f"rm {' '.join(named[:_SHOWN])}{more}"
            )


def difference(path: Path, spec: Mapping[str, Any]) -> str | None:
    """What of a file is not as its job would write it, in words; None if nothing is, or if it has no header.

    Of a spec without the digest of its code only settings are compared.
    """
    # Imported here because few plans meet such files, and it takes a second.
    from polyprune.artifacts.any_kind import read_any_header, settings_in
    from polyprune.artifacts.identity import made_otherwise

    try:
        header = read_any_header(path)
        if header is None:
            return None
        settings = {name: value for name, value in spec.items() if name not in (_JOB, _CODE)}
        if said := made_otherwise(settings_in(header), settings):
            return f"{path} was made with other settings: {said}"
        if said := made_otherwise(settings_in(header), {name: value for name, value in spec.items() if name == _CODE}):
            return f"{path} was made by another version of this program: {said}"
    except UserError as error:
        return str(error)
    return None
