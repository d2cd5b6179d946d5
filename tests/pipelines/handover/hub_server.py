"""A model hub on loopback: as much of its HTTP as a push takes, and what it was given. It wants
small files in the commit and large ones before by LFS, in parts; not by Xet, which takes a service
of its own.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PART = 2**20
"""Bytes of a part of a large file."""


@dataclass
class Hub:
    """What arrived: repositories by kind and name, files by path, and the answer to give."""

    url: str = ""
    refuses: int = 0
    """A status that everything is answered with; 0 answers as a hub does."""
    repositories: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    large: int = 2**62
    """Files of so many bytes and more come by LFS."""
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """Of large files, by sha256 and number."""

    def content(self, sha256: str) -> bytes:
        """A large file, put together."""
        whole = b"".join(part for _, part in sorted(self.parts[sha256].items()))
        assert hashlib.sha256(whole).hexdigest() == sha256
        return whole

    def wants(self, sha256: str, size: int) -> dict[str, Any]:
        """How a large file is to be sent; without actions where it is here."""
        wanted: dict[str, Any] = {"oid": sha256, "size": size}
        if sha256 not in self.parts:
            numbers = range(1, -(-size // PART) + 1)
            header = {str(n): f"{self.url}/part/{sha256}/{n}" for n in numbers}
            action = {"href": f"{self.url}/whole", "header": {"chunk_size": str(PART), **header}}
            wanted["actions"] = {"upload": action}
        return wanted

    def ways(self, files: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Which files come in the commit, and which before by LFS."""
        how = ("regular", "lfs")
        return [
            {"path": f["path"], "uploadMode": how[f["size"] >= self.large], "shouldIgnore": False}
            for f in files
        ]

    def take(self, commit: bytes) -> None:
        """Takes a commit's files."""
        for line in map(json.loads, commit.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.files[value["path"]] = self.content(value["oid"])


@contextmanager
def hub() -> Iterator[Hub]:
    """The server, as long as the block lasts."""
    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(state: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, fields: Any, status: int = 200) -> None:
            text = json.dumps(fields).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            state.asked.append(f"GET {self.path}")
            if state.refuses:
                self._answer({"error": "not for you"}, state.refuses)
                return
            self._answer({"id": "me/x", "sha": "0" * 40, "siblings": [], "private": False})

        def do_PUT(self) -> None:
            state.asked.append(f"PUT {self.path}")
            _, sha256, number = self.path.strip("/").split("/")
            state.parts.setdefault(sha256, {})[int(number)] = self._body()
            self.send_response(200)
            self.send_header("ETag", number)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            state.asked.append(f"POST {self.path}")
            body = self._body()
            if state.refuses:
                self._answer({"error": "not for you"}, state.refuses)
            elif self.path == "/api/repos/create":
                state.repositories.append(json.loads(body))
                self._answer({"url": f"{state.url}/me/x"})
            elif "/preupload/" in self.path:
                self._answer({"files": state.ways(json.loads(body)["files"])})
            elif self.path.endswith("/info/lfs/objects/batch"):
                objects = [state.wants(f["oid"], f["size"]) for f in json.loads(body)["objects"]]
                self._answer({"objects": objects, "transfer": "multipart"})
            elif "/commit/" in self.path:
                state.take(body)
                self._answer({"commitUrl": f"{state.url}/me/x/commit/1", "commitOid": "1" * 40})
            else:
                self._answer({})

    return Handler
