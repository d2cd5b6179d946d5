"""A run on a cluster, as far as none is needed: its settings, its keys, and what is loaded."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roundsmith import tracing
from roundsmith.errors import ConfigError, Unavailable
from roundsmith.hashing import weights_sha256
from roundsmith.platform.cluster import ClusterPlatform, finished, on_cluster
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.presets import run_config
from roundsmith.recipes.stage import Stage
from roundsmith.steps import run_step
from roundsmith.steps.context import Context, Made
from roundsmith.store import Store, step_key
from roundsmith.training import StoredResult, StoredTraining, TrainingResult
from roundsmith.training.area import TrainingArea
from roundsmith.types import GenerateItem, Sampling
from tests.pipelines.platform.clusters import cluster, described, template
from tests.pipelines.steps.contexts import context

CONFIG = run_config("lab", None, {"recipe": "gift", "limit": 3, "eval_limit": 2}, [])
HEAVY = ("torch", "transformers", "trl", "datasets")


def test_a_cluster_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(described()))
    config = ClusterConfig.read(path)
    assert config.store == "s3://bucket/prefix/store"
    assert config.training.disturbances > 0


@pytest.mark.parametrize(
    ("step", "arithmetic", "gpus"),
    [
        ("sample", {"device": "cuda"}, 8),
        ("evaluate-shard", {"device": "cuda"}, 8),
        ("score", {"device": "cuda"}, 2),
        ("score-shard", {"device": "cuda"}, 2),
        ("train", {"device": "cuda", "processes": 4}, 4),
        ("sample", {"device": "cpu"}, 0),
        ("select", {}, 0),
    ],
)
def test_gpu_seconds_count_every_gpu_that_a_step_holds_and_are_in_no_key(
    tmp_path: Path, step: str, arithmetic: dict[str, Any], gpus: int
) -> None:
    told = described() | {"gpus": {"generator": 8, "scorer": 2}}
    platform = ClusterPlatform(ClusterConfig.model_validate(told))
    ctx = replace(context(tmp_path), platform=platform)

    async def hour() -> Made:
        return Made(earlier={"seconds": 3600.0})

    config = {"arithmetic": arithmetic}
    made = asyncio.run(ctx.once(step, 1, config, (), hour))
    assert made.cost["gpu_s"] == pytest.approx(gpus * made.cost["seconds"], abs=0.01)
    assert made.cost["seconds"] >= 3600
    assert made.key == step_key(step, 1, config, ())


def test_a_run_waits_for_a_service_that_is_away_as_long_as_its_cluster_says() -> None:
    away = dict.fromkeys(described()["endpoints"], "dns:///127.0.0.1:1")
    told = described() | {"endpoints": away, "patience_s": 0.2}

    async def ask() -> None:
        platform = ClusterPlatform(ClusterConfig.model_validate(told))
        services = await platform.services("")
        try:
            await services.generator.generate(GenerateItem("one", "x", Sampling(max_tokens=1), 0))
        finally:
            await platform.close()

    with pytest.raises(Unavailable, match=r"0\.2 s"):
        asyncio.run(ask())


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"namespace": ""}, "namespace: String should have at least 1"),
        ({"color": 1}, "color: no such setting"),
        ({"control": {"template": template("main")}}, r"expected one container 'control'.*'main'"),
        ({"training": {"template": {"spec": {"containers": [{"name": "pytorch"}]}}}}, "an image"),
        (
            {"services": {"threads": 0, "device": "cpu"}},
            "services.threads: Input should be greater",
        ),
        ({"services": {"threads": 1, "device": "auto"}}, "services.device: Input should be 'cpu'"),
    ],
)
def test_a_cluster_that_can_not_be_is_refused_by_its_field(
    tmp_path: Path, changes: dict[str, Any], seen: str
) -> None:
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(described() | changes))
    with pytest.raises(ConfigError, match=seen):
        ClusterConfig.read(path)


def test_a_missing_file_says_what_to_mount(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mount the ConfigMap"):
        ClusterConfig.read(tmp_path / "none.json")


def test_the_settings_of_the_services_are_the_clusters() -> None:
    asked = run_config("lab", None, {"services": {"threads": 7, "device": "auto"}}, [])
    config = on_cluster(asked, cluster(), [])
    told = {"generator_slots": 32, "threads": 1, "dtype": "float32", "device": "cpu"}
    told["engine"] = "transformers"
    assert config.services.model_dump(exclude={"executor_slots", "executor_floor"}) == told
    assert ClusterPlatform(cluster()).arithmetic == told


def test_what_a_checkpoint_depends_on_counts_the_processes_of_all_pods() -> None:
    told = ClusterPlatform(cluster(replicas=3, processes=2, threads=4)).training_arithmetic
    sizes = {"device": "cpu", "threads": 4, "processes": 6}
    assert told.model_dump(exclude_none=True) == sizes | {"image": "roundsmith:1"}
    assert {name: told.key()[name] for name in (*sizes, "image")} == sizes | {
        "image": "roundsmith:1"
    }


def test_where_images_are_not_told_a_key_has_no_word_of_them() -> None:
    here = ClusterPlatform(cluster())
    assert "images" not in here.arithmetic
    assert "processor" not in here.training_arithmetic.key(), "which pods have what is not known"


def test_a_batch_that_the_pods_can_not_share_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="3 processes share evenly, saw 32"):
        on_cluster(CONFIG, cluster(replicas=3), [Stage(batch_size=32)])
    with pytest.raises(ConfigError, match="3 processes share evenly, saw 32"):
        on_cluster(CONFIG, cluster(replicas=3), [Stage(objective="grpo", batch_size=32)])


def test_grpo_where_trainings_stop_the_generator_is_refused_before_anything_runs() -> None:
    held = {"inference_service": "r-generator", "stopped_while_training": True}
    here = ClusterConfig.model_validate(described() | {"generator": held})
    with pytest.raises(ConfigError, match=r"saw training\.stopsGenerator"):
        on_cluster(CONFIG, here, [Stage(objective="grpo")])


def stored_model(folder: Path, here: ClusterConfig) -> tuple[Context, StoredTraining]:
    """A context whose store has the lab's model, and a request to train it."""
    context = Context(Store(here.store), CONFIG, 1, ClusterPlatform(here), lambda *_: None)
    model = context.manifest(asyncio.run(run_step(context, "load_model")))
    rows = context.store.put_blob(b"rows")
    request = StoredTraining(
        name="0" * 64,
        store=here.store,
        rows=(rows,),
        model=context.stored(model),
        stage=Stage(),
        seed=0,
        arithmetic=ClusterPlatform(here).training_arithmetic,
    )
    return context, request


