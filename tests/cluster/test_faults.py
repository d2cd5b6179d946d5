"""Pods that are killed or evicted in the middle of a round: it ends with the rows of one that was
left alone.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roundsmith.store.kinds import EXAMPLES
from tests.cluster.conftest import Installed, play_as_processes
from tests.cluster.test_round import rows, storage, without_place
from tests.cluster.world import BIN, NAMESPACE, RELEASE, SANDBOX, Cluster

OPTIONS = (
    *("--recipe", "gift", "--preset", "lab", "--seed", "9", "--limit", "4", "--eval-limit", "4"),
    *("--no-control", "--set", "iterations=2"),
)
NAME = "disturbed"
CONTROL = f"roundsmith.dev/run={NAME}"
TRAINING = "training.kubeflow.org/replica-type=worker"
GENERATOR = f"app=isvc.{RELEASE}-generator-predictor"
SAID_BY = 300
"""Seconds until a line must have come."""


class Disturbed:
    """A run whose log is read as it comes, so that pods go in the middle of their work."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.lines = cluster, list[str]()
        self._told = threading.Condition()

    def play(self) -> None:
        """Plays the round to its end."""
        where = ("--namespace", NAMESPACE, "--release", RELEASE, "--name", NAME)
        words = (BIN / "roundsmith", "submit", *where, "--", *OPTIONS)
        for line in self.cluster.lines(*words):
            with self._told:
                self.lines.append(line)
                self._told.notify_all()

    def until(self, word: str) -> None:
        """Returns when a line with this word came."""
        with self._told:
            seen = self._told.wait_for(lambda: any(word in line for line in self.lines), SAID_BY)
        assert seen, f"no line with {word!r} among {self.lines[-20:]}"

    def kill(self, label: str, namespace: str = NAMESPACE) -> str:
        """Takes the first pod of a label away at once; its name."""
        name = self._pod(label, namespace)
        force = ("--grace-period=0", "--force", "--wait=false")
        self.cluster.kubectl("delete", "pod", name, *force, namespace=namespace)
        return name

    def evict(self, label: str) -> str:
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
            alive = [pod for pod in pods if pod["status"]["phase"] == "Running"]
            if alive:
                return str(alive[0]["metadata"]["name"])
            assert time.monotonic() < end, f"no pod of {label} runs"
            time.sleep(0.5)


def test_a_round_whose_pods_go_one_after_another_has_the_rows_of_an_undisturbed_one(
    installed: Installed, tmp_path: Path
) -> None:
    run = Disturbed(installed.cluster)
    gone: list[str] = []

    def disturb() -> None:
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("sample", lambda: run.kill("app.kubernetes.io/component=sandbox", SANDBOX)),
            ("sample", lambda: run.kill(GENERATOR)),
            ("sample", lambda: run.kill(CONTROL)),
            ("PyTorchJob", lambda: run.kill(TRAINING)),
            ("PyTorchJob", lambda: run.evict(CONTROL)),
        )
        for word, take in steps:
            run.until(word)
            gone.append(take())

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    run.play()
    disturbing.join()
    assert len(set(gone)) == 5
    folder = tmp_path / "round-1"
    url = f"{installed.cluster.storage}/runs/{NAME}/round-1"
    storage().get(url, str(folder), recursive=True)
    ours = [without_place(row) for row in rows(folder, EXAMPLES)]
    local = play_as_processes(OPTIONS, tmp_path / "local")
    assert ours == [without_place(row) for row in rows(local, EXAMPLES)]
    assert len(ours) > 4


@pytest.mark.parametrize("component", ["sandbox", "generator"])
def test_what_was_killed_is_there_again(installed: Installed, component: str) -> None:
    namespace = SANDBOX if component == "sandbox" else NAMESPACE
    label = GENERATOR if component == "generator" else f"app.kubernetes.io/component={component}"
    wait = ("wait", "--for=condition=Ready", "pod", "-l", label, "--timeout=180s")
    installed.cluster.kubectl(*wait, namespace=namespace)
