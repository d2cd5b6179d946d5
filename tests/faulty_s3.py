"""A server in front of S3 that fails as networks and servers do, and passes on everything else."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

DROP = b""
"""Hang up without an answer."""
CUT = b"cut"
"""Pass the request on, and hang up inside the answer's body."""
LOST = b"lost"
"""Pass the request on, and hang up when the answer comes."""
STALL = b"stall"
"""Take the request and never answer; the connection stays open."""
_CUT_BYTES = 3000


def refusal(status: str, code: str) -> bytes:
    """An answer of S3 with an error code."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close"
    return f"{head}\r\n\r\n{body}".encode()


class FaultyS3:
    """Plays one fault on each request that has `method`, until none is left."""

    def __init__(self, method: str, faults: list[bytes]) -> None:
        upstream = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        assert upstream.hostname is not None
        self._upstream = (upstream.hostname, upstream.port or 80)
        self._method, self.faults = method.encode(), faults
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server:
            answers = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            started = False
            while request := client.recv(2**16):
                fault = None
                if request.startswith(self._method) and self.faults:
                    fault = self.faults.pop(0)
                if fault == STALL:
                    while client.recv(2**16):
                        continue
                    return
                if fault is not None and fault not in (CUT, LOST):
                    client.sendall(fault)
                    return
                server.sendall(request)
                if fault is not None:
                    answer = server.recv(_CUT_BYTES)
                    if fault == CUT:
                        client.sendall(answer)
                    return
                if not started:
                    answers.start()
                    started = True
            server.shutdown(socket.SHUT_WR)


@contextmanager
def faulty_s3(method: str, *faults: bytes) -> Iterator[FaultyS3]:
    """The server, as long as the block lasts."""
    server = FaultyS3(method, list(faults))
    try:
        yield server
    finally:
        server.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(2**16):
            target.sendall(chunk)
    except OSError:  # the other side hung up
        return
