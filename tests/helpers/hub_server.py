"""A hub on this machine, which answers as the real one does: commits, listings and files of repositories."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from huggingface_hub.utils.sha import git_hash

Repositories = Mapping[str, Mapping[str, Mapping[str, bytes]]]
"""Files by name, by commit, by repository as its page is called: `org/name` of a model, `datasets/org/name`."""


class _Answers(BaseHTTPRequestHandler):
    def __init__(self, repositories: Repositories, *args: object) -> None:
        self.repositories = repositories
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        name, _, place = path.partition("/resolve/")
        commit, _, file = place.partition("/")
        if path.startswith("api/"):
            if about := self._about(path.removeprefix("api/").removeprefix("models/")):
                self._say(json.dumps(about).encode(), {})
            else:
                self._say(b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"}, 404)
        elif (content := self.repositories.get(name, {}).get(commit, {}).get(file)) is not None:
            self._say(content, {"ETag": f'"{git_hash(content)}"', "X-Repo-Commit": commit})
        else:
            self._say(b"", {"X-Error-Code": "EntryNotFound"}, 404)

    do_HEAD = do_GET  # noqa: N815

    def _about(self, path: str) -> object:
        """The last commit of a repository, or the files of one; None of an unknown repository."""
        name, _, commit = path.partition("/tree/")
        if (commits := self.repositories.get(name)) is None:
            return None
        if commit:
            files = commits[commit].items()
            return [{"type": "file", "path": file, "size": len(is_in), "oid": git_hash(is_in)} for file, is_in in files]
        return {"id": name, "sha": list(commits)[-1], "siblings": []}

    def _say(self, body: bytes, headers: Mapping[str, str], status: int = 200) -> None:
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def hub_server(repositories: Repositories) -> Iterator[str]:
    """While it runs: its address, for `HF_ENDPOINT`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answers, repositories))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
