"""Snakemake logger plugin: writes each planned job as a line of JSON to the file named in POLYPRUNE_LEDGER.

The one public way to learn from Snakemake itself what a dry run would do, job by job. See `polyprune/ledger.py`.
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

    writes_to_stream = False
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self._stream = Path(os.environ["POLYPRUNE_LEDGER"]).open("w", encoding="utf-8")

    def emit(self, record: LogRecord) -> None:
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            job = {
                "rule": record.__dict__["rule_name"],
                "wildcards": dict(record.__dict__["wildcards"] or {}),
                "output": [str(path) for path in record.__dict__["output"] or ()],
            }
            self._stream.write(json.dumps(job) + "\n")
            self._stream.flush()
