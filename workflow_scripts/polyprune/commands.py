"""How a command that prints ends: as if all had been read, where its reader closed early, too (`make … | head -1`)."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any


class _Output(io.FileIO):
    """Standard output that nobody has to read to its end."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def run_command(main: Callable[[], int]) -> int:
    """The exit code of `main`, whose prints to a pipe that has been closed are lost without a word.

    1 and a sentence where a file or folder may not be looked into, as results of others.
    """
    before = sys.stdout
    raw = io.BufferedWriter(_Output(before.fileno(), "w", closefd=False))
    sys.stdout = io.TextIOWrapper(raw, encoding=before.encoding, errors=before.errors, line_buffering=before.isatty())
    try:
        code = main()
    except PermissionError as error:
        print(f"error: {error.filename}: {error.strerror}: see to its permissions and its folders'", file=sys.stderr)
        code = 1
    sys.stdout.flush()
    return code
