"""What is told of a training whose pods go while they are looked at: an API server on loopback."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

FOLLOW = """
import asyncio
from roundsmith.errors import PlatformError
from roundsmith.platform import training_pods
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.platform.pytorchjob import PYTORCHJOB
from roundsmith.platform.training_job import Asked
from roundsmith.training.area import TrainingArea
from tests.pipelines.platform.clusters import cluster
training_pods.FIRST_LOOK_S = training_pods.LAST_LOOK_S = 0.01
asked = Asked(cluster(), FOLDER + "/request.json")
area = TrainingArea.of(asked.request_uri)
try:
    asyncio.run(training_pods.run_in_pods(KubernetesApi("ml"), PYTORCHJOB, asked, area, print))
except PlatformError as error:
    print(error)
"""


REMOVED = "unable to retrieve container logs for containerd://ee1d60da58412649"


def pod(restarts: int) -> dict[str, Any]:
    """A pod whose container ended, after so many restarts."""
    ended = {"terminated": {"exitCode": 2, "reason": "Error"}}
    status = {"containerStatuses": [{"restartCount": restarts, "state": ended}]}
    return {"metadata": {"name": "master-0"}, "status": status}


class Answers(BaseHTTPRequestHandler):
    """A job that fails at the third look: its pod ended, was restarted and ended again. The log can
    be read but once.
    """

    looks: ClassVar[int] = 0
    logs: ClassVar[list[str]] = []
    """What each request for a log is answered, the first first; then the pod is gone."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path.endswith("/log"):
            text = Answers.logs.pop(0) if Answers.logs else ""
            self.answer(200 if text else 404, text)
        elif path.endswith("/pods"):
            self.answer(200, json.dumps({"items": [pod(min(Answers.looks - 1, 1))]}))
        elif "watch" in query:
            self.answer(200, "")
        else:
            Answers.looks += 1
            held = {"type": "Failed", "status": "True", "message": "the limit is reached"}
            conditions = [held] if Answers.looks >= 3 else []
            metadata = {"name": "train", "resourceVersion": str(Answers.looks)}
            job = {"metadata": metadata, "status": {"conditions": conditions}}
            self.answer(200, json.dumps(job))

    def do_POST(self) -> None:
        self.answer(201, self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, status: int, told: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    """What leads to such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    told = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(told))
    yield path
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "logs",
    [
        pytest.param(["no request\n"], id="at once"),
        pytest.param(["", "", "no request\n"], id="after the restart"),
        pytest.param(["", "no request\n", REMOVED], id="before it was removed"),
        pytest.param(["", "", "", "", "no request\n"], id="when the job has failed"),
    ],
)
def test_what_a_pod_printed_is_told_though_it_could_be_read_but_once(
    logs: list[str], kubeconfig: Path, tmp_path: Path
) -> None:
    Answers.looks, Answers.logs = 0, list(logs)
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW.replace("FOLDER", repr(str(tmp_path)))],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "saw it fail (the limit is reached)" in done.stdout
    assert done.stdout.endswith("--- master-0\nno request\n")
