"""What is told of a training whose pods go while they are looked at, or are never made: an API
server on loopback.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.pipelines.platform.loopback import Answering, kubeconfig, listening

FOLLOW = """
import asyncio
from roundsmith.errors import PlatformError
from roundsmith.platform import pod_troubles, training_pods
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.platform.pytorchjob import PYTORCHJOB
from roundsmith.platform.training_job import Asked
from roundsmith.training.area import TrainingArea
from tests.pipelines.platform.clusters import cluster
training_pods.FIRST_LOOK_S = training_pods.LAST_LOOK_S = pod_troubles.NO_POD_S = 0.01
asked = Asked(cluster(), FOLDER + "/request.json")
area = TrainingArea.of(asked.request_uri)
try:
    asyncio.run(training_pods.run_in_pods(KubernetesApi("ml"), PYTORCHJOB, asked, area, print))
except PlatformError as error:
    print(error)
"""

REFUSED = """
from roundsmith.errors import PlatformError
from roundsmith.platform import training_pods
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.platform.training_job import Asked
from roundsmith.platform.trainjob import TRAINJOB
from tests.pipelines.platform.clusters import cluster
try:
    training_pods.submit(KubernetesApi("ml"), TRAINJOB, Asked(cluster(), "s3://b/p/request.json"))
except PlatformError as error:
    print(error)
"""
SUBMITTED = """
from roundsmith.platform import followed_run, pod_troubles
from roundsmith.platform.kubernetes_api import KubernetesApi
followed_run.LOOK_S = pod_troubles.NO_POD_S = 0.01
followed_run.Followed(KubernetesApi("ml"), "train", show=print, warn=print).to_its_end()
"""

WARNED = [
    {"reason": "FailedCreate", "message": "exceeded quota: team", "lastTimestamp": "2026-01-02"},
    {"reason": "FailedCreate", "message": "an earlier one", "lastTimestamp": "2026-01-01"},
]
REMOVED = "unable to retrieve container logs for containerd://ee1d60da58412649"


def pod(restarts: int, message: str = "") -> dict[str, Any]:
    """A pod whose container ended, after so many restarts, and left this in its status."""
    ended = {"terminated": {"exitCode": 2, "reason": "Error", "message": message}}
    container = {"name": "pytorch", "restartCount": restarts, "state": ended}
    status = {"containerStatuses": [container]}
    return {"metadata": {"name": "master-0"}, "status": status}


class Answers(Answering):
    """A job that fails at the third look: its pod ended, was restarted and ended again. The log can
    be read but once.
    """

    looks: ClassVar[int] = 0
    logs: ClassVar[list[str]] = []
    """What each request for a log is answered, the first first; then the pod is gone."""
    message: ClassVar[str] = ""
    podless: ClassVar[int] = 0
    """Where no pod is made, what is answered to who asks for events."""
    silent: ClassVar[list[dict[str, Any]]] = []
    """The pods that are there instead of none."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path.endswith("/log"):
            text = Answers.logs.pop(0) if Answers.logs else ""
            self.answer(200 if text else 404, text)
        elif path.endswith("/events"):
            assert "type%3DWarning" in query
            self.answer(self.podless, {"items": WARNED, "message": "forbidden"})
        elif path.endswith("/pods") and self.podless:
            self.answer(200, {"items": Answers.silent})
        elif path.endswith("/pods"):
            self.answer(200, {"items": [pod(min(Answers.looks - 1, 1), Answers.message)]})
        elif "watch" in query:
            self.answer(200, "")
        else:
            Answers.looks += 1
            held = {"type": "Failed", "status": "True", "message": "the limit is reached"}
            conditions = [held] if Answers.looks >= 3 else []
            metadata = {"name": "train", "resourceVersion": str(Answers.looks)}
            job = {"metadata": metadata, "spec": {}, "status": {"conditions": conditions}}
            self.answer(200, job)

    def do_POST(self) -> None:
        self.answer(201, self.sent().decode())


