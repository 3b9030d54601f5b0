"""Snakemake logger plugin: writes each planned job as a line of JSON to the file named in POLYPRUNE_LEDGER.

The one public way to learn from Snakemake itself what a dry run would do, job by job: see
`polyprune/workflow/ledger.py`.
"""

from __future__ import annotations

import json
import os
from logging import LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """Collects JOB_INFO events."""

    def __post_init__(self) -> None:
        self._stream = Path(os.environ["POLYPRUNE_LEDGER"]).open("w", encoding="utf-8")  # noqa: SIM115

    def emit(self, record: LogRecord) -> None:
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            job = {
                "rule": record.__dict__["rule_name"],
                "wildcards": dict(record.__dict__["wildcards"] or {}),
                "output": [str(path) for path in record.__dict__["output"] or ()],
                "log": [str(path) for path in record.__dict__["log"] or ()],
            }
            self._stream.write(json.dumps(job) + "\n")
            self._stream.flush()

    @property
    def writes_to_stream(self) -> bool:
        return False

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return True

    @property
    def has_formatter(self) -> bool:
        return True

    @property
    def needs_rulegraph(self) -> bool:
        return False
