"""Running a stage from its command line: arguments, logs, exit codes."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from polyprune import __version__, log
from polyprune.errors import UserError
from polyprune.running.run import run
from polyprune.settings.engine import Engine
from polyprune.settings.models import HubSource, Shape, Source, TrainedSource

SHAPE = {
    "layers": 2, "hidden": 64, "intermediate": 192, "heads": 4, "kv_heads": 2, "vocabulary": 512, "max_positions": 256
}  # fmt: skip


@pytest.fixture(autouse=True)
def quiet_afterwards() -> Iterator[None]:
    yield
    for handler in log.logger.handlers:
        handler.close()
    log.logger.handlers.clear()
    log.logger.propagate = True


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the stage `probe` was called with."""
    values: dict[str, Any] = {}

    def probe(
        model: Path,
        dumps: list[Path],
        drift: list[Path],
        source: Source,
        shape: Shape,
        engine: Engine,
        languages: list[str],
        seed: int,
        output: Path,
        provenance: dict[str, Any],
        name: str = "unused",
    ) -> None:
        values.update(locals())
        log.logger.info("probing")

    module = ModuleType("polyprune.stages.probe")
    module.__dict__["probe"] = probe
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return values


SETTINGS = {
    "job": "probe tiny de",
    "code": "abc",
    "source": {"kind": "hub", "id": "org/name"},
    "shape": SHAPE,
    "languages": ["de", "zh"],
    "seed": 3,
    "name": "tiny",
}


def arguments(folder: Path, settings: dict[str, Any] | None = None, stage: str = "probe") -> list[str]:
    return [
        stage, "--settings", json.dumps(settings or SETTINGS), "--model", "a/model.json", "--dumps", "x.h5", "y.h5",
        "--drift", "--output", "out.parquet", "--log", str(folder / "logs" / "probe.log"), "--threads", "1",
    ]  # fmt: skip


def test_arguments_arrive_as_the_types_that_the_stage_declares(
    tmp_path: Path, received: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("POLYPRUNE_ENGINE", '{"device":"cpu","tokens_per_batch":7}')
    assert run(arguments(tmp_path)) == 0
    assert received["model"] == Path("a/model.json")
    assert received["dumps"] == [Path("x.h5"), Path("y.h5")]
    assert received["drift"] == []
    assert received["source"] == HubSource.model_validate(SETTINGS["source"])
    assert received["shape"] == Shape.model_validate(SHAPE)
    assert received["engine"] == Engine(device="cpu", tokens_per_batch=7)
    assert received["languages"] == ["de", "zh"]
    assert received["seed"] == 3
    assert received["name"] == "tiny"
    assert received["output"] == Path("out.parquet")


def test_tags_choose_among_kinds_of_settings(tmp_path: Path, received: dict[str, Any]):
    source = {"kind": "train", "architecture": "llama"}
    assert run(arguments(tmp_path, {**SETTINGS, "source": source})) == 0
    assert received["source"] == TrainedSource.model_validate(source)


def test_provenance_is_the_settings_and_the_versions(tmp_path: Path, received: dict[str, Any]):
    from importlib.metadata import version

    run(arguments(tmp_path))
    assert received["provenance"] == {**SETTINGS, "polyprune": __version__, "torch": version("torch")}


def test_engine_settings_have_defaults_and_stay_out_of_provenance(
    tmp_path: Path, received: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("POLYPRUNE_ENGINE", raising=False)
    run(arguments(tmp_path))
    assert received["engine"] == Engine()
    assert "engine" not in received["provenance"]


def test_the_log_file_is_replaced_and_the_terminal_names_the_job(
    tmp_path: Path, received: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    assert received == {}
    run(arguments(tmp_path))
    run(arguments(tmp_path))
    lines = (tmp_path / "logs" / "probe.log").read_text().splitlines()
    assert [line.split(" ", 3)[2:] for line in lines[:1]] == [["INFO", "probing"]]
    assert len(lines) == 2
    assert "INFO done in " in lines[1]
    assert "GiB" in lines[1]
    record = json.loads((tmp_path / "logs" / "probe.memory.json").read_text())
    assert record["peak_mb"] >= record["needed_mb"] > 10 and record["mapped_mb"] > 1 and record["s"] >= 0
    assert capsys.readouterr().err.splitlines()[0] == "[probe tiny de] probing"


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def probe() -> None:
        raise error

    module = ModuleType("polyprune.stages.probe")
    module.__dict__["probe"] = probe
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_an_error_the_user_can_mend_is_one_line_without_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    fail_with(UserError("de.txt:3: not UTF-8; convert it"), monkeypatch)
    assert run(arguments(tmp_path)) == 1
    (line,) = (tmp_path / "logs" / "probe.log").read_text().splitlines()
    assert line.endswith("ERROR error: de.txt:3: not UTF-8; convert it")
    assert capsys.readouterr().err == "[probe tiny de] error: de.txt:3: not UTF-8; convert it\n"


def test_an_unexpected_error_leaves_its_traceback_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    fail_with(KeyError("width"), monkeypatch)
    assert run(arguments(tmp_path)) == 1
    text = (tmp_path / "logs" / "probe.log").read_text()
    assert f"unexpected error, please report it with {tmp_path / 'logs' / 'probe.log'}:" in text
    assert "Traceback (most recent call last)" in text
    assert "in probe\n    raise error" in text
    assert "KeyError: 'width'" in text
    assert "Traceback" in capsys.readouterr().err


def test_an_unknown_stage_or_a_missing_setting_fails_in_the_log(tmp_path: Path, received: dict[str, Any]):
    assert run(arguments(tmp_path, stage="no_such_stage")) == 1
    assert "No module named 'polyprune.stages.no_such_stage'" in (tmp_path / "logs" / "probe.log").read_text()
    assert run(arguments(tmp_path, {key: value for key, value in SETTINGS.items() if key != "seed"})) == 1
    assert "KeyError: 'seed'" in (tmp_path / "logs" / "probe.log").read_text()
    assert run(arguments(tmp_path, {**SETTINGS, "shape": {**SHAPE, "layers": 0}})) == 1
    assert "greater than or equal to 1" in (tmp_path / "logs" / "probe.log").read_text()
    assert received == {}


def test_torch_is_held_to_the_threads_of_the_rule(
    tmp_path: Path, received: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    torch = ModuleType("torch")
    counts: list[int] = []
    torch.__dict__["set_num_threads"] = counts.append
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert run([*arguments(tmp_path)[:-1], "5"]) == 0
    assert received
    assert counts == [5]


def test_progress_speaks_at_most_every_so_often_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    now = [100.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    progress = log.Progress(4, "layer", every=5.0)
    with caplog.at_level(logging.INFO, logger="polyprune"):
        for done in range(1, 5):
            now[0] += 3.0
            progress.report(done, "fine")
    spoken = [message.split(" GiB")[0].rsplit(", ", 1)[0] for message in caplog.messages]
    assert spoken == ["layer 2/4: fine, 6 s", "layer 4/4: fine, 12 s"]
    assert caplog.messages[0].endswith(", 6 s left")
    assert caplog.messages[1].endswith(", 0 s left")
