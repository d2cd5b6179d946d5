"""What the tasks of a pipeline refuse before a round begins, what they mend in it, and what they
leave when they are told to end.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from roundsmith.clients import Endpoints
from roundsmith.platform.chain import Chain
from roundsmith.platform.component import PlannedRound, check
from roundsmith.platform.parameters import RoundPlan
from roundsmith.platform.stages import REPORT
from roundsmith.round import RoundRefs
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context
from roundsmith.store import Store
from roundsmith.store.leases import LEASE_S, Leases
from tests.pipelines.platform.clusters import described
from tests.pipelines.platform.loopback import Answering, kubeconfig, listening
from tests.pipelines.platform.test_pipeline import DEFAULTS
from tests.services.serve.test_traces_and_logs import collecting

TASK = """
import asyncio
import sys
from pathlib import Path
from roundsmith.platform.chain import Chain
from roundsmith.platform.cluster_config import ClusterGenerator
from roundsmith.platform.component import _readable
from roundsmith.platform.place import platform_of
from tests.pipelines.platform.clusters import cluster
from tests.pipelines.platform.test_cluster import CONFIG, stored_model

@_readable
def train():
    held = ClusterGenerator(inference_service="r-generator", stopped_while_training=True)
    here = cluster().model_copy(update={"storage": sys.argv[1], "generator": held})
    _, request = stored_model(Path(sys.argv[1]), here)
    platform = platform_of(CONFIG, here, "a-run-of-kubeflow")
    with asyncio.Runner() as runner:
        runner.run(platform.train(request, print))

train()
"""
WORKFLOW = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "w", "uid": "7"}
"""The owner of the pods of a run of Kubeflow's."""
READY = [{"type": "Ready", "status": "True"}]


def pod(uid: str, owner: dict[str, str]) -> dict[str, Any]:
    """A task's pod, as Argo makes it."""
    refers = {**owner, "controller": True, "blockOwnerDeletion": True}
    return {"metadata": {"uid": uid, "ownerReferences": [refers]}}


PODS = [pod("1", {**WORKFLOW, "name": "other", "uid": "6"}), pod("2", WORKFLOW)]


@dataclass
class Seen:
    """What an API server was asked for."""

    looked: threading.Event = field(default_factory=threading.Event)
    """Set when somebody looks for the pods of the job."""
    jobs: dict[str, bytes] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    patches: list[dict[str, Any]] = field(default_factory=list)
    """The annotations that the generator was given, one after the other."""


class Server(Answering):
    """Knows one job, which never comes to an end by itself, and one generator."""

    seen: ClassVar[Seen]

    def do_GET(self) -> None:
        if self.path == "/apis/kubeflow.org/v1":
            self.answer(200, {"resources": [{"name": "pytorchjobs"}]})
        elif "component%3Dcontrol" in self.path:
            self.answer(200, {"items": PODS})
        elif "inferenceservice%3D" in self.path:
            stopped = self.seen.patches[-1]["serving.kserve.io/stop"] == "true"
            served = {"metadata": {"name": "g"}, "status": {"conditions": READY}}
            self.answer(200, {"items": [] if stopped else [served]})
        elif self.path.endswith("/r-generator"):
            metadata = {"annotations": self.seen.patches[-1]}
            self.answer(200, {"metadata": metadata, "status": {"conditions": READY}})
        elif self.path.partition("?")[0].endswith("/pods"):
            self.answer(200, {"items": []})
            self.seen.looked.set()
        elif "watch" in self.path:
            self.answer(200, "")
        else:
            self.answer(200, {"metadata": {"name": "train", "resourceVersion": "1"}})

    def do_POST(self) -> None:
        self.seen.jobs["train"] = self.sent()
        self.seen.made.append(json.loads(self.seen.jobs["train"]))
        self.answer(201, self.seen.made[-1])

    def do_PATCH(self) -> None:
        told = json.loads(self.sent())
        self.seen.patches.append(told["metadata"]["annotations"])
        self.answer(200, told)

    def do_DELETE(self) -> None:
        self.sent()
        gone = self.seen.jobs.pop("train", None) is None
        self.answer(404 if gone else 200, {"metadata": {"uid": "1"}})


