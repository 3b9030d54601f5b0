"""What the headers of planned files will say, and what the jobs that read them ask of these, as jobs do it."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tests.helpers.planner import PlannedJob, entries
from tests.helpers.reruns import own_entries

from polyprune.artifacts.identity import made_otherwise
from polyprune.running.braces import expanded
from polyprune.running.run import expectations

RESOLVED = "f" * 40
"""The commit that the hub gave for models of which the configuration names none."""


Options = dict[str, list[str]]
Asked = Mapping[Path, Sequence[Mapping[str, Any]]]
"""By input file of a job, what its header is to say."""


def asked_by(jobs: Iterable[PlannedJob]) -> dict[str, Asked]:
    """By command, of which many jobs have the same, what it asks of its inputs."""
    specs = {job.command: entries(job.spec) for job in jobs}
    return {
        command: expectations(options, specs[command].get("inputs", {}), specs[command].get("made_with", {}))
        for command, options in _options_of(specs).items()
    }


def _options_of(commands: Collection[str]) -> dict[str, Options]:
    """By command, the options of a job, as bash hands them over and the job puts their braces apart; by one bash."""
    told = "tell() { printf '%s\\0' $# \"$@\"; }\n"
    lines = "".join(f"tell {command.split(' -m polyprune ')[1]}\n" for command in commands)
    spelt_out = subprocess.run(["bash"], input=told + lines, capture_output=True, text=True, check=True)
    words = iter(spelt_out.stdout.split("\0"))
    return {command: _options(list(islice(words, int(next(words))))) for command in commands}


def _options(words: Sequence[str]) -> Options:
    """Of a stage's words, the first of which is its name."""
    found: Options = {}
    for word in words[1:]:
        if word.startswith("--"):
            found[word[2:].replace("-", "_")] = []
        else:
            option = list(found)[-1]
            found[option] += [word] if option == "settings" else expanded(word)
    return found


def header_of(job: PlannedJob, file: str) -> Mapping[str, Any]:
    """What a file says that the job writes."""
    spec = entries(job.spec)
    if file.endswith(".h5") or "/benchmarks/" in file:
        return {"provenance": spec}
    if file.endswith("model.json"):
        source = {name: value for name, value in spec["source"].items() if value is not None}
        return {"provenance": spec, "source": {"revision": RESOLVED, **source}}
    if job.stage == "import_cell":
        return spec | {"checkpoint": spec["inputs"]["checkpoint"]}
    return spec


def settings_of(job: PlannedJob) -> dict[str, Any]:
    return {name: value for name, value in own_entries(job).items() if name not in ("code", "job")}


@dataclass(frozen=True)
class Read:
    """A file that a job reads: what says that it was made otherwise, and by how it is made now and was before."""

    file: str
    reader: PlannedJob
    maker: PlannedJob
    maker_before: PlannedJob
    refused: bool


def read(before: Sequence[PlannedJob], after: Sequence[PlannedJob], asked: Mapping[str, Asked]) -> Iterator[Read]:
    """Of each job, each file that was there before, as it was then; `asked` is what its command asks."""
    was, now = ({file: job for job in jobs for file in job.outputs} for jobs in (before, after))
    for reader in after:
        for file in reader.inputs & was.keys() & now.keys():
            header, wanted = header_of(was[file], file), asked[reader.command].get(Path(file), [])
            refused = any(made_otherwise(header, each) for each in wanted)
            yield Read(file, reader, now[file], was[file], refused)
