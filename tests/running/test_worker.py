"""The warm worker: jobs run in its children as they would run alone, and nothing outlives who asked for it."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.warm_worker import status_of, wait_until, warm_worker, with_stages

from polyprune.log import TERMINAL_VARIABLE
from polyprune.running import worker

STAGES = '''
"""Stages for these tests, and no torch: `preload` is empty here."""
import os, signal, sys, time
from pathlib import Path
from types import ModuleType

sys.modules["polyprune.model.preload"] = ModuleType("polyprune.model.preload")
for name in ("tell", "nap", "refuse", "fill"):
    sys.modules[f"polyprune.stages.{name}"] = sys.modules[__name__]

def tell(output: Path, word: str, provenance: dict):
    print("printed", word)
    variables = [os.environ.get(name) for name in ("POLYPRUNE_TEST", "OF_THE_WORKER")]
    output.write_text(f"{word}\\n{Path.cwd()}\\n{variables}\\n{os.getppid()}\\n")

def nap(output: Path):
    output.with_suffix(".part").write_text(str(os.getpid()))
    output.with_suffix(".part").rename(output)
    time.sleep(120)

def fill(output: Path):
    kept = bytearray(b"x") * (64 << 20)
    time.sleep(0.3)
    output.write_bytes(kept[:1])

def refuse(output: Path):
    from polyprune.errors import UserError
    raise UserError("bring more text")
'''


SLOW = '''
"""Imports of the worker that never end."""
import os, sys, time
from pathlib import Path

class Slow:
    @staticmethod
    def find_spec(name, *_):
        if name == "polyprune.model.preload":
            Path({begun!r}).write_text(str(os.getpid()))
            time.sleep(600)

sys.meta_path.insert(0, Slow)
'''


def children_of(pid: int) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [child for child in pids if status_of(child).get("PPid") == str(pid)]


@dataclass
class Warm:
    """A worker and the process that started it."""

    parent: subprocess.Popen[str]
    socket: str
    pid: int


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    paths = with_stages(tmp_path_factory.mktemp("stages"), STAGES)
    clean = {key: value for key, value in os.environ.items() if key not in (worker.SOCKET_VARIABLE, TERMINAL_VARIABLE)}
    return {**clean, "PYTHONPATH": paths}


@pytest.fixture(scope="module")
def warm(environment: dict[str, str]) -> Iterator[Warm]:
    with warm_worker({**environment, "OF_THE_WORKER": "1"}) as (parent, path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            wait_until(lambda: connection.connect_ex(path) == 0)
            credentials = array.array("i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        yield Warm(parent, path, credentials[0])
    wait_until(lambda: not status_of(credentials[0]))


def command(stage: str, output: Path, **settings: Any) -> list[str]:
    return [
        sys.executable, "-m", "polyprune", stage, "--settings", json.dumps(settings), "--output", str(output),
        "--log", f"{output}.log", "--threads", "1",
    ]  # fmt: skip


def test_the_record_of_memory_is_of_the_workers_child(environment: dict[str, str], warm: Warm, tmp_path: Path):
    """The process that was started needs a few MiB, whoever does its work 64 more."""
    needed = {}
    for name, path in (("alone", ""), ("warm", warm.socket)):
        env = {**environment, worker.SOCKET_VARIABLE: path}
        subprocess.run(command("fill", tmp_path / name), env=env, check=True)
        needed[name] = json.loads((tmp_path / f"{name}.memory.json").read_text())["needed_mb"]
    assert all(64 < each < 200 for each in needed.values()), needed


def test_a_job_runs_in_a_child_of_the_worker_as_it_would_alone(environment: dict[str, str], warm: Warm, tmp_path: Path):
    outputs = {}
    for name, path in (("alone", ""), ("warm", warm.socket), ("unreachable", str(tmp_path / "no.sock"))):
        env = {**environment, worker.SOCKET_VARIABLE: path, "POLYPRUNE_TEST": f"of {name}"}
        output = tmp_path / name
        done = subprocess.run(
            command("tell", output, word="grüße", job=name), env=env, cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, "printed grüße\n"), done.stderr
        assert done.stderr.startswith(f"[{name}] done in ")
        outputs[name] = output.read_text().splitlines()
        assert outputs[name][:3] == ["grüße", str(tmp_path), f"['of {name}', None]"]
        assert "INFO done in" in Path(f"{output}.log").read_text()
    assert outputs["warm"][3] == str(warm.pid)
    assert outputs["alone"][3] == outputs["unreachable"][3] == str(os.getpid())


def test_a_worker_reads_and_writes_utf_8_whatever_the_locale(environment: dict[str, str], tmp_path: Path):
    """Its own, not that of the job's command: what it opens without an encoding, and what it prints."""
    latin = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with warm_worker({**environment, **latin}) as (_, path):
        env = {**environment, worker.SOCKET_VARIABLE: path}
        done = subprocess.run(command("tell", tmp_path / "x", word="grüße"), env=env, cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stdout.decode()) == (0, "printed grüße\n"), done.stderr
    assert (tmp_path / "x").read_bytes().startswith("grüße\n".encode())


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "alone"])
def test_failure_and_its_reason_reach_the_caller(
    environment: dict[str, str], warm: Warm, tmp_path: Path, is_warm: bool
):
    env = {**environment, worker.SOCKET_VARIABLE: warm.socket if is_warm else ""}
    done = subprocess.run(command("refuse", tmp_path / "x", job="a job"), env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "[a job] error: bring more text\n")


