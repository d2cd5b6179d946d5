"""A task of the pipeline that is told to end, as Kubeflow does with the pods of a run that a person
terminates: an API server on loopback keeps what it leaves.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.pipelines.platform.loopback import listening

TASK = """
import asyncio
import sys
from roundsmith.platform.component import _readable
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.platform.pytorchjob import PYTORCHJOB
from roundsmith.platform.training_job import Asked
from roundsmith.platform.training_pods import run_in_pods
from roundsmith.training.area import TrainingArea
from tests.pipelines.platform.clusters import cluster

@_readable
def train():
    asked = Asked(cluster(), sys.argv[1] + "/request.json", run="a-run-of-kubeflow")
    area = TrainingArea.of(asked.request_uri)
    with asyncio.Runner() as runner:
        runner.run(run_in_pods(KubernetesApi("ml"), PYTORCHJOB, asked, area, print))

train()
"""


def test_a_task_that_is_told_to_end_takes_its_training_away(tmp_path: Path) -> None:
    looked, jobs = threading.Event(), dict[str, bytes]()

    class Server(BaseHTTPRequestHandler):
        """Knows one job, which never comes to an end by itself."""

        def do_GET(self) -> None:
            if self.path.partition("?")[0].endswith("/pods"):
                self._answer(200, {"items": []})
                looked.set()
            elif "watch" in self.path:
                self._answer(200, None)
            else:
                self._answer(200, {"metadata": {"name": "train", "resourceVersion": "1"}})

        def do_POST(self) -> None:
            jobs["train"] = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(201, json.loads(jobs["train"]))

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            gone = jobs.pop("train", None) is None
            self._answer(404 if gone else 200, {"metadata": {"uid": "1"}})

        def _answer(self, status: int, told: Any) -> None:
            text = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with listening(Server) as url:
        config = tmp_path / "config"
        told = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        config.write_text(json.dumps(told))
        task = subprocess.Popen(
            [sys.executable, "-c", TASK, str(tmp_path)],
            env={**os.environ, "KUBECONFIG": str(config)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert looked.wait(60), "it follows its training"
            assert jobs
            task.send_signal(signal.SIGTERM)
            said = task.communicate(timeout=60)[1]
        finally:
            task.kill()
    assert task.returncode == 130, said
    assert not jobs, "a training without a run would hold its GPUs to its end"
    assert "Traceback" not in said
