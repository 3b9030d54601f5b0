"""What a local run shows: a line a stage with a bar, and of what failed its log's last lines.

In place of Snakemake's own handler on the terminal; all that Snakemake says goes to its log file. The profile asks for
it (`VARIABLE`); --verbose, --printshellcmds, another --quiet, a dry run or another logger bring Snakemake's own back.
Jobs, whose log files have all of their lines, then write none of them to the terminal (`log.py`).
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from polyprune.log import TERMINAL_VARIABLE as VARIABLE

STAGES = {
    "text and prompts": ("collect_", "fetch_documents", "fetch_translations", "fetch_prompts"),
    "models": (
        *("train_model", "fetch_model", "convert_model"),
        *("register_model", "register_prompting", "register_checkpoint"),
    ),
    "calibration text": ("build_", "write_text"),
    "compressed models": (
        *("measure_outliers", "measure_correlations", "prune_model", "reconstruct_model", "remove_experts"),
        *("compose_", "import_", "export_"),
    ),
    "hidden states": ("dump_", "count_activations"),
    "scores": ("measure_",),
    "benchmarks": ("generate_benchmark", "fetch_benchmark", "register_benchmark", "evaluate_"),
    "tables and figures": ("",),
}
"""Stages of a run in the order of the data, and how the names of their rules begin; the first that fits."""
_LAST, _WARNING = "tables and figures", " WARNING "
"""The stage whose jobs' warnings, of what a picture lacks, are shown: nobody opens the log of a job that succeeded."""
EVERY = 20.0
"""Seconds between two lines on something that is no terminal."""
TAIL = 12
"""Lines of a failed job's log."""
QUIET = {"host", "rules", "reason"}
"""What the profile has Snakemake be quiet about; another choice is the user's."""
_STREAM, _FILE = "DefaultStreamHandler", "DefaultLogFileHandler"
"""Snakemake's names of its handlers."""
_CHATTER = ("Building DAG", "Assuming unrestricted", "Using shell", "Conda environments", "Singularity containers")
_NOTHING = "Nothing to be done"
_STOPPED = "Stopped by Ctrl-C. What is finished is kept: the same command goes on."
_TOLD = "RuleException:\nCalledProcessError"
"""Of a failed command, which `JOB_ERROR` has told."""


class Settings(Protocol):
    """Of Snakemake's output."""

    quiet: Collection[Any] | None
    verbose: bool
    printshellcmds: bool
    debug_dag: bool
    dryrun: bool


def stage_of(rule: str) -> str:
    return next(stage for stage, names in STAGES.items() if rule.startswith(names))


def attach(logger: logging.Logger, settings: Settings) -> Terminal | None:
    """Take the place of Snakemake's handler, if that is asked for; let its log file have everything."""
    asked = {str(getattr(each, "name", each)).lower() for each in settings.quiet or ()}
    loud = settings.verbose or settings.printshellcmds or settings.debug_dag or settings.dryrun
    theirs = next((each for each in logger.handlers if each.name == _STREAM), None)
    if os.environ.get(VARIABLE) is None or loud or asked != QUIET or theirs is None:
        os.environ.pop(VARIABLE, None)
        return None
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    ours = Terminal(theirs.stream)  # type: ignore[attr-defined]
    ours.heed_interrupts()
    logger.removeHandler(theirs)
    logger.addHandler(ours)
    for handler in logger.handlers:
        if handler.name == _FILE:
            for each in (*handler.filters, handler.formatter):
                each.quiet = set()  # type: ignore[union-attr]
    return ours


