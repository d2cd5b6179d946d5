"""A cluster as the tests use it: kubectl, what is on it, and the chart's own scripts."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BIN = Path(sys.prefix) / "bin"
NAMESPACE = os.environ.get("ROUNDSMITH_TEST_NAMESPACE", "roundsmith-test")
SANDBOX = f"{NAMESPACE}-sandbox"
PROFILE = f"{NAMESPACE}-profile"
"""Of another user of the same installation."""
RELEASE = "r"
NEEDED = {
    "KUBECONFIG": "the file that leads to a cluster",
    "BUILD_IMAGE": "a command that is called as `$BUILD_IMAGE CONTEXT NAME:TAG`, such as "
    "charts/images/docker-build, and leaves the image where the cluster finds it",
    "S3_ENDPOINT": "the URL of an S3 server as pods reach it",
    "AWS_ENDPOINT_URL": "the URL of the same server as this machine reaches it",
    "AWS_ACCESS_KEY_ID": "a key of that server that may make buckets",
    "AWS_SECRET_ACCESS_KEY": "its secret",
    "ENVIRONMENT": "a virtual environment with the extra `local` in a folder of the nodes",
}
KINDS = ("pytorchjobs.kubeflow.org", "inferenceservices.serving.kserve.io")
READS = ("get", "logs", "exec", "wait", "auth")
UNASKED = re.compile(
    r"TLS handshake timeout|connection refused|dial tcp \S+ i/o timeout|error dialing backend"
    r"|failed calling webhook|\(TooManyRequests\)"
)
"""What kubectl says when a busy API server, a webhook of it or a kubelet was not reached: whatever
was asked for was not done, and may be asked for again.
"""
UNANSWERED = re.compile(
    rf"{UNASKED.pattern}|i/o timeout|etcdserver: |connection (reset|lost)|unexpected EOF"
    r"|Client\.Timeout|context deadline exceeded|\((Timeout|InternalError|ServiceUnavailable)\)"
)
"""What it says when one of them gave no answer: what reads, or may be done twice, is asked again.
"""
PATIENCE_S = 240.0
FLEETING = ("events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses")
Object = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """The cluster of KUBECONFIG, and the storage that this run of the tests has on it."""

    storage: str

    @property
    def environment(self) -> dict[str, str]:
        """What the scripts of the chart are started with."""
        own = {"NAMESPACE": NAMESPACE, "RELEASE": RELEASE, "STORAGE_URL": self.storage}
        values = ROOT / "charts/roundsmith/values-small.yaml", Path(__file__).parent / "values.yaml"
        own["HELM_VALUES"] = " ".join(map(str, values))
        tools = {"PYTHON": sys.executable, "HELM": str(BIN / "helm")}
        return {**os.environ, **own, **tools}

    def run(self, *command: object, timeout_s: float = 1800.0) -> str:
        """What a command prints; it must succeed."""
        return succeeded(self.try_(*command, timeout_s=timeout_s))

    def try_(self, *command: object, timeout_s: float = 1800.0) -> subprocess.CompletedProcess[str]:
        """A finished command."""
        return subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=self.environment,
        )

    def kubectl(self, *command: object, namespace: str = NAMESPACE) -> str:
        """What kubectl prints; it must succeed."""
        return succeeded(self.answered(*command, namespace=namespace))

    def answered(
        self, *command: object, namespace: str = NAMESPACE
    ) -> subprocess.CompletedProcess[str]:
        """A finished kubectl, which was asked and, where it only reads, answered."""
        words = ("kubectl", "--namespace", namespace, *command)
        lost = UNANSWERED if command[0] in READS else UNASKED
        return answered(lambda: self.try_(*words), lost)

    def until_ready(self, *which: str, namespace: str = NAMESPACE) -> None:
        """Returns when these pods are ready. Asked for again and again: kubectl would wait to the
        end for one that goes meanwhile, because another takes its place.
        """
        wait, end = ("wait", "--for=condition=Ready", "pod", *which), time.monotonic() + 600
        while (done := self.answered(*wait, "--timeout=20s", namespace=namespace)).returncode:
            assert time.monotonic() < end, done.stderr

    def get(self, *what: str, namespace: str = NAMESPACE) -> Object:
        """An object, or a list of them."""
        loaded: Object = json.loads(self.kubectl("get", *what, "-o", "json", namespace=namespace))
        return loaded

    def apply(self, manifest: Object) -> None:
        """Creates or changes an object."""
        self.given(json.dumps(manifest), "kubectl", "apply", "--server-side", "--filename", "-")

    def python(self, pod: str, source: str, *arguments: object, container: str = "") -> str:
        """What a program prints inside of a pod `NAMESPACE/NAME`, without the last line's end."""
        namespace, name = pod.split("/", 1)
        chosen = ("-c", container) if container else ()
        command = ("exec", name, *chosen, "--", "python3", "-c", source, *arguments)
        return self.kubectl(*command, namespace=namespace).strip()

    @contextmanager
    def forwarded(self, target: str, port: int, namespace: str = NAMESPACE) -> Iterator[str]:
        """An address of this machine that leads to a port of a pod."""
        command = ["kubectl", "--namespace", namespace, "port-forward", target, f":{port}"]
        end = time.monotonic() + PATIENCE_S
        with ExitStack() as stack:
            while True:
                process = stack.enter_context(
                    subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                )
                stack.callback(process.terminate)
                assert process.stdout is not None
                if said := process.stdout.readline():  # Forwarding from 127.0.0.1:40123 -> 8033
                    break
                assert time.monotonic() < end, f"{command} forwards nothing"
                time.sleep(1)
            yield said.split()[2]

    def given(self, text: str, *command: str) -> None:
        """Runs a kubectl that reads a text and may be run twice; it must succeed."""
        run = partial(subprocess.run, command, input=text, text=True, capture_output=True)
        succeeded(answered(lambda: run(check=False, timeout=300), UNANSWERED))

    def lines(self, *command: object) -> Iterator[str]:
        """The lines of a command as they come; it must succeed."""
        words = [str(word) for word in command]
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.environment,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            yield from process.stdout
        assert process.returncode == 0, f"{words} ended with {process.returncode}"

    @contextmanager
    def started(self, *command: object) -> Iterator[subprocess.Popen[str]]:
        """A command that runs meanwhile, and is ended afterwards."""
        words = [str(word) for word in command]
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            env=self.environment,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.terminate()

    @contextmanager
    def watched(
        self, kind: str, namespace: str = NAMESPACE, output: str = "name"
    ) -> Iterator[list[str]]:
        """The words of what is made or changed meanwhile, its names; filled in at the end."""
        seen: list[str] = []
        command = ["kubectl", "--namespace", namespace, "get", kind, "--watch-only", "-o", output]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield seen
            finally:
                process.terminate()
                seen += process.communicate()[0].split()

    def objects(self) -> dict[str, set[str]]:
        """The names of all objects that may outlive a release: of the cluster, and of each
        namespace of its users.
        """
        found = {}
        for scope in ("true", "false"):
            listing = ("api-resources", "--verbs=list", f"--namespaced={scope}", "-o", "name")
            kinds = [kind for kind in self.kubectl(*listing).split() if kind not in FLEETING]
            asked = ("get", ",".join(kinds), "-o", "name", "--ignore-not-found")
            for namespace in (NAMESPACE, PROFILE) if scope == "true" else (NAMESPACE,):
                got = self.kubectl(*asked, namespace=namespace)
                found[namespace if scope == "true" else "cluster"] = set(got.split())
        return found


