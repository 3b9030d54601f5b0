"""What every test leaves as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyprune.log import logger


@pytest.fixture(autouse=True)
def _own_logger() -> Iterator[None]:
    """Tests that log to files of their own (`log_to`) do not take the log away from others."""
    handlers, propagate, level = list(logger.handlers), logger.propagate, logger.level
    yield
    for handler in set(logger.handlers) - set(handlers):
        handler.close()
    logger.handlers[:] = handlers
    logger.propagate = propagate
    logger.setLevel(level)
