"""The device that a stage is handed, from the engine's settings and the GPUs that its job was given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polyprune.errors import UserError
from polyprune.running.device import choose_device

PACKAGES = Path(__file__).parents[2] / "workflow_scripts"
PROBE = """
import sys
from types import ModuleType
from polyprune.running.run import run

module = sys.modules["polyprune.stages.probe"] = ModuleType("polyprune.stages.probe")
exec(f"def probe({sys.argv[2]}: object, provenance: dict): print({sys.argv[2]})", module.__dict__)
code = run(["probe", "--settings", '{"name": "tiny"}', "--log", sys.argv[1], "--threads", "1"])
print(code, "torch" in sys.modules)
"""


@pytest.mark.parametrize("available", [True, False])
def test_the_setting_and_what_torch_sees_decide(available: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)
    assert choose_device("cpu", ["0"]).type == "cpu"
    assert choose_device("auto", ["0"] if available else []).type == ("cuda" if available else "cpu")
    if available:
        assert choose_device("cuda", ["0"]).type == "cuda"
    else:
        with pytest.raises(UserError, match="torch sees no GPU here; set it to auto or cpu"):
            choose_device("cuda", [])


@pytest.mark.parametrize(("parameter", "printed"), [("device", "cpu\n0 True\n"), ("name", "tiny\n0 False\n")])
def test_torch_is_imported_for_stages_that_ask_for_a_device_alone(parameter: str, printed: str, tmp_path: Path):
    job = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path / "log"), parameter],
        env=os.environ | {"PYTHONPATH": str(PACKAGES), "POLYPRUNE_ENGINE": '{"device":"cpu"}'},
        capture_output=True,
        text=True,
    )
    assert job.stdout == printed, job.stderr


def test_a_worker_asks_for_no_gpu_before_it_forks() -> None:
    """A driver that was asked for anything does not work in the children."""
    words = """
import torch
asked = []
for name in ("is_available", "device_count", "current_device", "init", "_lazy_init", "get_device_properties"):
    setattr(torch.cuda, name, lambda *_, name=name: asked.append(name))
import polyprune.model.preload
print(asked)
"""
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
    found = subprocess.run([sys.executable, "-c", words], env=environment, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1:] == ["[]"], found.stdout + found.stderr