class Refusing(Answering):
    """Takes a TrainingRuntime, and no TrainJob."""

    there: ClassVar[list[str]] = []
    """The paths of what was made and not removed."""
    made: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        sent = json.loads(self.sent())
        if sent["kind"] == "TrainJob":
            self.answer(403, {"message": "exceeded quota: team"})
        else:
            path = f"{self.path}/{sent['metadata']['name']}"
            self.there.append(path)
            self.made.append(path)
            self.answer(201, sent)

    def do_DELETE(self) -> None:
        self.sent()
        if self.path in self.there:
            self.there.remove(self.path)
            self.answer(200, {"metadata": {"uid": "u"}})
        else:
            self.answer(404, {"message": "not found"})


def test_a_training_whose_job_is_refused_leaves_no_runtime_of_it(tmp_path: Path) -> None:
    with listening(Refusing) as url:
        told = said(REFUSED, kubeconfig(tmp_path, url))
    assert "saw status 403: exceeded quota: team" in told
    assert len(Refusing.made) == 1
    assert "/namespaces/ml/trainingruntimes/train-" in Refusing.made[0]
    assert Refusing.there == []


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """What leads to such a server."""
    with listening(Answers) as url:
        yield kubeconfig(tmp_path, url)


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
    logs: list[str], config: Path, tmp_path: Path
) -> None:
    Answers.looks, Answers.logs, Answers.podless = 0, list(logs), 0
    Answers.message = "of its status"
    told = said(FOLLOW.replace("FOLDER", repr(str(tmp_path))), config)
    assert "saw it fail (the limit is reached)" in told
    assert told.endswith("--- master-0\nno request\n")


@pytest.mark.parametrize("logs", [[], [REMOVED] * 8], ids=["gone", "removed"])
def test_what_a_pod_printed_is_told_though_its_log_could_never_be_read(
    logs: list[str], config: Path, tmp_path: Path
) -> None:
    Answers.looks, Answers.logs, Answers.podless = 0, list(logs), 0
    Answers.message = "no request\n"
    told = said(FOLLOW.replace("FOLDER", repr(str(tmp_path))), config)
    assert told.endswith("--- master-0\nno request\n")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (200, "FailedCreate: exceeded quota: team"),
        (403, "its events tell why: kubectl describe "),
    ],
)
@pytest.mark.parametrize("script", [FOLLOW, SUBMITTED], ids=["training", "run"])
def test_a_job_none_of_whose_pods_can_be_made_tells_why(
    script: str, status: int, why: str, config: Path, tmp_path: Path
) -> None:
    Answers.looks, Answers.podless, Answers.silent = 0, status, []
    told = said(script.replace("FOLDER", repr(str(tmp_path))), config)
    assert re.search(rf"no pod of it for \d+ s: {why}", told)


@pytest.mark.parametrize("script", [FOLLOW, SUBMITTED], ids=["training", "run"])
def test_a_pod_that_does_not_begin_and_does_not_say_why_tells_what_its_events_do(
    script: str, config: Path, tmp_path: Path
) -> None:
    created = {"name": "pytorch", "state": {"waiting": {"reason": "ContainerCreating"}}}
    status: dict[str, Any] = {"phase": "Pending", "containerStatuses": [created]}
    waits = {"metadata": {"name": "master-0", "creationTimestamp": ""}, "status": status}
    Answers.looks, Answers.podless, Answers.silent = 0, 200, [waits]
    told = said(script.replace("FOLDER", repr(str(tmp_path))), config)
    assert re.search(r"master-0: it has not begun for \d+ s: FailedCreate: exceeded", told)
    # Warned before it had a node.
    at = "2026-01-03T00:00:00Z"
    has_a_node = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at}
    Answers.looks, status["conditions"] = 0, [has_a_node]
    told = said(script.replace("FOLDER", repr(str(tmp_path))), config)
    assert re.search(r"not begun for \d+ s: its events tell why: kubectl describe pods mast", told)


def said(script: str, config: Path) -> str:
    """What a process prints; the client reads KUBECONFIG once, when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KUBECONFIG": str(config)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout
