"""Plays a compiled pipeline on a cluster without a backend of Kubeflow Pipelines: each task of the
IR is a Job with its exact image, command, arguments and inputs, in the order that the IR gives.

The backend's launcher is not here: outputs are read from the files that the task wrote, which a
second container prints. What the IR asks of Kubernetes (volumes, environment, labels, resources) is
done as the backend does it; caching and ML Metadata are not.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # ships no types

from tests.cluster.world import Cluster

OUTPUTS = "/outputs"
OF_RUN = "driver.roundsmith.dev/run"
READ = f"""
import json, pathlib
files = (path for path in pathlib.Path("{OUTPUTS}").rglob("*") if path.is_file())
print("OUTPUTS " + json.dumps({{str(path): path.read_text() for path in files}}))
"""
WHOLE = re.compile(r"^OUTPUTS (.*)\n", re.MULTILINE)
ENDED_BY_S = 1800
"""Seconds until a task must be over and have told its outputs."""
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass
class Driver:
    """A run of a pipeline in a namespace, by a service account."""

    cluster: Cluster
    namespace: str
    account: str
    run: str
    package: Path
    seconds: dict[str, float] = field(default_factory=dict)
    """From a task's Job to its end, by task."""
    logs: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    """The files that tasks made, by task and name."""

    def play(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """The output of each task; raises AssertionError with the log of one that failed, after
        the exit task has run.
        """
        self.ir, self.asked = yaml.safe_load_all(self.package.read_text())
        defaults = self.ir["root"]["inputDefinitions"]["parameters"]
        given = {name: told.get("defaultValue") for name, told in defaults.items()}
        self.outputs: dict[str, str] = {}
        self._dag(self.ir["root"]["dag"], {**given, **parameters})
        return self.outputs

    def remove(self) -> None:
        """Takes the Jobs away, as whoever made them must: they are not the release's."""
        self.cluster.kubectl(
            "delete", "jobs", "-l", f"{OF_RUN}={self.run}", namespace=self.namespace
        )

    def _dag(self, dag: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
        failed: AssertionError | None = None
        for name in in_order(dag["tasks"]):
            task = dag["tasks"][name]
            always = task.get("triggerPolicy", {}).get("strategy")
            if failed is not None and always != "ALL_UPSTREAM_TASKS_COMPLETED":
                continue
            try:
                self._task(name, task, inputs)
            except AssertionError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _task(self, name: str, task: Mapping[str, Any], outer: Mapping[str, Any]) -> None:
        component = self.ir["components"][task["componentRef"]["name"]]
        told = task.get("inputs", {}).get("parameters", {})
        inputs = {key: self._value(source, outer) for key, source in told.items()}
        if "dag" in component:
            self._dag(component["dag"], inputs)
            return
        tries = 1 + int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        manifest = self._job(name, component, inputs, tries - 1)
        began = time.monotonic()
        self.cluster.apply(manifest)
        self.logs[name] = self._wait(manifest["metadata"]["name"], name)
        self.seconds[name] = time.monotonic() - began

    def _value(self, source: Mapping[str, Any], outer: Mapping[str, Any]) -> Any:
        if "componentInputParameter" in source:
            return outer[source["componentInputParameter"]]
        if "taskOutputParameter" in source:
            told = source["taskOutputParameter"]
            assert told["outputParameterKey"] == "Output"
            return self.outputs[told["producerTask"]]
        constant = source["runtimeValue"]["constant"]
        return self.run if constant == "{{$.pipeline_job_uuid}}" else constant

    def _job(
        self, name: str, component: Mapping[str, Any], inputs: Mapping[str, Any], retries: int
    ) -> dict[str, Any]:
        label = component["executorLabel"]
        container = self.ir["deploymentSpec"]["executors"][label]["container"]
        made = component.get("outputDefinitions", {})
        executor_input = {
            "inputs": {"parameterValues": dict(inputs)},
            "outputs": {
                "parameters": {
                    key: {"outputFile": f"{OUTPUTS}/{key}"} for key in made["parameters"]
                },
                "artifacts": {
                    key: {
                        "artifacts": [
                            {
                                "name": key,
                                "uri": f"{OUTPUTS}/{key}",
                                "type": kind["artifactType"],
                                "metadata": {},
                            }
                        ]
                    }
                    for key, kind in made.get("artifacts", {}).items()
                },
                "outputFile": f"{OUTPUTS}/executor_output.json",
            },
        }
        text = json.dumps(executor_input)
        step = {
            "name": "main",
            "image": container["image"],
            "command": container["command"],
            "args": [word.replace("{{$}}", text) for word in container["args"]],
            "resources": _resources(container.get("resources", {})),
            "securityContext": SECURITY,
        }
        asked = self.asked["platforms"]["kubernetes"]["deploymentSpec"]["executors"][label]
        spec = _pod(step, asked)
        spec |= {"serviceAccountName": self.account, "automountServiceAccountToken": True}
        labels = asked.get("podMetadata", {}).get("labels", {})
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": f"{self.run}-{name}",
                "namespace": self.namespace,
                "labels": {OF_RUN: self.run},
            },
            "spec": {
                "backoffLimit": retries,
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }

    def _wait(self, job: str, name: str) -> str:
        """The log of a task's step; its outputs are kept."""
        end = time.monotonic() + ENDED_BY_S
        while not (ended := _ended(self.cluster.get(f"job/{job}", namespace=self.namespace))):
            assert time.monotonic() < end, f"task {name} goes on after {ENDED_BY_S} s"
            time.sleep(0.5)
        selector = f"batch.kubernetes.io/job-name={job}"
        pods = self.cluster.get("pods", "-l", selector, namespace=self.namespace)["items"]
        pod = max(pods, key=lambda one: str(one["metadata"]["creationTimestamp"]))
        named = (pod["metadata"]["name"], "-c")
        log = self.cluster.kubectl("logs", *named, "main", namespace=self.namespace)
        assert ended == "Complete", f"task {name}: {log[-4000:]}"
        asked = ("logs", *named, "outputs")
        # A connection that ends before the log is no error of kubectl.
        while not (said := WHOLE.search(self.cluster.kubectl(*asked, namespace=self.namespace))):
            assert time.monotonic() < end, f"task {name} tells no outputs"
            time.sleep(0.5)
        files = json.loads(said[1])
        told = json.loads(files[f"{OUTPUTS}/executor_output.json"])
        self.outputs[name] = told["parameterValues"]["Output"]
        self.artifacts |= {f"{name}/{path[len(OUTPUTS) + 1 :]}": t for path, t in files.items()}
        return log


def in_order(tasks: Mapping[str, Any]) -> Iterator[str]:
    """The names of tasks, each after those that it depends on."""
    done: set[str] = set()
    while left := [name for name in tasks if name not in done]:
        ready = [name for name in left if set(tasks[name].get("dependentTasks", ())) <= done]
        assert ready, f"tasks that wait for each other: {left}"
        yield ready[0]
        done.add(ready[0])


def _pod(step: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The pod of a step, with what the IR asks of Kubernetes."""
    environment: list[dict[str, Any]] = []
    volumes: list[dict[str, Any]] = [{"name": "outputs", "emptyDir": {}}]
    mounts = [{"name": "outputs", "mountPath": OUTPUTS}]
    for kind, source in (("configMapAsEnv", "configMapKeyRef"), ("secretAsEnv", "secretKeyRef")):
        named = "configMapName" if kind == "configMapAsEnv" else "secretName"
        keyed = "configMapKey" if kind == "configMapAsEnv" else "secretKey"
        for told in asked.get(kind, ()):
            for pair in told["keyToEnv"]:
                optional = {"optional": told.get("optional", False)}
                reference = {"name": told[named], "key": pair[keyed], **optional}
                environment.append({"name": pair["envVar"], "valueFrom": {source: reference}})
    for told in asked.get("fieldPathAsEnv", ()):
        field = {"fieldRef": {"fieldPath": told["fieldPath"]}}
        environment.append({"name": told["name"], "valueFrom": field})
    for number, told in enumerate(asked.get("configMapAsVolume", ())):
        volumes.append({"name": f"map-{number}", "configMap": {"name": told["configMapName"]}})
        mounts.append({"name": f"map-{number}", "mountPath": told["mountPath"]})
    for number, told in enumerate(asked.get("secretAsVolume", ())):
        secret = {"secretName": told["secretName"], "optional": told.get("optional", False)}
        volumes.append({"name": f"secret-{number}", "secret": secret})
        mounts.append({"name": f"secret-{number}", "mountPath": told["mountPath"]})
    reader = {
        "name": "outputs",
        "image": step["image"],
        "command": ["python3", "-c", READ],
        "volumeMounts": mounts[:1],
        "securityContext": SECURITY,
    }
    return {
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [{**step, "env": environment, "volumeMounts": mounts}],
        "containers": [reader],
        "volumes": volumes,
    }


def _resources(told: Mapping[str, Any]) -> dict[str, Any]:
    """A container's resources, as the IR names them."""
    names = {
        ("requests", "cpu"): "resourceCpuRequest",
        ("requests", "memory"): "resourceMemoryRequest",
        ("limits", "memory"): "resourceMemoryLimit",
    }
    made: dict[str, Any] = {}
    for (kind, what), name in names.items():
        if name in told:
            made.setdefault(kind, {})[what] = told[name]
    return made


def _ended(job: Mapping[str, Any]) -> str:
    """How a Job ended; empty while it is under way."""
    held = [c for c in job.get("status", {}).get("conditions", ()) if c["status"] == "True"]
    return next((c["type"] for c in held if c["type"] in ("Complete", "Failed")), "")
