"""What lets Snakemake plan more quickly: it need not find out again for each job what is the same for many.

Plans are the same with it and without. What is left, and whose it is, `benchmarks/planning.py` measures.
"""

from __future__ import annotations

import atexit
import gc
import inspect
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from snakemake.common import overwrite_function_params
from snakemake.jobs import Job
from snakemake.output_index import OutputIndex
from snakemake.resources import Resource
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from polyprune.workflow.quick_files import lighten
from polyprune.workflow.quick_records import read_records_quickly

OWN_LOGGERS = {"ledger"}
"""Loggers that read no more of a job than is said of it here."""
_YOUNG_OBJECTS = 50_000
Product = tuple[str, str, Any]
"""How an output begins before its first wildcard and ends after its last, and its rule."""
_COMMAND: Any = Job.shellcmd.fget
"""Snakemake's own."""


def collect_rarely() -> None:
    """Look for dead cycles of objects after so many new ones as make a thousand jobs, not after Python's 700.

    Nor when the process ends, which gives back everything at once.
    """
    gc.set_threshold(_YOUNG_OBJECTS, 20, 100)
    atexit.register(gc.freeze)


def quicken(rules: Iterable[Any]) -> None:
    """Of Snakemake's rules, all of which have been read, tell and remember what it would work out many times.

    It is told the parameters of functions, which it looks up several times a job, by its own means. It remembers the
    rules that may make a file, which it searches for each reader of the file among all that begin alike, as all of ours
    do, and the command of the job in hand, which it formats three times to print it. Whether an output lies in another
    it asks of neighbours in a sorted list of all; here of folders, and only if one is there, it is asked to say so.
    """
    from snakemake.dag import DAG  # it brings pandas

    lighten()
    read_records_quickly()
    for function in [Resource("any", 0).evaluate, *_functions(rules)]:
        plain = getattr(function, "__func__", function)
        overwrite_function_params(plain, inspect.signature(function).parameters)  # pyright: ignore[reportArgumentType]
    OutputIndex.match_producers = cache(_producers)
    theirs: Any = DAG
    theirs.check_directory_outputs = _where_one_may_lie_in_another(theirs.check_directory_outputs)
    Job.shellcmd = property(_once_in_hand(_COMMAND))  # pyright: ignore[reportAttributeAccessIssue]


def only_plan(logger: logging.Logger, settings: Any) -> None:
    """In a dry run work out nothing that is for jobs that run, and for readers who are not there.

    Snakemake asks for each job's resources when it is done, to hand them back; and for its command, reason and
    resources again, to print them, though it is told to be quiet about rules: a quarter of the time.
    """
    if not settings.dryrun:
        return
    from snakemake.scheduling.job_scheduler import JobScheduler  # it brings pandas

    JobScheduler._free_resources = lambda self, job: None  # noqa: ARG005
    if Quietness.RULES in (settings.quiet or ()) and {*settings.log_handler_settings} <= OWN_LOGGERS:
        Job.log_info = lambda job, **_: logger.info("", extra=_planned(job))  # pyright: ignore[reportAttributeAccessIssue]


def _planned(job: Any) -> dict[str, Any]:
    """Of a planned job what our own loggers read."""
    event = {"event": LogEvent.JOB_INFO, "rule_name": job.rule.name, "wildcards": job.wildcards_dict}
    return event | {"output": job.output, "log": job.log}


def _functions(rules: Iterable[Any]) -> Iterator[Callable[..., Any]]:
    """Functions of wildcards in inputs, parameters and resources, as Snakemake holds them."""
    for rule in rules:
        resources = [resource._value for resource in rule.resources.values()]
        for item in [*rule.input, *rule.params, *resources]:
            function = getattr(getattr(item, "_file", item), "callable", item)
            if callable(function):
                yield function


def _producers(index: Any, file: str) -> set[Any]:
    """The rules that make a file: of those with an output that begins and ends as it does."""
    by_name, nameless = _products(index)
    candidates = [*by_name.get(file.rsplit("/", 1)[-1], ()), *nameless]
    rules = {rule for begin, end, rule in candidates if file.startswith(begin) and file.endswith(end)}
    return {rule for rule in rules if rule.is_producer(file)}


@cache
def _products(index: Any) -> tuple[dict[str, list[Product]], list[Product]]:
    """What Snakemake's index holds, by the name of the file; and those outputs whose name has a wildcard."""
    by_name: dict[str, list[Product]] = defaultdict(list)
    nameless: list[Product] = []
    for begin, entries in index._lookup._entries:
        for rule, end in entries:
            named = "/" in end or begin == end != ""
            (by_name[end.rsplit("/", 1)[-1]] if named else nameless).append((begin, end, rule))
    return by_name, nameless


def _where_one_may_lie_in_another(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Snakemake's check that no output lies in another, made where the name of one is that of another's folder."""

    def check_directory_outputs(dag: Any) -> None:
        outputs = {file.rstrip("/") for job in dag.jobs for file in map(str, job.output)}
        folders: set[str] = set()
        for file in outputs:
            folder, slash, _ = file.rpartition("/")
            while slash and folder not in folders:
                folders.add(folder)
                folder, slash, _ = folder.rpartition("/")
        if folders & outputs:
            check(dag)

    return check_directory_outputs


def _once_in_hand(command: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    """The command of a job, formatted anew for another job, or if what it is made of is another object."""
    last: tuple[list[Any], str | None] = ([], None)

    def shellcmd(job: Any) -> str | None:
        nonlocal last
        made_of, text = last  # at once: jobs of this machine are run by threads
        now = [job, job.input, job.output, job.params, job.resources, job.log]
        if len(now) != len(made_of) or any(old is not new for old, new in zip(made_of, now, strict=True)):
            text = command(job)
            last = (now, text)
        return text

    return shellcmd
