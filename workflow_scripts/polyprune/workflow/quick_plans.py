"""What lets Snakemake plan more quickly: it need not find out again for each job what is the same for many.

Plans are the same with it and without. What is left, and whose it is, `benchmarks/planning.py` measures.
"""

from __future__ import annotations

import gc
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from snakemake.common import overwrite_function_params
from snakemake.jobs import Job
from snakemake.output_index import OutputIndex
from snakemake.resources import Resource
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

OWN_LOGGERS = {"ledger"}
"""Loggers that read no more of a job than is said of it here."""
_YOUNG_OBJECTS = 50_000
_PRODUCERS: Any = OutputIndex.match_producers
_COMMAND: Any = Job.shellcmd.fget
"""Snakemake's own, of both."""


def collect_rarely() -> None:
    """Look for dead cycles of objects after so many new ones as make a thousand jobs, not after Python's 700."""
    gc.set_threshold(_YOUNG_OBJECTS, 20, 100)


def quicken(rules: Iterable[Any]) -> None:
    """Of Snakemake's rules, all of which have been read, tell and remember what it would work out many times.

    It is told the parameters of functions, which it looks up several times a job, by its own means. It remembers the
    rules that may make a file, which it searches for each reader of the file, and the command of the job in hand, which
    it formats three times to print it.
    """
    for function in [Resource("any", 0).evaluate, *_functions(rules)]:
        plain = getattr(function, "__func__", function)
        overwrite_function_params(plain, inspect.signature(function).parameters)  # pyright: ignore[reportArgumentType]
    OutputIndex.match_producers = cache(_PRODUCERS)
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
