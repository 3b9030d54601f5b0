"""Fetching from a hub that answers as the real one does, through Snakemake: what the terminal says at its end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.helpers.checkout import copy_repository

MODEL = "results/llama-3-8b/model.json"
NAME = "meta-llama/Meta-Llama-3-8B-Instruct"
GATED = f"model {NAME} is gated: accept its licence at https://huggingface.co/{NAME}, then log in with `hf auth login`"
TOKEN = "hf_of_a_test"


class Hub(BaseHTTPRequestHandler):
    """Names and commits are for all; files of a gated model for those whose token has its licence, which none has."""

    def do_GET(self) -> None:
        token = self.headers.get("authorization")
        if token not in (None, f"Bearer {TOKEN}"):
            self._answer(401, message="Invalid credentials in Authorization header")
        elif "/tree/" in self.path or "/resolve/" in self.path:
            self._answer(403 if token else 401, code="GatedRepo", message="Access to this model is restricted.")
        else:
            self._answer(200, {"id": NAME, "sha": "a" * 40, "gated": "manual", "siblings": []})

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: int, body: object = None, code: str = "", message: str = "") -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("X-Error-Code", code), ("X-Error-Message", message), ("Content-Type", "application/json")):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(clone: Path, endpoint: str, token: str | None) -> str:
    """The end of what is said by a run that is to fail."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "HF_TOKEN")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(clone / "hub"), "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
    environment |= {"HF_TOKEN": token} if token else {}
    command = [sys.executable, "-m", "snakemake", "--profile", "local", "--cores", "1", "--", MODEL]
    run = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert run.returncode == 1 and not (clone / MODEL).exists()
    assert "Traceback" not in run.stdout + run.stderr
    return " ".join((run.stdout + run.stderr).split())


UNREACHED = f"model {NAME} is not in this machine's cache and the hub is off or out of reach; fetch it once on"
SAID = {
    "no token": GATED,
    "no licence": GATED,
    "a token of last year": f"the hub refuses your token, though model {NAME} may be open to all: log in anew",
    "no network": UNREACHED,
}


@pytest.fixture(scope="module")
def told(hub: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """What is said of each; all run side by side, as they wait before they try again."""
    with socket.socket() as closed, ThreadPoolExecutor() as pool:
        closed.bind(("127.0.0.1", 0))  # not listening: whoever connects is refused
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        asked = {
            "no token": (hub, None),
            "no licence": (hub, TOKEN),
            "a token of last year": (hub, "hf_of_last_year"),
            "no network": (nowhere, None),
        }
        clones = {name: copy_repository(tmp_path_factory.mktemp("clone")) for name in asked}
        yield {name: pool.submit(fetch, clones[name], *how) for name, how in asked.items()}


@pytest.mark.parametrize("name", SAID)
def test_what_is_missing_is_said_and_what_to_do(name: str, told: dict[str, Future[str]]) -> None:
    assert SAID[name] in told[name].result()
