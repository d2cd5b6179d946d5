"""Trainings as jobs of pods: either kind of job gives the same weights, whatever happens to its
pods; what waits for quota takes nothing; what fails says why.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roundsmith.errors import PlatformError
from roundsmith.platform.cluster import ClusterPlatform
from roundsmith.platform.cluster_config import ClusterConfig, ClusterGenerator
from roundsmith.platform.inference_service import POD_LABEL, answers
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.platform.training_job import Asked, State, TrainingKind
from roundsmith.platform.training_kinds import KINDS
from roundsmith.platform.training_pods import remove, run_in_pods, submit
from roundsmith.presets import run_config
from roundsmith.recipes.stage import Stage
from roundsmith.recipes.styles import CompletionStyle
from roundsmith.steps import run_step
from roundsmith.steps.context import Context
from roundsmith.steps.inputs import tasks_of
from roundsmith.store import EXAMPLES, TASKS, Store
from roundsmith.store.root import Root
from roundsmith.training import StoredResult, StoredTraining
from roundsmith.training.area import TrainingArea
from roundsmith.training.no_memory import NoMemory
from roundsmith.training.progress import Progress
from roundsmith.types import Example, Provenance, Split
from tests.cluster.conftest import Installed
from tests.cluster.world import NAMESPACE, RELEASE

STEPS = 24


@pytest.fixture(scope="module")
def here(installed: Installed) -> ClusterConfig:
    """The cluster as its chart tells of it."""
    told = installed.cluster.get(f"configmap/{RELEASE}-cluster")["data"]["cluster.json"]
    return ClusterConfig.parse(told, "the ConfigMap")


def request(here: ClusterConfig, name: str) -> StoredTraining:
    """A few steps of the lab's model on a few rows, in the storage of the cluster."""
    config = run_config("lab", None, {"recipe": "gift"}, [])
    context = Context(Store(here.store), config, 1, ClusterPlatform(here), lambda *_: None)
    model = context.manifest(asyncio.run(run_step(context, "load_model")))
    rows = [
        Example(f"row-{n}", f"Add {n}.", f"    return x + {n}\n", Provenance(f"t{n}", "gift", 1))
        for n in range(16)
    ]
    return StoredTraining(
        name=name * 64,
        store=here.store,
        rows=(context.store.write_rows(EXAMPLES, rows),),
        model=context.stored(model),
        stage=Stage(batch_size=4),
        steps=STEPS,
        seed=0,
        arithmetic=ClusterPlatform(here).training_arithmetic,
    )


def train(here: ClusterConfig, kind: str, name: str, seen: Callable[[int], None]) -> StoredResult:
    """The training by this kind of job; `seen` is told each step."""
    changes: dict[str, Any] = {"job": kind, "checkpoint_every_steps": 6}
    on = here.model_copy(update={"training": here.training.model_copy(update=changes)})
    platform = ClusterPlatform(on)
    return asyncio.run(platform.train(request(on, name), lambda progress: seen(progress.step)))


def test_either_kind_of_job_trains_the_same_weights_though_a_pod_is_killed(
    installed: Installed, here: ClusterConfig
) -> None:
    cluster = installed.cluster
    killed: list[str] = []

    def kill(step: int) -> None:
        if step >= 6 and not killed:
            label = KINDS["trainjob"].pod_label
            pods = cluster.get("pods", "-l", label)["items"]
            killed.append(max(pod["metadata"]["name"] for pod in pods))
            cluster.kubectl("delete", "pod", killed[0], "--grace-period=0", "--force")

    one = train(here, "pytorchjob", "d", lambda _: None)
    other = train(here, "trainjob", "e", kill)
    assert killed, "the training was over before its pod could be killed"
    assert one.folder.weights_sha256 == other.folder.weights_sha256
    assert (one.processes, len(one.loss), one.loss) == (2, STEPS, other.loss)
    api = KubernetesApi(NAMESPACE)
    for title, training in (("pytorchjob", "d"), ("trainjob", "e")):
        kind, asked = (
            KINDS[title],
            Asked(here, f"{here.storage}/training/{training * 64}/request.json"),
        )
        assert [api.get(made, asked.name) for made in kind.kinds] == [None] * len(kind.kinds)


