"""The Kubernetes API as a server on loopback speaks it: silence, what is not there, what is."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.pipelines.platform.clusters import described
from tests.pipelines.platform.loopback import Answering, kubeconfig, listening

LOG = "/api/v1/namespaces/ml/pods/p/log"
ENDED = {
    "/api/v1/namespaces/ml/pods/ended/log": b"2026-01-01T00:00:00Z round 1\n"
    b"2026-01-01T00:00:01Z Traceback: no end",
    "/api/v1/namespaces/ml/pods/removed/log": b"unable to retrieve container logs for "
    b"containerd://ee1d60da58412649",
}
UNSEEN = (
    'admission webhook "validator.trainjob.trainer.kubeflow.org" denied the request: '
    'spec.runtimeRef: Invalid value: {"name":"train-1"}: TrainingRuntime.trainer.kubeflow.org '
    '"train-1" not found: specified trainingRuntime must be created before the TrainJob is created'
)
JOB = {"metadata": {"name": "r-promote-1", "annotations": {}}, "status": {}}


EXPIRED = """
from roundsmith.errors import PlatformError
from roundsmith.platform.kubernetes_api import KubernetesApi
try:
    KubernetesApi("expired").select("jobs", "run")
except PlatformError as error:
    print(error)
"""


class Answers(Answering):
    """A log that falls silent after a line, a Job that is under way, a TrainJob; little else."""

    protocol_version = "HTTP/1.1"
    over = threading.Event()
    deleted = 0
    """How often a Job was deleted; from the second time on it is another one, made meanwhile."""
    held = 3
    """How often a Job that a finalizer holds is told to go until it does."""
    meant: ClassVar[list[str]] = []
    """The uids by which one was meant."""
    taken: ClassVar[list[str]] = []
    """Of a TrainJob, what was deleted."""
    annotations: ClassVar[dict[str, str | None]] = {}
    """Of an InferenceService."""
    unseen = 2
    """How often a TrainJob's webhook has not heard of its TrainingRuntime yet."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == LOG:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            line = b"2026-01-01T00:00:00Z round 1\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.flush()
            self.over.wait(600)
        elif path in ENDED:
            line = ENDED[path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(line)))
            self.end_headers()
            self.wfile.write(line)
        elif path == "/version":
            self.answer(200, {"major": "1", "minor": "30", "gitVersion": "v1.30.0"})
        elif path.endswith("/jobs/r-promote-1"):
            self.answer(200, JOB)
        elif path in ("/apis/kubeflow.org/v1", "/apis/trainer.kubeflow.org/v1alpha1"):
            self.answer(200, {"resources": [{"name": "pytorchjobs"}, {"name": "trainjobs"}]})
        elif path.endswith("/trainjobs"):
            self.answer(200, {"items": [{"metadata": {"name": "train-1"}}]})
        elif path.endswith("/inferenceservices/r-generator"):
            self.answer(200, {"metadata": {"annotations": self.annotations}})
        elif path.endswith("/pods"):
            self.answer(200, {"items": []})
        elif path.endswith("/expired/jobs"):
            self.answer(401, {"message": "Unauthorized"})
        elif path.endswith("/pytorchjobs"):
            self.answer(403, {"message": "a run has no role for them"})
        else:
            self.answer(404, {"message": "not found"})

    def do_PATCH(self) -> None:
        change = json.loads(self.sent())
        Answers.annotations |= change["metadata"]["annotations"]
        self.answer(200, {"metadata": {"annotations": self.annotations}})

    def do_DELETE(self) -> None:
        told = json.loads(self.sent())
        *_, kind, name = self.path.split("/")
        if name == "train-1":
            Answers.taken.append(kind)
            self.answer(404, {"message": "not found"})
            return
        if name == "r-held":
            Answers.held -= 1
            metadata = {"uid": "held", "finalizers": ["team/hook"]}
            self.answer(200 if Answers.held else 404, {"metadata": metadata})
            return
        Answers.deleted += 1
        there = "old" if Answers.deleted == 1 else "new"
        uid = told.get("preconditions", {}).get("uid", there)
        Answers.meant.append(uid)
        if uid != there:
            self.answer(409, {"message": "Precondition failed: UID in precondition"})
        elif Answers.deleted > 2:
            self.answer(404, {"message": "not found"})
        else:
            self.answer(200, {"kind": "Job", "metadata": {"name": "r-first", "uid": there}})

    def do_POST(self) -> None:
        self.sent()
        if self.path.endswith("/selfsubjectaccessreviews"):
            self.answer(201, {"status": {"allowed": True}})
        elif self.path.endswith("/trainjobs"):
            Answers.unseen -= 1
            self.answer(403 if Answers.unseen >= 0 else 201, {"message": UNSEEN})
        elif self.path.endswith("/namespaces/hooked/jobs"):
            self.answer(403, {"message": 'admission webhook "x" denied the request: no'})
        else:
            self.answer(409, {"message": "already exists"})


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What leads to such a server."""
    with listening(Answers) as url:
        yield kubeconfig(tmp_path_factory.mktemp("kube"), url)
        Answers.over.set()


def test_who_is_not_known_any_more_is_told_to_log_in_and_not_to_grant_it(config: Path) -> None:
    told = said(config, EXPIRED)
    remedy = "log in again, or name another kubeconfig by KUBECONFIG"
    assert told.endswith(f"saw status 401: Unauthorized: {remedy}\n")


NO_TLS = """
from roundsmith.errors import PlatformError
from roundsmith.platform import api_server
from roundsmith.platform.kubernetes_api import KubernetesApi
api_server.PATIENCE_S = 0.1
try:
    KubernetesApi("ml").select("jobs", "run")
