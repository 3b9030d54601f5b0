"""What every test leaves as it found it, and checkouts that several files of tests run Snakemake in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.checkout import ROOT
from tests.helpers.once import made_once
from tests.helpers.runs import copy_with_table_1, only_table_1, run_quick_study

from polyprune.log import TERMINAL_VARIABLE, logger
from polyprune.places import VARIABLE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of this folder run Snakemake and take longest: they come first, so that processes end together."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


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


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows of the places that another has exported, nor of a profile that another has read."""
    monkeypatch.setenv(VARIABLE, "{}")
    monkeypatch.delenv(TERMINAL_VARIABLE, raising=False)


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout without results, for plans only."""
    return copy_with_table_1(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the quick study has run; each of pytest's processes has a copy of its own."""
    made = made_once(tmp_path_factory, "finished-study", run_quick_study)
    return shutil.copytree(made, tmp_path_factory.mktemp("finished") / "checkout", symlinks=True)


@pytest.fixture
def edited(finished: Path) -> Iterator[Path]:
    """The finished checkout; code and settings are put back afterwards."""
    yield finished
    for name in ("config.yaml", "studies", "workflow_scripts", "rules"):
        source, target = ROOT / name, finished / name
        if source.is_dir():
            shutil.rmtree(target)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    only_table_1(finished / "studies/quick.yaml")
