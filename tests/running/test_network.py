"""Only stages that fetch reach the hub: compute jobs are refused at once, with and without the warm worker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.helpers.warm_worker import warm_worker, with_stages

from polyprune.running import worker
from polyprune.running.network import may_fetch

ROOT = Path(__file__).parents[2]
TOKEN = "hf_" + "aB3" * 11
STAGES = '''
"""Two stages that ask the hub for the same, and a worker that imports the hub's libraries before it forks."""
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

class Preload:
    """Finds and is the module `preload`, in place of the one that imports torch and the harness."""
    @staticmethod
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, Preload) if name == "polyprune.model.preload" else None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        import huggingface_hub.constants, datasets.config  # before any job is known

if "polyprune.running.worker" in " ".join(sys.orig_argv):
    sys.meta_path.insert(0, Preload)
for name in ("compute_probe", "fetch_probe"):
    sys.modules[f"polyprune.stages.{name}"] = sys.modules[__name__]

def compute_probe(output: Path, provenance: dict):
    from huggingface_hub import HfApi
    from polyprune.hub import explained
    assert "torch" not in sys.modules, "these tests would be slow"
    with explained("model", "org/name"):
        output.write_text(HfApi().repo_info("org/name").sha)

fetch_probe = compute_probe
'''


class Hub(BaseHTTPRequestHandler):
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("authorization", "")))
        body = json.dumps({"id": "org/name", "sha": "a" * 40, "siblings": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        pass


@pytest.fixture
def hub() -> Iterator[HTTPServer]:
    Hub.asked = []
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def environment(hub: HTTPServer, tmp_path: Path) -> dict[str, str]:
    mine = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", worker.SOCKET_VARIABLE)
    return {key: value for key, value in os.environ.items() if key not in mine} | {
        "PYTHONPATH": with_stages(tmp_path / "packages", STAGES),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_TOKEN": TOKEN,
    }


def run(stage: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = ["--settings", "{}", "--output", "sha", "--log", "probe.log", "--threads", "1"]
    command = [sys.executable, "-m", "polyprune", stage, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(params=["alone", "warm"])
def asker(request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a job, without and with a warm worker."""
    if request.param == "alone":
        yield environment
        return
    with warm_worker(environment) as (_, socket):
        yield environment | {worker.SOCKET_VARIABLE: socket}


def test_a_compute_stage_is_refused_and_a_fetching_stage_is_not(asker: dict[str, str], tmp_path: Path):
    refused = run("compute_probe", tmp_path, asker)
    assert refused.returncode == 1
    assert "error: model org/name is not in this machine's cache and the hub is off or out of reach" in refused.stderr
    assert Hub.asked == []
    fetched = run("fetch_probe", tmp_path, asker)
    assert (fetched.returncode, (tmp_path / "sha").read_text()) == (0, "a" * 40), fetched.stderr
    assert Hub.asked[-1] == ("/api/models/org/name", f"Bearer {TOKEN}")
    assert TOKEN not in refused.stderr + fetched.stderr + (tmp_path / "probe.log").read_text()


def test_a_token_in_a_message_is_left_out_of_the_log(environment: dict[str, str], tmp_path: Path):
    code = (
        "from pathlib import Path; from polyprune.log import log_to, logger; log_to(Path('x.log'), 'job')\n"
        f"try: raise OSError('https://user:{TOKEN}@huggingface.co')\n"
        "except OSError: logger.exception('said %s', 'hf_hub_download')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    log = (tmp_path / "x.log").read_text()
    for text in (done.stderr, log):
        assert TOKEN not in text and "https://user:hf_***@huggingface.co" in text


def test_every_rule_that_fetches_runs_where_snakemake_runs():
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    rules = re.split(r"^ *rule\b", text, flags=re.MULTILINE)[1:]
    fetching = [rule for rule in rules if may_fetch("".join(re.findall(r"python -m polyprune (\w+)", rule)))]
    assert len(fetching) == 7
    assert all("localrule: True" in rule for rule in fetching)
