"""A run whose log is read as it comes, so that pods go in the middle of their work."""

import threading
import time
from collections.abc import Callable, Sequence

from tests.cluster.world import BIN, NAMESPACE, RELEASE, SANDBOX, Cluster

TRAINING = "training.kubeflow.org/replica-type=worker"
GENERATOR = f"app=isvc.{RELEASE}-generator-predictor"
SAID_BY = 1200
"""Seconds until a line must have come."""


class Disturbed:
    """A run as a Job. `gone` are the pods that were taken from it."""

    def __init__(self, cluster: Cluster, name: str, options: Sequence[str]) -> None:
        self.cluster, self.name, self.options = cluster, name, options
        self.lines, self.gone = list[str](), list[str]()
        self._told = threading.Condition()
        self._over = False

    def play(self) -> None:
        """Plays the rounds to their end."""
        where = ("--namespace", NAMESPACE, "--release", RELEASE, "--name", self.name)
        words = (BIN / "roundsmith", "submit", *where, "--", *self.options)
        try:
            for line in self.cluster.lines(*words):
                with self._told:
                    self.lines.append(line)
                    self._told.notify_all()
        finally:
            with self._told:
                self._over = True
                self._told.notify_all()

    def disturb(self) -> None:
        """Takes a pod of each kind away, one after another, while the round samples and trains."""
        control = f"roundsmith.dev/run={self.name}"
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("sample", lambda: self._kill("app.kubernetes.io/component=sandbox", SANDBOX)),
            ("sample", lambda: self._kill(GENERATOR)),
            ("sample", lambda: self._kill(control)),
            ("PyTorchJob", lambda: self._kill(TRAINING)),
            ("PyTorchJob", lambda: self._evict(control)),
        )
        for word, take in steps:
            self._until(word)
            self.gone.append(take())

    def _until(self, word: str) -> None:
        """Returns when a line with this word came."""

        def said() -> bool:
            return any(word in line for line in self.lines)

        with self._told:
            self._told.wait_for(lambda: self._over or said(), SAID_BY)
        assert said(), f"no line with {word!r} among {self.lines[-20:]}"

    def _kill(self, label: str, namespace: str = NAMESPACE) -> str:
        """Takes the first pod of a label away at once; its name."""
        name = self._pod(label, namespace)
        force = ("--grace-period=0", "--force", "--wait=false")
        self.cluster.kubectl("delete", "pod", name, *force, namespace=namespace)
        return name

    def _evict(self, label: str) -> str:
        """Asks for a pod's eviction, as the drain of a node does; its name."""
        name = self._pod(label, NAMESPACE)
        eviction = f'{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{name}"}}}}'
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
        self.cluster.given(eviction, "kubectl", "create", "--raw", path, "-f", "-")
        return name

    def _pod(self, label: str, namespace: str) -> str:
        end = time.monotonic() + SAID_BY
        while True:
            pods = self.cluster.get("pods", "-l", label, namespace=namespace)["items"]
            alive = [
                pod["metadata"]["name"]
                for pod in pods
                if pod["status"]["phase"] == "Running" and pod["metadata"]["name"] not in self.gone
            ]
            if alive:
                return str(alive[0])
            assert time.monotonic() < end, f"no pod of {label} runs"
            time.sleep(0.5)