@pytest.mark.parametrize("title", sorted(KINDS))
def test_the_job_of_a_run_that_was_killed_after_the_last_step_is_removed_by_the_next(
    installed: Installed, here: ClusterConfig, title: str
) -> None:
    done = train(here, title, "f", lambda _: None)
    api, kind = KubernetesApi(NAMESPACE), KINDS[title]
    left = Asked(here, f"{here.storage}/training/{'f' * 64}/request.json")
    submit(api, kind, left)
    assert api.get(kind.kind, left.name) is not None
    assert train(here, title, "f", lambda _: None) == done
    assert [api.get(made, left.name) for made in kind.kinds] == [None] * len(kind.kinds)


def test_grpo_samples_and_judges_with_the_clusters_services(
    installed: Installed, here: ClusterConfig
) -> None:
    config = run_config("lab", None, {"recipe": "rft", "limit": 2, "eval_limit": 1}, [])
    platform = ClusterPlatform(here)
    context = Context(Store(here.store), config, 1, platform, lambda *_: None)
    tasks = context.manifest(asyncio.run(run_step(context, "load_tasks")))
    style, name = CompletionStyle(), "9"
    rows = [
        Example(t.task_id, style.code(t, t.description), "", Provenance(t.task_id, "rft", 1))
        for t in tasks_of(context, tasks, Split.TRAIN)
    ]
    changes = {
        "rows": (context.store.write_rows(EXAMPLES, rows),),
        "tasks": tasks.of_kind(TASKS.name)[:1],
        "stage": Stage(objective="grpo", batch_size=8, generations=4, max_tokens=96),
        "steps": 3,
        "arithmetic": platform.training_arithmetic,
    }
    asked = request(here, name).model_copy(update=changes)
    told: list[Progress] = []
    with installed.cluster.watched("pods", NAMESPACE) as pods:
        done = asyncio.run(platform.train(asked, told.append))
    asyncio.run(platform.committed(asked.name))
    assert (done.processes, len(done.loss)) == (2, 3)
    assert {progress.step for progress in told} == {1, 2, 3}
    assert max(progress.reward or 0 for progress in told) > 0, "no program was right"
    assert done.folder.weights_sha256 != asked.model.weights_sha256
    trained = {pod for pod in pods if pod.startswith("pod/train-")}
    assert len(trained) == 2
    assert not Root(here.storage).names(f"checkpoints/rollouts-{asked.name[:24]}/policy")


def test_a_generator_that_is_stopped_for_a_training_is_away_meanwhile_and_answers_after_it(
    installed: Installed, here: ClusterConfig
) -> None:
    cluster, name = installed.cluster, f"{RELEASE}-generator"
    held = ClusterGenerator(inference_service=name, stopped_while_training=True)
    platform = ClusterPlatform(here.model_copy(update={"generator": held}))
    of_it = f"{POD_LABEL}={name}"
    seen: list[int] = []

    def look(_: Progress) -> None:
        seen.append(len(cluster.get("pods", "-l", of_it)["items"]))

    done = asyncio.run(platform.train(request(here, "7"), look))
    assert len(done.loss) == STEPS
    assert seen, "no step was told"
    assert not any(seen), "it had a pod while the training ran"
    (pod,) = cluster.get("pods", "-l", of_it)["items"]
    assert answers(pod)


def unwritten(here: ClusterConfig, kind: str, image: str = "") -> Asked:
    """A training whose request was never written: its pods end at once with exit code 2."""
    template = json.loads(json.dumps(here.training.template))
    if image:
        template["spec"]["containers"][0]["image"] = image
    changes = {"job": kind, "template": template, "disturbances": 0}
    on = here.model_copy(update={"training": here.training.model_copy(update=changes)})
    return Asked(on, f"{here.storage}/training/{'c' * 64}/request.json")