class Terminal(logging.Handler):
    """Counts Snakemake's jobs by stage, on a terminal with bars, elsewhere in lines."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._rules: dict[int, str] = {}
        self._logs: dict[int, list[str]] = {}
        self._warned: set[str] = set()
        self._total: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._spoke = 0.0
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._stopped = self._ended = False
        atexit.register(self.stop)

    def heed_interrupts(self) -> None:
        """What is said after Ctrl-C is of its making: not told, but that it was pressed."""
        before = signal.getsignal(signal.SIGINT)
        if callable(before):

            def stopped(number: int, frame: FrameType | None) -> Any:
                self._stopped = True
                return before(number, frame)

            signal.signal(signal.SIGINT, stopped)

    def emit(self, record: logging.LogRecord) -> None:
        if self._stopped:
            return
        about = record.__dict__
        match str(getattr(record, "event", None) or ""):
            case "run_info":
                self._begin(about["stats"])
            case "job_info":
                self._rules[about["jobid"]] = about["rule_name"]
                self._logs[about["jobid"]] = list(about.get("log") or ())
                self._start(stage_of(about["rule_name"]))
            case "job_finished":
                self._finish(about["job_id"])
            case "job_error":
                self._failed(about)
            case "" | "error":
                self._say(record)

    def _begin(self, stats: Mapping[str, int]) -> None:
        if self._total:
            return
        for rule, n in stats.items():
            if rule != "total":
                self._total[stage_of(rule)] = self._total.get(stage_of(rule), 0) + n
        self._done = dict.fromkeys(self._total, 0)
        self._spoke = time.monotonic()
        jobs = sum(self._total.values())
        self._print(f"{jobs} job{'s' * (jobs > 1)} to do; each has its own log below logs/")
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=self._console)
            for stage in STAGES:
                if n := self._total.get(stage):
                    self._tasks[stage] = self._bars.add_task(f"{stage:18}", total=n, start=False)
            self._bars.start()

    def _start(self, stage: str) -> None:
        if stage not in self._began:
            self._began[stage] = time.monotonic()
            if self._bars and stage in self._tasks:
                self._bars.start_task(self._tasks[stage])

    def _finish(self, job: int) -> None:
        stage = stage_of(self._rules.get(job, ""))
        if stage not in self._total:
            return
        if stage == _LAST:
            self._warn(self._logs.get(job, []))
        self._done[stage] += 1
        if self._bars:
            self._bars.advance(self._tasks[stage])
            return
        now, done, total = time.monotonic(), self._done[stage], self._total[stage]
        seconds = now - self._began.get(stage, now)
        if done == total:
            self._print(f"{stage}: {done} of {total}, {_duration(seconds)}")
        elif now - self._spoke > EVERY:
            self._spoke = now
            self._print(f"{stage}: {done} of {total}, about {_duration(seconds / done * (total - done))} left")

    def _warn(self, logs: Iterable[str]) -> None:
        """What logs warn of, without the time; once where the same is said of several files, which lines begin with."""
        for line in (line for path in logs if Path(path).is_file() for line in _lines(Path(path)) if _WARNING in line):
            file, _, what = line.partition(_WARNING)[2].partition(" ")
            if what not in self._warned:
                self._warned.add(what)
                self._print(f"{file} {what}")

    def _failed(self, about: Mapping[str, Any]) -> None:
        logs = [Path(path) for path in about["log"] or ()]
        output = ", ".join(map(str, about["output"] or ())) if len(about["output"] or ()) < 4 else ""
        self._print(f"FAILED: {about['rule_name']}{f', for {output}' if output else ''}")
        for path in logs:
            lines = _lines(path) if path.is_file() else []
            for line in lines[-TAIL:]:
                self._print(f"  {line}")
            said = f"all of it: {path}" if lines else f"{path} is empty: the job was ended before it could say why"
            self._print(f"  {said}")

    def _say(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        quiet = self._total or text.startswith(_CHATTER)
        if text.startswith(_TOLD) or (record.levelno < logging.WARNING and quiet):
            return
        self._print(text)
        if text.startswith(_NOTHING):
            show_table(sys.argv[1:])

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)

    def stop(self, logs: Iterable[str] = ()) -> None:
        """End the bars; say where everything was written."""
        if self._bars:
            self._bars.stop()
            self._bars = None
        if self._stopped and not self._ended:
            self._print(_STOPPED)
        self._ended = True
        for path in logs:
            self._print(f"All that Snakemake said: {os.path.relpath(path)}")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def show_table(words: Iterable[str]) -> None:
    """Print the last table among the targets on a command line, as `report/answers/brief.py` does."""
    tables = [Path(word).with_suffix(".json") for word in words if Path(word).name.startswith("table")]
    if found := [path for path in tables if path.is_file()]:
        print(flush=True)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUTF8": "1"}
        subprocess.run(
            [sys.executable, "-m", "polyprune.report.answers.brief", str(found[-1])], env=environment, check=False
        )