def start_nap(
    environment: dict[str, str], warm: Warm, output: Path, stderr: int | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    env = {**environment, worker.SOCKET_VARIABLE: warm.socket}
    client = subprocess.Popen(command("nap", output), env=env, stderr=stderr)
    wait_until(output.exists)
    pid = int(output.read_text())
    assert status_of(pid)["PPid"] == str(warm.pid)
    return client, pid


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_killing_the_caller_ends_its_job(
    environment: dict[str, str], warm: Warm, tmp_path: Path, signum: signal.Signals
):
    client, pid = start_nap(environment, warm, tmp_path / "pid")
    client.send_signal(signum)
    client.wait()
    wait_until(lambda: not status_of(pid))


def test_ctrl_c_ends_a_job_without_a_word(environment: dict[str, str], warm: Warm, tmp_path: Path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have its background ignore it
    try:
        client, pid = start_nap(environment, warm, tmp_path / "pid", stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    client.send_signal(signal.SIGINT)
    _, said = client.communicate(timeout=20)
    assert (client.returncode, said) == (130, b"")
    wait_until(lambda: not status_of(pid))


def test_a_job_that_dies_without_an_answer_fails_and_says_so(environment: dict[str, str], warm: Warm, tmp_path: Path):
    client, pid = start_nap(environment, warm, tmp_path / "pid", stderr=subprocess.PIPE)
    os.kill(pid, signal.SIGKILL)
    _, said = client.communicate(timeout=20)
    assert client.returncode == 137
    assert said == b"the job was killed from outside: most likely this machine is out of memory\n"


@pytest.mark.parametrize("sent", [b"", (1000).to_bytes(8, "little")], ids=["nothing", "half a request"])
def test_a_caller_that_dies_while_asking_leaves_no_child_behind(warm: Warm, sent: bytes):
    wait_until(lambda: not children_of(warm.pid))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(warm.socket)
        wait_until(lambda: children_of(warm.pid))
        if sent:
            terminal = array.array("i", [1, 2])
            connection.sendmsg([sent], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, terminal)])
            connection.sendall(b"{")
    wait_until(lambda: not children_of(warm.pid))


def test_the_worker_leaves_with_a_parent_that_is_gone_before_it_is_ready(environment: dict[str, str], tmp_path: Path):
    path = tmp_path / "folder" / "worker.sock"
    path.parent.mkdir()
    dead = subprocess.Popen(["true"])
    dead.wait()
    done = subprocess.run(
        [sys.executable, "-m", "polyprune.running.worker", str(path), str(dead.pid)], env=environment, timeout=20
    )
    assert done.returncode == 0
    assert not path.parent.exists()


def test_a_stopped_worker_holds_nobody_up(tmp_path: Path):
    """Its queue is full after 64 that have looked; a further one would wait for as long as it is stopped."""
    stopped, killed = (tmp_path / f"polyprune-{name}" / "worker.sock" for name in ("stopped", "killed"))
    with ExitStack() as open_sockets:
        for path in (stopped, killed):
            path.parent.mkdir()
            listener = open_sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(str(path))
            listener.listen(1)
        listener.close()
        with suppress(BlockingIOError):
            while True:
                caller = open_sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                caller.setblocking(False)
                caller.connect(str(stopped))
        sweeping = threading.Thread(target=worker.sweep, args=(tmp_path,), daemon=True)
        sweeping.start()
        sweeping.join(10)
        assert not sweeping.is_alive()
        assert stopped.exists() and not killed.parent.exists()


def test_without_a_worker_nothing_is_delegated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv(worker.SOCKET_VARIABLE, raising=False)
    assert worker.delegate(["tell"]) is None
    monkeypatch.setenv(worker.SOCKET_VARIABLE, str(tmp_path / "no.sock"))
    assert worker.delegate(["tell"]) is None


def test_a_long_temporary_folder_is_no_place_for_a_socket(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("x" * 80)
    with warm_worker({**environment, "TMPDIR": str(folder)}) as (_, path):
        assert not path.startswith(str(folder))
    wait_until(lambda: not Path(path).parent.exists())


def test_a_worker_that_still_imports_ends_with_the_process_that_started_it(environment: dict[str, str], tmp_path: Path):
    begun = tmp_path / "begun"
    slow = with_stages(tmp_path / "slow", SLOW.format(begun=str(begun)))
    with warm_worker({**environment, "PYTHONPATH": slow}) as (_, path):
        wait_until(lambda: begun.exists() and begun.read_text())
    wait_until(lambda: not status_of(int(begun.read_text())))
    wait_until(lambda: not Path(path).parent.exists())


def test_the_worker_and_its_socket_go_with_the_process_that_started_it(warm: Warm):
    """The last test here: it ends the worker."""
    assert status_of(warm.pid)
    assert Path(warm.socket).exists()
    warm.parent.kill()
    warm.parent.wait()
    wait_until(lambda: not status_of(warm.pid))
    assert not Path(warm.socket).parent.exists()