@pytest.fixture(params=sorted(KINDS))
def asked(request: pytest.FixtureRequest, here: ClusterConfig) -> Iterator[tuple[str, Asked]]:
    """A job of each kind whose pods never start; gone afterwards."""
    kind = request.param
    made = unwritten(here, kind, "roundsmith.invalid/none:1")
    api = KubernetesApi(NAMESPACE)
    yield kind, made
    remove(api, KINDS[kind], made)


def test_a_job_that_waits_for_quota_is_queued_and_has_no_pods(
    installed: Installed, asked: tuple[str, Asked]
) -> None:
    kind, made = KINDS[asked[0]], asked[1]
    api, cluster = KubernetesApi(NAMESPACE), installed.cluster
    submit(api, kind, made)
    submit(api, kind, made)  # the same one is gone on with
    _until(lambda: len(api.select("pods", kind.pod_label, made.name)) == 2)
    held = {
        "spec": {"runPolicy": {"suspend": True}}
        if kind.title == "PyTorchJob"
        else {"suspend": True}
    }
    # As Kueue holds it back.
    cluster.kubectl("patch", kind.kind, made.name, "--type=merge", "-p", json.dumps(held))
    _until(lambda: kind.state(api.get(kind.kind, made.name) or {})[0] is State.QUEUED)
    _until(lambda: not api.select("pods", kind.pod_label, made.name))


def test_a_watch_ends_with_a_change_and_not_before(asked: tuple[str, Asked]) -> None:
    kind, made = KINDS[asked[0]], asked[1]
    api = KubernetesApi(NAMESPACE)
    submit(api, kind, made)
    _until(lambda: len(api.select("pods", kind.pod_label, made.name)) == 2)
    there = _undisturbed_for_a_wait(api, kind, made.name)
    threading.Timer(1, lambda: api.delete(kind.kind, made.name)).start()
    began = time.monotonic()
    api.wait(kind.kind, there, 600)
    assert time.monotonic() - began < 590


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_job_that_fails_tells_what_its_pods_printed(here: ClusterConfig, kind: str) -> None:
    made = unwritten(here, kind)
    api, area = KubernetesApi(NAMESPACE), TrainingArea.of(made.request_uri)
    try:
        with pytest.raises(PlatformError, match=r"exit code 2(.|\n)*expected the request of a tr"):
            asyncio.run(run_in_pods(api, KINDS[kind], made, area, lambda _: None))
    finally:
        remove(api, KINDS[kind], made)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_training_that_its_pods_memory_is_too_small_for_ends_when_it_repeats_itself(
    here: ClusterConfig, kind: str
) -> None:
    template = json.loads(json.dumps(here.training.template))
    small = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    template["spec"]["containers"][0]["resources"] = small
    on = here.training.model_copy(update={"job": kind, "template": template})
    assert on.disturbances > 1, "it would be tried again"
    platform = ClusterPlatform(here.model_copy(update={"training": on}))
    training = request(here, "8")
    with pytest.raises(NoMemory) as told:
        asyncio.run(platform.train(training, lambda _: None))
    asked = Asked(here, f"{here.storage}/training/{training.name}/request.json")
    said = str(told.value)
    assert re.search(rf"saw {asked.name}-\S+ killed for want of it twice before its first", said)
    assert "at its limit of 128Mi: it is ended" in said
    assert "raise training.resources.limits.memory in the chart's values, or set under" in said
    api = KubernetesApi(NAMESPACE)
    assert [api.get(made, asked.name) for made in KINDS[kind].kinds] == [None] * len(
        KINDS[kind].kinds
    )


def _undisturbed_for_a_wait(api: KubernetesApi, kind: TrainingKind, name: str) -> dict[str, Any]:
    """The job after a watch of 2 s that nothing ended; one that ended early saw a change."""
    for _ in range(30):
        there = api.get(kind.kind, name)
        assert there is not None
        began = time.monotonic()
        api.wait(kind.kind, there, 2)
        if time.monotonic() - began > 1.5:
            return there
        later = api.get(kind.kind, name)
        assert later is not None
        assert later["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]
    raise AssertionError("the job changed in each of 30 watches")


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < end, "it did not come to hold in 600 s"
        time.sleep(0.5)
