"""`roundsmith doctor` as scripts read it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.errors import ConfigError
from roundsmith.platform.cluster_config import CONTROL_CONTAINER
from tests.pipelines.platform.clusters import described
from tests.pipelines.platform.loopback import Answering, kubeconfig, listening


def test_json_has_an_entry_a_check_and_the_exit_code_follows_them() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(done.output)
    assert all(set(check) == {"name", "ok", "detail", "remedy"} for check in found)
    assert len({check["name"] for check in found}) == len(found) > 8
    assert done.exit_code == (0 if all(check["ok"] for check in found) else 1)


def test_the_table_names_every_check() -> None:
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "160"})
    for name in ("python", "packages", "isolation", "ports", "lab model"):
        assert name in done.output


def test_the_help_shows_an_example() -> None:
    done = CliRunner().invoke(app, ["doctor", "--help"], catch_exceptions=False)
    assert "roundsmith doctor --json" in done.output


SEEN = [
    {"name": "queue", "ok": True, "detail": "may not be seen from here", "remedy": ""},
    {"name": "storage", "ok": True, "detail": "takes a file", "remedy": ""},
]
"""What the pod of an installation prints, which may see no queue."""
PRINTED = ["W a warning", *json.dumps(SEEN, indent=2).splitlines()]


class Cluster(Answering):
    """An installation whose jobs name a queue and a PriorityClass of which there is only one."""

    jobs: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name, ended = CONTROL_CONTAINER, {"terminated": {"exitCode": 0}}
        status = {"phase": "Succeeded", "containerStatuses": [{"name": name, "state": ended}]}
        pod = {"metadata": {"name": "p", "creationTimestamp": ""}, "status": status}
        told = described() | {"jobs": {"queue": "gpus", "priority_class": "low"}}
        done = {"type": "Complete", "status": "True"}
        answers: dict[str, Any] = {
            "configmaps/r-cluster": {
                "metadata": {"uid": "u"},
                "data": {"cluster.json": json.dumps(told)},
            },
            "jobs/r-doctor": {"spec": {}, "status": {"conditions": [done]}},
            "ml/pods": {"items": [pod]},
            "/apis/kueue.x-k8s.io": {"preferredVersion": {"version": "v1beta1"}},
            "v1beta1/namespaces/ml/localqueues": {"items": [{"metadata": {"name": "cpus"}}]},
            "v1/priorityclasses": {"items": [{"metadata": {"name": "low"}}]},
            "p/log": "".join(f"2026-01-01T00:00:00Z {line}\n" for line in PRINTED),
        }
        (found,) = (answer for end, answer in answers.items() if path.endswith(end))
        self.answer(200, found)

    def do_POST(self) -> None:
        told = self.sent().decode()
        self.jobs.append(json.loads(told))
        self.answer(201, told)


@pytest.mark.parametrize(
    ("asked", "lacks"),
    [
        (("--namespace", "ml"), "--namespace ml: expected --release"),
        (("--runs",), "--runs: expected --cluster"),
        (("--release", "r", "--cluster", "c.json"), "--cluster c.json: expected no --release"),
    ],
)
def test_no_other_place_is_looked_at_than_who_asks_means(
    asked: tuple[str, ...], lacks: str
) -> None:
    done = CliRunner().invoke(app, ["doctor", *asked])
    assert isinstance(done.exception, ConfigError)
    assert lacks in str(done.exception)


def test_what_a_pod_may_not_see_of_the_cluster_is_looked_at_by_who_asks(tmp_path: Path) -> None:
    script = "from roundsmith.cli import main; main()"
    asked = ["doctor", "--release", "r", "--namespace", "ml", "--json"]
    with listening(Cluster) as url:
        done = subprocess.run(
            [sys.executable, "-c", script, *asked],
            env={**os.environ, "KUBECONFIG": str(kubeconfig(tmp_path, url))},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    found = {check["name"]: check for check in json.loads(done.stdout)}
    assert found["queue"]["detail"] == "gpus is not there"
    assert found["queue"]["remedy"] == "make that LocalQueue, or change jobs.queue"
    assert found["priority"]["ok"]
    assert found["storage"]["detail"] == "takes a file", "which the pod saw"
    assert done.returncode == 1
    (job,) = Cluster.jobs
    assert "kueue" not in json.dumps(job), "it would wait for that queue for ever"
