"""The battery counts its cases, prints them by surface, and is too small below `WANTED` of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.helpers.battery import COUNT, FLIPPED, FULL, WANTED, WANTED_FLIPS, Cases
from tests.helpers.model_folders import good_folder


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> Callable[[str], Cases]:
    """Makes what tries and counts the cases of a surface."""
    return lambda surface: Cases(surface, request.node.user_properties)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_folder(tmp_path_factory.mktemp("good"))


def _counted(reporter: pytest.TerminalReporter) -> Counter[str]:
    reports = [report for kind in ("passed", "failed") for report in reporter.stats.get(kind, [])]
    entries = (entry for report in reports if report.when == "call" for entry in report.user_properties)
    return Counter(str(surface) for name, surface in entries if name == COUNT)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counted = _counted(terminalreporter)
    if counted:
        by_surface = ", ".join(f"{number} {surface}" for surface, number in sorted(counted.items()))
        terminalreporter.write_line(f"battery: {counted.total()} cases: {by_surface}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A whole battery of too few cases, or of too few flipped bits, is a failure; one of single files is not whole."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if FULL and reporter is not None and session.exitstatus == 0:
        counted = _counted(reporter)
        few_flips = FLIPPED in counted and counted[FLIPPED] < WANTED_FLIPS
        if few_flips or (len(counted) > 15 and counted.total() < WANTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