except PlatformError as error:
    print(error)
"""


def test_a_server_whose_tls_fails_is_none_that_says_there_is_nothing(tmp_path: Path) -> None:
    with listening(Answers) as url:  # speaks no TLS
        done = played(kubeconfig(tmp_path, url.replace("http:", "https:")), NO_TLS)
    told = "expected the Kubernetes API server to answer, saw SSLError [SSL: "
    assert told in done.stdout
    assert "check the kubeconfig and the network, and run again" in done.stdout


LOGGED_IN = """
from roundsmith.errors import ConfigError
from roundsmith.platform.kubernetes_api import KubernetesApi
try:
    KubernetesApi("ml")
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("held", "seen"),
    [
        (b"clusters: {a", "while parsing a flow mapping"),
        (b"a text", "a file of another kind"),
        (b"[1]", "a file of another kind"),
        (b"\xff\xfe\x00", "codec can't decode byte"),
        (b"", "file is empty"),
        (None, "Is a directory"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_told_in_a_line(
    held: bytes | None, seen: str, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    if held is None:
        file.mkdir()
    else:
        file.write_bytes(held)
    (told,) = said(file, LOGGED_IN).splitlines()
    assert told.startswith("expected a pod's service account or a kubeconfig, saw ")
    assert seen in told
    assert "set KUBECONFIG to the file of your cluster" in told


def said(config: Path, script: str) -> str:
    """What a process prints."""
    return played(config, script).stdout


def played(config: Path, script: str) -> subprocess.CompletedProcess[str]:
    """A process that ended; the client reads KUBECONFIG once, when it is imported."""
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KUBECONFIG": str(config)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


AWAY = """
import logging
import threading
from roundsmith.platform.kubernetes_api import KubernetesApi
from tests.pipelines.platform.loopback import listening
from tests.pipelines.platform.test_kubernetes_api import Answers
class ComesBack(logging.Handler):
    def emit(self, record):
        threading.Thread(target=serve, daemon=True).start()
        logging.getLogger().removeHandler(self)
def serve():
    with listening(Answers, PORT):
        over.wait(600)
over = threading.Event()
logging.basicConfig(format="%(message)s")
logging.getLogger().addHandler(ComesBack())
api = KubernetesApi("ml")
api.wait("jobs", {"metadata": {"name": "r-promote-1", "resourceVersion": "1"}}, 0.1)
print(api.get("jobs", "r-promote-1") is not None)
over.set()
"""


def test_a_server_that_is_away_is_told_once_and_once_that_it_is_back(tmp_path: Path) -> None:
    with listening(Answers) as url:
        port = url.rpartition(":")[2]
    done = played(kubeconfig(tmp_path, url), AWAY.replace("PORT", port))
    assert done.stdout == "True\n"
    away, back = done.stderr.splitlines()
    asked = "GET /apis/batch/v1/namespaces/ml/jobs/r-promote-1"
    assert away.startswith(f"the Kubernetes API server does not {asked} now (HTTPConnection(host=")
    assert "Connection refused): asking again for 120 s at most" in away
    assert back.startswith("the Kubernetes API server answers again, after ")


FOLLOW = """
from roundsmith.platform import kubernetes_api
kubernetes_api.TIMEOUT_S = 5
print(list(kubernetes_api.KubernetesApi("ml").follow("p", "control")))
"""


def test_a_log_that_falls_silent_is_left_to_be_asked_for_again(config: Path) -> None:
    assert said(config, FOLLOW) == "[('2026-01-01T00:00:00Z', 'round 1')]\n"


def test_the_last_line_of_a_log_needs_no_end(config: Path) -> None:
    told = said(config, FOLLOW.replace('"p"', '"ended"'))
    assert told.endswith("('2026-01-01T00:00:01Z', 'Traceback: no end')]\n")


UNSEEN_RUNTIME = """
from roundsmith.errors import PlatformError
from roundsmith.platform.kubernetes_api import KubernetesApi
print(KubernetesApi("ml").create("trainjobs", {}) is not None)
try:
    KubernetesApi("hooked").create("jobs", {})
except PlatformError as error:
    print(error)
"""


def test_a_webhook_that_has_not_heard_of_a_runtime_yet_is_asked_again_and_no_other(
    config: Path,
) -> None:
    created, refused = said(config, UNSEEN_RUNTIME).splitlines()
    assert created == "True"
    assert Answers.unseen == -1
    assert refused.endswith('admission webhook "x" denied the request: no: correct what it names')


REMOVED = """
from roundsmith.platform.kubernetes_api import KubernetesApi
api = KubernetesApi("ml")
print([api.log("removed", "control", 30), list(api.follow("removed", "control"))])
"""


def test_what_a_kubelet_says_of_a_removed_container_is_not_its_log(config: Path) -> None:
    assert said(config, REMOVED) == "['', []]\n"


CHECKS = """
from roundsmith.platform.cluster_checks import cluster_checks
from tests.pipelines.platform.clusters import described
from tests.pipelines.platform.loopback import Answering, kubeconfig, listening
from roundsmith.platform.cluster_config import ClusterConfig
told = described() | {"storage": STORAGE, "generator": {"inference_service": SERVICE}}
print({check.name: check.ok for check in cluster_checks(ClusterConfig.model_validate(told))})
"""


@pytest.mark.parametrize(("service", "asked"), [("", False), ("r-generator", True)])
def test_kserve_is_asked_for_where_the_installation_uses_it(
    config: Path, tmp_path: Path, service: str, asked: bool
) -> None:
    script = CHECKS.replace("STORAGE", repr(str(tmp_path)))
    found = said(config, script.replace("SERVICE", repr(service)))
    assert "'kubernetes': True" in found
    assert ("'kserve': False" in found) == ("kserve" in found) == asked


SUBMIT = """
from roundsmith.errors import ConfigError
from roundsmith.platform.control_job import submit_job
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.platform.promotion_job import promotion_job
from tests.pipelines.platform.clusters import cluster
job = promotion_job(cluster(), "r", ["--back"], {})
job["metadata"]["name"] = "r-promote-1"
try:
    submit_job(KubernetesApi("ml"), job)
except ConfigError as error:
    print(error)
"""


def test_a_promotion_beside_one_of_another_state_is_refused_in_words(config: Path) -> None:
    assert "wait until it is over" in said(config, SUBMIT)


DELETE = """
from roundsmith.platform.kubernetes_api import KubernetesApi
KubernetesApi("ml").delete("jobs", "r-first")
"""


def test_what_another_makes_under_a_name_that_is_being_deleted_stays(config: Path) -> None:
    said(config, DELETE)
    assert Answers.meant == ["old", "old"]


HELD = """
import logging
from roundsmith.platform import kubernetes_api
logging.basicConfig(format="%(message)s", stream=__import__("sys").stdout)
kubernetes_api.SLOW_S = 0.1
kubernetes_api.KubernetesApi("ml").delete("jobs", "r-held")
"""


def test_what_holds_an_object_that_is_removed_is_told(config: Path) -> None:
    assert "s ago, held by ['team/hook']" in said(config, HELD)


RELEASE = """
from roundsmith.platform.component import release
print(release("CLUSTER", "run-1"))
"""


def test_a_round_releases_what_its_installation_trains_by_and_what_was_made_with_it(
    config: Path, tmp_path: Path
) -> None:
    told = tmp_path / "cluster.json"
    told.write_text(json.dumps(described(job="trainjob")))
    found = said(config, RELEASE.replace("CLUSTER", str(told)))
    assert found == "TrainJob train-1\n"
    assert Answers.taken == ["trainjobs", "trainingruntimes"]


STOPPED = """
from roundsmith.platform.component import release
from roundsmith.platform.inference_service import InferenceService
from roundsmith.platform.kubernetes_api import KubernetesApi
InferenceService(KubernetesApi("ml"), "r-generator").stop("run-1")
print([release("CLUSTER", run) for run in ("run-2", "run-1", "run-1")])
"""


def test_a_round_starts_the_generator_again_that_it_was_ended_in_the_middle_of_and_no_other(
    config: Path, tmp_path: Path
) -> None:
    told = tmp_path / "cluster.json"
    stopped = {"inference_service": "r-generator", "stopped_while_training": True}
    told.write_text(json.dumps(described(job="trainjob") | {"generator": stopped}))
    none, started, again = json.loads(
        said(config, STOPPED.replace("CLUSTER", str(told))).replace("'", '"')
    )
    assert "r-generator" not in none
    assert "inference service r-generator" in started
    assert "r-generator" not in again
    assert Answers.annotations["serving.kserve.io/stop"] == "false"
    assert Answers.annotations["roundsmith.dev/stopped-by"] is None
