"""A warm worker: one process that has imported the heavy libraries and forks itself for every job.

Importing torch and a transformers model takes 3 to 5 seconds, a cell of the demo takes one. So a local run of Snakemake
starts one worker (`start`, from the Snakefile's `onstart`); each job's command finds its socket in the environment,
hands over its arguments, working directory, environment and terminal, and waits for the exit code. Without a worker (on
a cluster, under a debugger) the job simply runs in its own process: same code, same bytes.

The worker ends with the process that started it; a job ends with the command that waits for it.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from polyprune.running.network import OFFLINE

SOCKET_VARIABLE = "POLYPRUNE_WORKER"
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "2147483647"}
_FAILED_WITHOUT_CODE = 137
_SECONDS_A_LOOK = 0.2
_PREFIX, _SOCKET = "polyprune-", "worker.sock"
_LONGEST_FOLDER = 60
"""Characters; the kernel takes about 100 for the whole name of a socket."""


def start() -> None:
    """Start a worker for this process and its children, and name its socket in the environment."""
    import subprocess  # a quarter of what each job's command would import
    import tempfile

    usual = tempfile.gettempdir()
    around = Path(usual if len(usual) <= _LONGEST_FOLDER else "/tmp")
    sweep(around)
    path = str(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=around)) / _SOCKET)
    packages = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    subprocess.Popen(
        [sys.executable, "-m", "polyprune.running.worker", path, str(os.getpid())],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **_MALLOC, **OFFLINE, "PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(packages)},
    )
    os.environ[SOCKET_VARIABLE] = path


def sweep(around: Path) -> None:
    """Remove what this user's killed workers left: folders with a socket that nobody listens to.

    A worker that was stopped, as by Ctrl-Z, answers nobody: it is not waited for.
    """
    for path in around.glob(f"{_PREFIX}*/{_SOCKET}"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            if path.stat().st_uid == os.getuid():
                connection.setblocking(False)
                try:
                    connection.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink()
                    path.parent.rmdir()


def delegate(argv: list[str]) -> int | None:
    """Have the worker run the job; its exit code, or None if there is no worker."""
    path = os.environ.get(SOCKET_VARIABLE)
    if not path:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError:
            return None
        request = json.dumps({"argv": argv, "cwd": str(Path.cwd()), "env": dict(os.environ)}).encode()
        terminal = array.array("i", [sys.stdout.fileno(), sys.stderr.fileno()])
        header = len(request).to_bytes(8, "little")
        connection.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, terminal)])
        connection.sendall(request)
        reply = connection.recv(1)
    if not reply:
        print("the job was killed from outside: most likely this machine is out of memory", file=sys.stderr)
        return _FAILED_WITHOUT_CODE
    return reply[0]


def serve(path: str, parent: int) -> None:
    """Import, listen on `path`, fork for each request; until the process `parent`, which started this, is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with _socket_at(path) as listener:
        gc.disable()  # jobs begin to look for garbage when they have their stage, as cold ones do
        with _ending_with(parent):
            import polyprune.model.preload  # noqa: F401

        listener.settimeout(1.0)
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                if os.fork() == 0:
                    listener.close()
                    _run_forked(connection)
                connection.close()


@contextlib.contextmanager
def _socket_at(path: str) -> Iterator[socket.socket]:
    """One that listens; its folder goes with it."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(64)
            yield listener
    finally:
        with contextlib.suppress(OSError):
            Path(path).unlink()
            Path(path).parent.rmdir()


@contextlib.contextmanager
def _ending_with(parent: int) -> Iterator[None]:
    """End in the midst of imports, which take seconds, when `parent` is gone, as after a run of one short job."""

    def look(*_: object) -> None:
        if os.getppid() != parent:
            sys.exit()

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS_A_LOOK, _SECONDS_A_LOOK)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _run_forked(connection: socket.socket) -> None:
    """In the child: take over the client's place, run, answer. Never returns."""
    code = _FAILED_WITHOUT_CODE
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        connection.settimeout(None)
        header, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(8))
        terminal = array.array("i", ancillary[0][2])
        length = int.from_bytes(header, "little")
        request = b""
        while len(request) < length:
            piece = connection.recv(length - len(request))
            if not piece:
                return
            request += piece
        job = json.loads(request)
        for source, target in zip(terminal, (1, 2), strict=True):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(job["env"])
        os.chdir(job["cwd"])
        threading.Thread(target=_end_with_client, args=(connection,), daemon=True).start()

        from polyprune.running.run import run

        code = run(job["argv"])
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([code]))
    finally:
        os._exit(code)


def _end_with_client(connection: socket.socket) -> None:
    """Block until the client hangs up (it was killed, or has its answer), then end this job's process."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os._exit(143)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