def answered(
    ask: Callable[[], "subprocess.CompletedProcess[str]"], lost: re.Pattern[str]
) -> "subprocess.CompletedProcess[str]":
    """A finished kubectl, asked again while it says that it was not heard in these words."""
    end = time.monotonic() + PATIENCE_S
    while True:
        done = ask()
        if not (done.returncode and lost.search(done.stderr)) or time.monotonic() > end:
            return done
        time.sleep(1)


def succeeded(done: "subprocess.CompletedProcess[str]") -> str:
    """What a finished command printed; it must have succeeded."""
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n{said}"
    return done.stdout


def missing(environment: Mapping[str, str]) -> str | None:
    """What the tests need and do not find, in a sentence; None when all is there."""
    for name, meaning in NEEDED.items():
        if not environment.get(name):
            return f"{name}: expected {meaning}, saw nothing"
    if shutil.which("kubectl") is None:
        return "kubectl: expected it on PATH, saw none"
    packages = Path(environment["ENVIRONMENT"], "lib/python3.11/site-packages")
    if Path(environment["ENVIRONMENT"]).exists() and not packages.exists():
        return f"ENVIRONMENT: expected packages for the image's Python in {packages}, saw no folder"
    command = ["kubectl", "get", "crd", "-o", "name", "--request-timeout=20s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"KUBECONFIG: expected a cluster that answers, saw {done.stderr.strip()[-300:]}"
    lacking = [kind for kind in KINDS if f"/{kind}" not in done.stdout]
    if lacking:
        return f"the cluster: expected the kinds {', '.join(KINDS)}, saw no {', '.join(lacking)}"
    return None


def new_storage() -> str:
    """A storage root that nobody else uses."""
    return f"s3://roundsmith-test/{uuid.uuid4().hex[:12]}"
