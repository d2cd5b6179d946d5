"""Keys that open one prefix of a bucket alone, as each of several users has them, are enough."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

NONE = (
    '<?xml version="1.0"?><ListBucketResult><Name>rounds</Name><KeyCount>0</KeyCount>'
    "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>"
)
DENIED = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>'
OPEN = """
from roundsmith.storage import open_storage
print(open_storage("s3://rounds/ann")[1])
"""


class Prefixed(BaseHTTPRequestHandler):
    """S3 without an object, whose keys may list what begins with `ann/`."""

    def do_GET(self) -> None:  # the name that http.server calls
        query = parse_qs(urlsplit(self.path).query)
        own = query.get("prefix", [""])[0].startswith("ann/")
        content = (NONE if own else DENIED).encode()
        self.send_response(200 if own else 403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_storage_is_opened_by_keys_that_may_list_nothing_outside_of_it() -> None:
    pytest.importorskip("s3fs", reason="s3fs: expected the extra `cluster`, saw none")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prefixed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys = {"AWS_ACCESS_KEY_ID": "ann", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "x"}
    told = {**os.environ, **keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", OPEN], env=told, capture_output=True, text=True, check=False
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.stdout == "rounds/ann\n", done.stderr
