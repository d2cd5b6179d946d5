"""A model hub on loopback: as much of its HTTP as a push of small files takes, and what it was
given. It wants every file in the commit, not by Xet, which takes a service of its own.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """What arrived: repositories by kind and name, files by path, and the answer to give."""

    url: str = ""
    refuses: int = 0
    """A status that everything is answered with; 0 answers as a hub does."""
    repositories: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


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

        def do_POST(self) -> None:
            state.asked.append(f"POST {self.path}")
            body = self._body()
            if state.refuses:
                self._answer({"error": "not for you"}, state.refuses)
            elif self.path == "/api/repos/create":
                state.repositories.append(json.loads(body))
                self._answer({"url": f"{state.url}/me/x"})
            elif "/preupload/" in self.path:
                files = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in json.loads(body)["files"]
                ]
                self._answer({"files": files})
            elif "/commit/" in self.path:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        path, content = line["value"]["path"], line["value"]["content"]
                        state.files[path] = base64.b64decode(content)
                self._answer({"commitUrl": f"{state.url}/me/x/commit/1", "commitOid": "1" * 40})
            else:
                self._answer({})

    return Handler
