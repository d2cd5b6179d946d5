"""What `roundsmith doctor --cluster` says where no cluster is, and of storage."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from roundsmith.config import ServeSettings
from roundsmith.executor.pool import Pool
from roundsmith.executor.service import bindings
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.platform.checks import LEAVES, Check
from roundsmith.platform.cluster_checks import STRONGER, isolation, needed, storage
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.control_job import doctor_job
from roundsmith.platform.training_kinds import KINDS
from roundsmith.serve import listening as serving
from tests.pipelines.platform.clusters import cluster, described
from tests.pipelines.platform.loopback import Answering, kubeconfig, listening
from tests.pipelines.platform.test_control_job import OWNER


def test_storage_that_keeps_the_first_of_two_is_ok_and_left_as_it_was(tmp_path: Path) -> None:
    here = cluster().model_copy(update={"storage": str(tmp_path)})
    found = storage(here)
    assert found.ok, found
    assert "keeps the first of two" in found.detail
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_storage_that_can_not_be_written_says_what_to_check(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    found = storage(cluster().model_copy(update={"storage": str(file)}))
    assert not found.ok
    assert "storage.url" in found.remedy


def test_the_tier_of_the_sandbox_is_told_with_what_it_leaves_and_what_brings_more() -> None:
    async def told() -> Check:
        serve = ServeSettings()
        async with (
            Pool(ExecutorSettings(slots=1, highest="T1")) as pool,
            serving(bindings(pool, serve), serve) as addresses,
        ):
            here = cluster()
            endpoints = here.endpoints.model_copy(update={"executor": addresses["address"]})
            return await isolation(here.model_copy(update={"endpoints": endpoints}))

    found = asyncio.run(told())
    assert found.ok, found
    assert found.detail == f"T1: {LEAVES['T1']}"
    assert "which files there are" in found.detail
    assert found.remedy == STRONGER["T1"]
    assert "sandbox.seccompProfile" in found.remedy
    assert "gVisor's class" in found.remedy


LOOK = """
from roundsmith.platform.cluster_checks import cluster_checks
from tests.pipelines.platform.clusters import cluster
(found,) = cluster_checks(cluster())
print(found.name, found.ok, found.detail)
"""


def test_without_a_login_one_check_says_so(tmp_path: Path) -> None:
    # The client reads KUBECONFIG once, when it is imported.
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "none"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("kubernetes False expected a pod's service account or a kubecon")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_run_asks_for_its_kind_of_job_alone(kind: str) -> None:
    asked = list(needed(KINDS[kind], cluster()))
    trainings = {resource for _, resource, group, _ in asked if group}
    assert trainings == {"pytorchjob": {"pytorchjobs"}, "trainjob": {"trainjobs",
        "trainingruntimes"}}[kind]  # fmt: skip
    assert ("get", "pods/log", "", "") in asked


def test_the_inference_services_that_a_run_changes_are_asked_for_by_name() -> None:
    generator = {"inference_service": "r-generator", "stopped_while_training": True}
    serve = {"runtime": "stock", "inference_service": "r-serve", "history": "s3://b/h.json"}

    def changed(**told: Any) -> set[tuple[str, str]]:
        here = ClusterConfig.model_validate(described() | told)
        asked = needed(KINDS["pytorchjob"], here)
        return {(verb, name) for verb, kind, _, name in asked if kind == "inferenceservices"}

    kept = {**generator, "stopped_while_training": False}
    assert changed(generator=kept) == set()
    assert changed(generator=generator) == {("get", "r-generator"), ("patch", "r-generator")}
    assert changed(generator=kept, serve=serve) == {("get", "r-serve"), ("patch", "r-serve")}


def test_it_looks_from_a_pod_as_runs_have_it() -> None:
    made = doctor_job(cluster(), "r-doctor", OWNER)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    looked_at = ["doctor", "--cluster", "/etc/roundsmith/cluster.json", "--runs"]
    assert container["args"] == [*looked_at, "--json"]


def test_it_waits_for_no_queue_and_no_priority_that_may_be_wrong() -> None:
    made = doctor_job(cluster({"queue": "typo", "priority_class": "typo"}), "r-doctor", OWNER)
    assert "typo" not in json.dumps(made)


EXPLAIN = """
from roundsmith.platform.checks import Check
from roundsmith.platform.cluster_checks import explained
from tests.pipelines.platform.clusters import cluster
here = cluster()
here.control.template["metadata"]["labels"]["app.kubernetes.io/instance"] = "r"
names = ("generator", "scorer", "executor", "pair builder", "serve", "storage")
for check in explained(here, [Check(name, name == "scorer", "away") for name in names]):
    print(check.detail)
"""
TOLD = """\
away; g: not scheduled: no nvidia.com/gpu
away
away; r-executor has no pod: exceeded quota; r-sandbox has no pod
away; p: FailedMount: no secret
away; r-serve has no pod: its name is too long
away
"""


class Waiting(Answering):
    """A generator that finds no GPU, a pair builder that does not say why it does not begin, and
    what makes no pods of the others.
    """

    def do_GET(self) -> None:
        unscheduled = {"type": "PodScheduled", "status": "False", "message": "no nvidia.com/gpu"}
        full = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
        long = {"type": "Ready", "status": "False", "message": "its name is too long"}
        pods = {
            "generator": ("g", {"phase": "Pending", "conditions": [unscheduled]}),
            "pair-builder": ("p", {"phase": "Pending"}),
        }
        path, _, query = unquote(self.path).partition("?")
        if path.endswith("/events"):
            warned = {"reason": "FailedMount", "message": "no secret", "lastTimestamp": "2026"}
            self.answer(200, {"items": [warned]})
        elif path.endswith("/pods"):
            asked = query.rpartition("instance=r,app.kubernetes.io/component=")[2]
            found = [pods[asked]] if asked in pods else []
            items = [{"metadata": {"name": name}, "status": status} for name, status in found]
            self.answer(200, {"items": items})
        elif path.endswith("/ml/deployments/r-executor"):
            self.answer(200, {"status": {"conditions": [full]}})
        elif path.endswith("/ml/inferenceservices/r-serve"):
            self.answer(200, {"status": {"conditions": [long]}})
        else:
            self.answer(404, {"message": "not found"})


def test_a_service_that_is_away_tells_what_keeps_its_pods(tmp_path: Path) -> None:
    with listening(Waiting) as url:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig(tmp_path, url))}
        done = subprocess.run(
            [sys.executable, "-c", EXPLAIN], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
    assert done.stdout == TOLD