def test_a_training_has_the_owner_of_its_tasks_pod_and_a_task_that_is_told_to_end_undoes_its_work(
    tmp_path: Path,
) -> None:
    class Here(Server):
        """Of this test."""

        seen = Seen()

    with listening(Here) as url:
        config = kubeconfig(tmp_path, url)
        task = subprocess.Popen(
            [sys.executable, "-c", TASK, str(tmp_path)],
            env={**os.environ, "KUBECONFIG": str(config), "ROUNDSMITH_POD_UID": "2"},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert Here.seen.looked.wait(300), "it follows its training"
            assert Here.seen.jobs
            assert Here.seen.made[0]["metadata"]["ownerReferences"] == [WORKFLOW]
            task.send_signal(signal.SIGTERM)
            said = task.communicate(timeout=300)[1]
        finally:
            task.kill()
    assert task.returncode == 130, said
    assert not Here.seen.jobs, "a training without a run would hold its GPUs to its end"
    assert "Traceback" not in said
    stop, start = (
        {key.rpartition("/")[2]: told for key, told in p.items()} for p in Here.seen.patches
    )
    assert stop == {"stop": "true", "stopped-by": "a-run-of-kubeflow"}
    assert start == {"stop": "false", "stopped-by": None}


def row(number: int, split: str, **more: str) -> str:
    """A task that adds a number, as a line of a file."""
    name = f"add_{number}"
    told = {"id": name, "description": f"Add {number}.", "signature": f"def {name}(x: int) -> int"}
    return json.dumps(
        {**told, "tests": [f"assert {name}(1) == {1 + number}"], "split": split, **more}
    )


@pytest.mark.parametrize(
    ("splits", "model", "seen"),
    [
        (("train", "gate"), "lab", r"tasks .*: expected at least one of split final"),
        (("train", "gate", "final"), "/no/such", "model '/no/such': saw no such folder"),
        (("train", "gate", "final"), "EMPTY", "saw an empty folder, expected .*safetensors"),
    ],
)
def test_tasks_and_a_model_that_no_round_can_begin_with_are_refused_first_and_burn_no_name(
    tmp_path: Path, splits: tuple[str, ...], model: str, seen: str
) -> None:
    tasks, empty, place = (tmp_path / name for name in ("tasks.jsonl", "empty", "cluster.json"))
    empty.mkdir()
    place.write_text(json.dumps(described() | {"storage": str(tmp_path)}))
    given = {**DEFAULTS, "recipe": "rft", "preset": "lab", "chain": "c", "control": False}
    given |= {"tasks": str(tasks), "cluster": str(place)}
    tasks.write_text("\n".join(row(n, split) for n, split in enumerate(splits, 1)) + "\n")
    with pytest.raises(SystemExit, match=seen):
        check({**given, "model": model.replace("EMPTY", str(empty))}, "run-1")
    whole = (row(n, split) for n, split in enumerate(("train", "gate", "final"), 1))
    tasks.write_text("\n".join(whole) + "\n")
    assert RoundPlan.model_validate_json(check(given, "run-2")).chain == "c"
    assert Chain(str(tmp_path), "c").first_runs() == ["run-2"]
    with pytest.raises(SystemExit, match="expected the settings that it was begun with, seed 0"):
        check({**given, "seed": 1}, "run-3")


PART = """
import sys
from roundsmith.platform.component import run_stage
run_stage(sys.argv[1], sys.argv[2])
"""


def test_the_parts_of_a_round_are_one_trace_with_their_steps_where_the_cluster_has_a_collector(
    tmp_path: Path,
) -> None:
    tasks, place = tmp_path / "tasks.jsonl", tmp_path / "cluster.json"
    whole = (row(n, split) for n, split in enumerate(("train", "gate", "final"), 1))
    tasks.write_text("\n".join(whole) + "\n")
    given = {**DEFAULTS, "recipe": "rft", "preset": "lab", "chain": "c", "control": False}
    with collecting() as (collector, endpoint):
        told = {"storage": str(tmp_path), "tracing": {"otlp_endpoint": endpoint}}
        place.write_text(json.dumps(described() | told))
        plan = check({**given, "tasks": str(tasks), "cluster": str(place)}, "run")
        tasks.unlink()
        for stage in ("measure", "sample"):
            words = [sys.executable, "-c", PART, stage, plan]
            part = subprocess.run(words, capture_output=True, text=True, check=False)
            assert f"ConfigError: {tasks}" in part.stderr, "its first step is its last"
        spans = [
            span
            for of, span in collector.spans
            if of in ("roundsmith measure", "roundsmith sample")
        ]
    measure, sample = (span for span in spans if span.name.startswith("roundsmith "))
    steps = [span for span in spans if span.name == "roundsmith.step.load_tasks"]
    assert (measure.name, sample.name) == ("roundsmith measure", "roundsmith sample")
    assert [step.parent_span_id for step in steps] == [measure.span_id, sample.span_id]
    assert len({span.trace_id for span in spans}) == 1
    assert measure.parent_span_id == sample.parent_span_id, "the whole, which nobody sends"


@pytest.mark.slow
def test_what_is_damaged_in_the_store_is_made_anew_by_the_task_that_needs_it(
    undisturbed: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed / "store", tmp_path / "store")
    away = dict.fromkeys(Endpoints.model_fields, "dns:///127.0.0.1:1") | {"tls": None}
    place = tmp_path / "machine.json"
    machine = {"type": "machine", "endpoints": away, "storage": f"file://{tmp_path}"}
    place.write_text(json.dumps(machine))
    config = RunConfig.model_validate_json((undisturbed / "run.json").read_text())
    plan = RoundPlan(
        config=config, chain="c", round=1, run="r", cluster=str(place), replicas=0, node_pool=""
    )
    store = Store(str(tmp_path / "store"))
    (report,) = store.manifests("report")
    told = report.of_kind("blob")[0]
    path = next((tmp_path / "store").rglob(f"*{told.hash}*"))
    path.chmod(0o600)
    path.write_bytes(b"{}" + path.read_bytes()[2:])

    def ended(context: Context, refs: RoundRefs[str]) -> None:
        """Reads what the report task hands out."""
        context.store.get_blob(context.manifest(refs.report).of_kind("blob")[0])

    refs = PlannedRound(plan).play(REPORT, ended)
    assert isinstance(refs, RoundRefs)
    assert store.get_blob(told)
    held = Leases(store.url).references(LEASE_S)
    assert {refs.tasks, refs.model, refs.checkpoint, refs.report} <= held, "others go on with it"
