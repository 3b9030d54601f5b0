"""What a job takes away when it starts is kept until it has succeeded, and put back if it never does.

Snakemake removes the outputs of a job that it starts. If the run then fails or is killed, they are gone, and going back
to the settings that they were made with would make them once more. So Snakemake's main process gives each of them a
second name below `.snakemake/earlier` (a hard link: no second copy) before its job starts, and notes Snakemake's record
of what it was made with. Once the job has succeeded, that name goes. What has one when the workflow is next read was
taken away for nothing: it is put back with its record, as if its job had not been started, and Snakemake compares it
with whatever the settings are by then.

While an output is put back, Snakemake's mark says that it is incomplete, or it is missing, until its record is the one
that it was made with: whoever is killed in between, no file is ever believed to be made with other settings. Nothing is
put back while jobs may still be at work: under a lock of Snakemake's, or in Slurm's queue. Those that ran beside a
killed Snakemake have ended with it (`running/lifeline.py`).

Where there are no hard links, or none to where results lie, nothing is kept and nothing said.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from polyprune.errors import UserError
from polyprune.provenance import digest
from polyprune.workflow.bundles import works_like

PLACE = Path(".snakemake/earlier")
"""A folder for each output that is kept."""
_FILE, _BESIDE, _ABOUT = "file", "beside", "about.json"
"""The output itself, the folder that its job writes besides, and, written last, `About`."""

FOLDERS: Mapping[str, Callable[[Path], Path]] = {
    "train_model": lambda manifest: manifest.parent / "checkpoint",
    "convert_model": lambda manifest: manifest.parent / "checkpoint",
    "export_model": lambda config: config.parent,
    "export_packed": lambda config: config.parent,
    "fetch_benchmark": lambda manifest: manifest.with_suffix(""),
    "generate_benchmark": lambda manifest: manifest.with_suffix(""),
}
"""Rules whose jobs write more than their output, which comes last and describes it: the folder, by the output."""

About = dict[str, Any]
"""`output`; `record`, Snakemake's; `folder` or None; `alike`: made again from the same settings, code and list of
inputs; `works`: the Slurm jobs that may be writing it, none if it was made again on this machine."""


class Records:
    """Snakemake's notes on outputs. What of it is private is used here only: 9.x, `snakemake/persistence`."""

    def __init__(self, persistence: Any) -> None:
        self._notes = persistence

    @property
    def locked(self) -> bool:
        """Whether a Snakemake is at work in this folder, or was killed there."""
        return any(True for _ in self._notes._read_locks())

    def of(self, output: str) -> dict[str, Any] | None:
        """What the output was made with, as JSON has it."""
        record = self._notes._read_record(output)
        return None if record is None else dict(record.items())

    def write(self, output: str, record: Mapping[str, Any]) -> None:
        from snakemake.persistence import MetadataRecord

        self._notes._write_record(output, MetadataRecord(**record))

    def reread(self) -> None:
        """What was read of records before is not believed any more: some have been written since."""
        self._notes._clear_cache()

    def incomplete(self, output: str) -> bool:
        """Whether a job has begun to write it, and nobody has said that it ended."""
        return bool(self._notes._filter_incomplete_keys([output]))

    def complete(self, output: str) -> None:
        self._notes._unmark_incomplete(output)

    def alike(self, job: Any, output: Any) -> bool:
        """Whether the job would leave the output's record as it is, but for times and contents."""
        changed = (self._notes.params_changed, self._notes.code_changed, self._notes.input_changed)
        return not any(has(job, file=output) for has in changed)


def jobs_to_run(dag: Any) -> dict[int, Any]:
    """Jobs of Snakemake's `dag` by the numbers that its log has of them."""
    return {dag.jobid(job): job for job in dag.needrun_jobs()}