def test_the_request_of_grpo_tells_its_pods_which_trace_their_calls_belong_to(
    tmp_path: Path,
) -> None:
    here = cluster().model_copy(update={"storage": str(tmp_path)})
    _, request = stored_model(tmp_path, here)
    platform, parent = ClusterPlatform(here), f"00-{'ab' * 16}-{'12' * 8}-01"
    asked = request.model_copy(update={"stage": Stage(objective="grpo")})
    placed = tracing.followed(parent).run(platform._placed, asked)
    assert placed.rollouts is not None
    assert placed.rollouts.traceparent == parent


def test_weights_are_a_plain_folder_of_the_storage(tmp_path: Path) -> None:
    here = cluster().model_copy(update={"storage": str(tmp_path)})
    context, request = stored_model(tmp_path, here)
    uri = asyncio.run(context.platform.weights_uri(context.store, request.model))
    assert uri == f"{tmp_path}/checkpoints/{request.model.weights_sha256}"
    assert weights_sha256(Path(uri)) == request.model.weights_sha256


def test_a_training_that_is_finished_is_found_if_all_its_processes_ended_it(tmp_path: Path) -> None:
    here = cluster().model_copy(update={"storage": str(tmp_path)})
    _, request = stored_model(tmp_path, here)
    weights = request.model.weights_sha256
    result = TrainingResult(weights, 3, 4, 0, 99, 0.5, "float32", "cpu")
    done = StoredResult(request.model, result, ((1, 0.5),), processes=2)
    area = TrainingArea(f"{tmp_path}/training/{request.name}")
    area.finish(done)
    assert finished(area, request) == done

    alone = replace(done, processes=1)
    area.finish(alone)
    assert area.result() == alone
    assert finished(area, request) is None, "a master that trained without its worker"

    area.begin(request, alone)
    assert area.result() is None
    area.finish(done)
    area.begin(request)
    assert finished(area, request) == done, "pods of a run before this one ended meanwhile"


def test_the_control_pod_needs_nothing_heavy(tmp_path: Path) -> None:
    """Its image has no torch: nothing on its way may import what is not there."""
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(described() | {"storage": str(tmp_path)}))
    program = f"""
import sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ModuleNotFoundError("not in the image: " + name)

sys.meta_path.insert(0, Absent)
import asyncio
from pathlib import Path
import kubernetes
from roundsmith.commands.run import check, preset_elsewhere
from roundsmith.commands.run_on_cluster import run_on_cluster
from roundsmith.platform.cluster import ClusterPlatform, finished, on_cluster
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.control_job import control_job
from roundsmith.presets import run_config
from roundsmith.steps import NAMES, find_step, run_step
from roundsmith.steps.context import Context
from roundsmith.store import Store

cluster = ClusterConfig.read(Path({str(path)!r}))
config = run_config(preset_elsewhere, None, {{"limit": 2, "eval_limit": 2}}, [])
config = on_cluster(config, cluster, check(config).stages())
platform = ClusterPlatform(cluster)
context = Context(Store(cluster.store), config, 1, platform, lambda *_: None)
for name in NAMES:
    find_step(name)
async def play():
    await run_step(context, "load_tasks")
    model = context.manifest(await run_step(context, "load_model"))
    print(await platform.weights_uri(context.store, context.stored(model)), platform.arithmetic)
    print(context.recipe_key, platform.training_arithmetic)
    await platform.services("")
    await platform.close()
asyncio.run(play())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "checkpoints") in done.stdout
