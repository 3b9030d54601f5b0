"""What a local run shows: counts a stage, what failed with its log's end, Snakemake's own where that is asked for."""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polyprune import log
from polyprune.running.terminal import TAIL, VARIABLE, Terminal, attach, stage_of

QUIET: dict[str, Any] = {
    "quiet": ["host", "rules", "reason"],
    **dict.fromkeys(("verbose", "printshellcmds", "debug_dag", "dryrun"), False),
}


def wish(**other: Any) -> Any:
    """Snakemake's settings of output, as the profile has them but for some."""
    return SimpleNamespace(**QUIET | other)


class Filter:
    quiet = frozenset({"rules"})

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, "quiet")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def snakemakes_logger(stream: io.StringIO, file: Path) -> logging.Logger:
    logger = logging.Logger("snakemake")
    for handler, name in ((logging.StreamHandler(stream), "DefaultStreamHandler"),
                          (logging.FileHandler(file, delay=True), "DefaultLogFileHandler")):  # fmt: skip
        handler.name = name
        handler.addFilter(Filter())
        handler.setFormatter(logging.Formatter())
        logger.addHandler(handler)
    return logger


def emit(terminal: Terminal, event: str | None, text: str = "", level: int = logging.INFO, **about: Any) -> None:
    record = logging.LogRecord("snakemake", level, "", 0, text, (), None)
    record.__dict__.update(about, event=event)
    terminal.handle(record)


@pytest.mark.usefixtures("asked")
def test_it_takes_the_place_of_snakemakes_and_the_file_has_everything(tmp_path: Path):
    logger = snakemakes_logger(io.StringIO(), tmp_path / "log")
    assert attach(logger, wish()) in logger.handlers
    names = [handler.name for handler in logger.handlers]
    assert "DefaultStreamHandler" not in names
    file = logger.handlers[names.index("DefaultLogFileHandler")]
    assert [each.quiet for each in file.filters if isinstance(each, Filter)] == [set()]


def test_after_ctrl_c_nothing_is_told_but_that_and_where_the_log_is(tmp_path: Path):
    stream = io.StringIO()
    terminal = Terminal(stream)
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        terminal.heed_interrupts()
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    emit(terminal, "job_error", rule_name="prune_model", log=[tmp_path / "log"], output=["results/m/mask"])
    emit(terminal, "error", "WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR)
    terminal.stop()
    terminal.stop([str(tmp_path / "log")])
    said, where = stream.getvalue().splitlines()
    assert said.startswith("Stopped by Ctrl-C.") and len(said) < 80
    assert where.startswith("All that Snakemake said: ") and pressed == [signal.SIGINT]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    "other", [{"verbose": True}, {"printshellcmds": True}, {"debug_dag": True}, {"dryrun": True}, {"quiet": ["all"]}]
)
def test_another_wish_brings_back_snakemakes_own_and_the_lines_of_jobs(other: dict[str, Any], tmp_path: Path):
    logger = snakemakes_logger(io.StringIO(), tmp_path / "log")
    before = list(logger.handlers)
    assert attach(logger, wish(**other)) is None
    assert logger.handlers == before and VARIABLE not in os.environ


def test_nothing_changes_for_a_profile_that_does_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert attach(snakemakes_logger(io.StringIO(), tmp_path / "log"), wish()) is None


def test_a_line_a_stage_with_its_counts():
    stream = io.StringIO()
    terminal = Terminal(stream)
    emit(terminal, "run_info", stats={"prune_model": 2, "tabulate_demo_table1": 1, "total": 3})
    for job, rule in enumerate(("prune_model", "prune_model", "tabulate_demo_table1")):
        emit(terminal, "job_info", jobid=job, rule_name=rule)
        emit(terminal, "job_finished", f"Finished jobid: {job}", job_id=job)
    emit(terminal, None, "Select jobs to execute...")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "3 jobs to do; each has its own log below logs/"
    assert [line.rpartition(",")[0] for line in lines[1:]] == [
        "compressed models: 2 of 2",
        "tables and figures: 1 of 1",
    ]


def test_what_failed_is_said_with_the_end_of_its_log(tmp_path: Path):
    stream = io.StringIO()
    terminal = Terminal(stream)
    path = tmp_path / "prune_model.log"
    path.write_text("\n".join(f"line {n}." for n in range(30)))
    emit(terminal, "job_error", rule_name="prune_model", log=[path], output=["results/m/mask.safetensors"])
    emit(terminal, "error", "RuleException:\nCalledProcessError in file x: Command 'very long'", logging.ERROR)
    text = stream.getvalue()
    assert "FAILED: prune_model, for results/m/mask.safetensors" in text and f"all of it: {path}" in text
    assert f"line {30 - TAIL}." in text and f"line {29 - TAIL}." not in text and "very long" not in text
    emit(terminal, "error", "WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR)
    assert "At least one job did not complete" in stream.getvalue()


def test_what_pictures_lack_is_said_once(tmp_path: Path):
    """Of jobs whose logs nobody opens, for they succeed; what other stages note stays in theirs."""
    stream = io.StringIO()
    terminal = Terminal(stream)
    rules = {1: "tabulate_demo_table1", 2: "plot_demo_figure1", 3: "prune_model"}
    emit(terminal, "run_info", stats=dict.fromkeys(rules.values(), 1) | {"total": 3})
    for job, rule in rules.items():
        file = tmp_path / f"{job}.log"
        text = f"2026-11-29 12:00:00,000 WARNING {job}.png has ? for 德\n2026-11-29 12:00:01,000 INFO done\n"
        file.write_text(text, encoding="utf-8")
        emit(terminal, "job_info", jobid=job, rule_name=rule, log=[str(file)])
        emit(terminal, "job_finished", job_id=job)
    assert [line for line in stream.getvalue().splitlines() if "has ?" in line] == ["1.png has ? for 德"]
    assert "done" not in stream.getvalue()


def test_warnings_are_said_while_work_runs():
    stream = io.StringIO()
    terminal = Terminal(stream)
    emit(terminal, "run_info", stats={"prune_model": 1})
    emit(terminal, None, "text/de.txt was changed", logging.WARNING)
    assert "text/de.txt was changed" in stream.getvalue()


def test_every_rule_has_a_stage():
    assert stage_of("reconstruct_model") == "compressed models" and stage_of("evaluate_dense") == "benchmarks"
    assert stage_of("dump_cells_demo_1") == "hidden states" and stage_of("measure_drift") == "scores"
    assert stage_of("remove_experts") == stage_of("import_masks") == "compressed models"
    assert stage_of("convert_model") == stage_of("register_checkpoint") == "models"
    assert stage_of("write_report_demo") == "tables and figures"


@pytest.mark.parametrize(("value", "handlers"), [("quiet", 1), (None, 2)])
def test_jobs_write_to_their_logs_alone_where_a_run_is_shown(
    value: str | None, handlers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value:
        monkeypatch.setenv(VARIABLE, value)
    before = list(log.logger.handlers)
    try:
        log.log_to(tmp_path / "job.log", "job")
        assert len(log.logger.handlers) == handlers
    finally:
        for handler in log.logger.handlers:
            handler.close()
        log.logger.handlers[:] = before