class Keeper(logging.Handler):
    """Handler of Snakemake's log: keeps what a job is about to take away, and forgets it when the job has succeeded."""

    def __init__(self, jobs: Mapping[int, Any], records: Records, on_slurm: bool) -> None:
        super().__init__()
        self.jobs, self.records, self.on_slurm = jobs, records, on_slurm

    def emit(self, record: logging.LogRecord) -> None:
        """Snakemake tells of a job just before it starts it, and when it has noted how it ended."""
        event, details = getattr(record, "event", None), vars(record)
        if event is None:
            return
        if event.name == "JOB_INFO":
            self._keep(self.jobs[details["jobid"]])
        elif event.name == "JOB_FINISHED":
            for output in self.jobs[details["job_id"]].output:
                shutil.rmtree(_entry(output), ignore_errors=True)

    def _keep(self, job: Any) -> None:
        works = works_like(job.rule.name, job.wildcards, job.output) if self.on_slurm and not job.is_local else ()
        for output in job.output:
            entry, made_with = _entry(output), self.records.of(output)
            if made_with and not entry.exists() and os.path.lexists(output) and not self.records.incomplete(output):
                folder = FOLDERS[job.rule.name](Path(output)) if job.rule.name in FOLDERS else None
                about = {
                    "output": str(output),
                    "record": made_with,
                    "folder": folder and str(folder),
                    "alike": self.records.alike(job, output),
                    "works": sorted(works),
                }
                with _all_or_nothing(entry):
                    _link(Path(output), entry / _FILE)
                    if folder:
                        _link(folder, entry / _BESIDE, but=Path(output))
                    (entry / "part").write_text(json.dumps(about), encoding="utf-8")
                    (entry / "part").replace(entry / _ABOUT)


def keep_earlier(workflow: Any, logger: logging.Logger) -> None:
    """Before the first job of Snakemake's `workflow`: keep what its jobs take away.

    Not with records in a data base, in runs that touch files, or where jobs are not to be found again once they were
    given away: in groups, or to other schedulers than Slurm.
    """
    from snakemake.persistence.file import FilePersistence

    away = workflow.non_local_exec
    jobs = jobs_to_run(workflow.dag)
    lost = away and (workflow.executor_plugin.name != "slurm" or any(job.group for job in jobs.values()))
    if isinstance(workflow.persistence, FilePersistence) and not workflow.touch and not lost:
        logger.addHandler(Keeper(jobs, Records(workflow.persistence), away))


def put_back(queued_work: Callable[[], Collection[str]]) -> None:
    """Before Snakemake plans: put back what jobs have taken away that did not succeed. Forget all else that was kept.

    `queued_work` asks Slurm for the works of its jobs, see `works_like`; it may raise `UserError`.
    """
    entries = sorted(PLACE.iterdir()) if PLACE.is_dir() else []
    if not entries:
        return
    from snakemake.persistence.file import FilePersistence

    records = Records(FilePersistence())
    if records.locked:
        return
    kept = {entry: about for entry in entries if (about := _read(entry)) and _is_taken(about, records)}
    works = {work for about in kept.values() for work in about["works"]}
    try:
        at_work = works & set(queued_work()) if works else set()
    except UserError:
        at_work = works
    for entry in entries:
        with suppress(OSError):
            if entry not in kept:
                shutil.rmtree(entry)
            elif at_work.isdisjoint(kept[entry]["works"]):
                _put_back(entry, kept[entry], records)
                shutil.rmtree(entry)


def _is_taken(about: About, records: Records) -> bool:
    """Whether the output is gone or begun; not so if it has been made, or went with its folder."""
    output = Path(about["output"])
    if records.incomplete(about["output"]) or not os.path.lexists(output):
        return output.parent.is_dir()
    # A Slurm job that ended when its Snakemake was gone leaves its output beside the earlier record.
    return records.of(about["output"]) == about["record"] and not about["alike"]


def _put_back(entry: Path, about: About, records: Records) -> None:
    output = Path(about["output"])
    if records.of(about["output"]) != about["record"]:
        records.write(about["output"], about["record"])
    if about["folder"]:
        shutil.rmtree(about["folder"], ignore_errors=True)
        _link(entry / _BESIDE, Path(about["folder"]))
    again = Path(tempfile.mkdtemp(dir=entry)) / "output"
    _link(entry / _FILE, again)
    if output.is_dir():
        shutil.rmtree(output)
    again.replace(output)
    records.complete(about["output"])


def _entry(output: str) -> Path:
    return PLACE / digest(str(output))


def _read(entry: Path) -> About | None:
    """None if whoever kept it was killed before it was whole."""
    with suppress(OSError):
        return json.loads((entry / _ABOUT).read_text(encoding="utf-8"))
    return None


def _link(source: Path, target: Path, but: Path | None = None) -> None:
    """A second name for a file, or for all files below a folder but one."""

    def left_out(place: str, _: list[str]) -> list[str]:
        return [but.name] if but and Path(place) == but.parent else []

    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, ignore=left_out, copy_function=os.link)
    else:
        os.link(source, target, follow_symlinks=False)


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[None]:
    """Make a folder; remove it again if the system refuses something."""
    try:
        folder.mkdir(parents=True)
        yield
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
