"""The pipeline that kfp compiles: its order, its parameters, what the Kubeflow UI shows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from roundsmith.errors import ConfigError
from roundsmith.platform.parameters import Parameters
from roundsmith.platform.pipeline import Installed, compile_pipeline
from roundsmith.platform.stages import PARTS

pytest.importorskip("kfp", reason="needs the extra cluster")

IMAGE = "registry/roundsmith:1.2.0"
INSTALLED = Installed.of("r", IMAGE)
DEFAULTS = {
    "recipe": "gift",
    "model": "lab",
    "tasks": "lab",
    "rounds": 1,
    "seed": 0,
    "preset": "",
    "limit": 0,
    "eval_limit": 0,
    "config": {},
    "budget": {},
    "alpha": 0.0,
    "control": True,
    "replicas": 0,
    "node_pool": "",
    "chain": "",
    "round_number": 1,
    "cluster": "/etc/roundsmith/cluster.json",
}
"""Names and defaults that scripts rely on: they may grow, and do not change."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What kfp wrote: the IR, and what it asks of Kubernetes."""
    path = tmp_path_factory.mktemp("compiled") / "deep" / "round.yaml"
    compile_pipeline(INSTALLED, path)
    return list(yaml.safe_load_all(path.read_text()))


@pytest.fixture(scope="module")
def ir(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """The IR."""
    return documents[0]


def tasks(ir: dict[str, Any]) -> dict[str, Any]:
    """The tasks of the round, which its exit handler holds."""
    found: dict[str, Any] = ir["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    return found


def executors(ir: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What each task runs."""
    return (made["container"] for made in ir["deploymentSpec"]["executors"].values())


def in_order(tasks: dict[str, Any]) -> list[str]:
    """The tasks' names, each after all that it depends on; fails where two could run at once."""
    left, order = dict(tasks), list[str]()
    while left:
        ready = [n for n, task in left.items() if set(task.get("dependentTasks", ())) <= set(order)]
        assert len(ready) == 1, f"{ready} after {order}"
        order += ready
        del left[ready[0]]
    return order


def test_the_tasks_are_the_parts_of_a_round_in_their_order(ir: dict[str, Any]) -> None:
    parts = [part.replace("_", "-") for part in PARTS]
    assert in_order(tasks(ir)) == ["check", *parts, "report", "next"]
    for part in PARTS:
        given = tasks(ir)[part.replace("_", "-")]["inputs"]["parameters"]
        assert given["stage"]["runtimeValue"]["constant"] == part
        assert given["plan"]["taskOutputParameter"]["producerTask"] == "check"


def test_gpus_are_released_however_the_round_ends(ir: dict[str, Any]) -> None:
    outer = ir["root"]["dag"]["tasks"]
    assert set(outer) == {"exit-handler-1", "release"}
    assert outer["release"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert outer["release"]["dependentTasks"] == ["exit-handler-1"]


def test_the_parameters_are_those_that_scripts_know(ir: dict[str, Any]) -> None:
    parameters = ir["root"]["inputDefinitions"]["parameters"]
    assert {name: told["defaultValue"] for name, told in parameters.items()} == DEFAULTS
    assert all(told["isOptional"] for told in parameters.values())
    assert all(len(told["description"]) > 30 for told in parameters.values())
    assert set(Parameters.model_fields) == set(DEFAULTS)
    assert set(tasks(ir)["check"]["inputs"]["parameters"]) == set(DEFAULTS) | {"run"}


def test_the_ir_is_valid_and_kfp_loads_it(ir: dict[str, Any], tmp_path: Path) -> None:
    from google.protobuf import json_format
    from kfp import components  # type: ignore[import-untyped]  # ships no types
    from kfp.pipeline_spec import (  # type: ignore[import-untyped]  # ships no types
        pipeline_spec_pb2,
    )

    spec = json_format.ParseDict(ir, pipeline_spec_pb2.PipelineSpec())
    assert spec.schema_version == "2.1.0"
    assert components.load_component_from_text(yaml.safe_dump(ir)).name == "roundsmith"


def test_tasks_install_nothing_run_in_the_given_image_and_are_small(ir: dict[str, Any]) -> None:
    for container in executors(ir):
        assert container["image"] == IMAGE
        assert "pip" not in " ".join(container["command"])
        assert container["resources"]["resourceCpuRequest"] == "200m"
        assert "accelerator" not in container["resources"]


def test_tasks_are_never_cached_and_retried_but_for_the_check(ir: dict[str, Any]) -> None:
    every = {**tasks(ir), "release": ir["root"]["dag"]["tasks"]["release"]}
    assert all(task["cachingOptions"] == {} for task in every.values())
    retried = {n: t.get("retryPolicy", {}).get("maxRetryCount") for n, t in every.items()}
    assert retried.pop("check") is None, "what is refused once is refused again"
    assert set(retried.values()) == {2}
    titles = {task["taskInfo"]["name"] for task in every.values()}
    assert titles >= {"Check the parameters", "Sample, verify and score", "Release GPUs"}


def test_tasks_find_the_installation_of_the_chart(documents: list[dict[str, Any]]) -> None:
    asked = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert len(asked) == len(list(executors(documents[0])))
    for told in asked.values():
        assert told["fieldPathAsEnv"] == [
            {"name": "ROUNDSMITH_POD_UID", "fieldPath": "metadata.uid"}
        ], "its trainings go with what its pod goes with"
        (mounted,) = told["configMapAsVolume"]
        assert (mounted["configMapName"], mounted["mountPath"]) == ("r-cluster", "/etc/roundsmith")
        assert {secret["secretName"] for secret in told["secretAsEnv"]} == {"r-storage"}
        assert all(secret["optional"] for secret in told["secretAsEnv"])
        (certificate,) = told["secretAsVolume"]
        assert (certificate["secretName"], certificate["optional"]) == ("r-client-tls", True)
        labels = told["podMetadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "r", "network policies let it in by these"
        assert labels["app.kubernetes.io/name"] == "roundsmith"
        assert labels["app.kubernetes.io/component"] == "control"


def test_the_report_gives_metrics_and_a_page(ir: dict[str, Any]) -> None:
    artifacts = ir["components"]["comp-report"]["outputDefinitions"]["artifacts"]
    kinds = {name: artifact["artifactType"]["schemaTitle"] for name, artifact in artifacts.items()}
    assert kinds == {"numbers": "system.Metrics", "page": "system.HTML"}


def objects(folder: Path, name: str, image: str = IMAGE) -> list[dict[str, Any]]:
    """What is written for Kubernetes."""
    path = folder / "objects.yaml"
    compile_pipeline(Installed.of("r", image), path, name)
    return list(yaml.safe_load_all(path.read_text()))


def test_the_objects_hold_the_same_pipeline(ir: dict[str, Any], tmp_path: Path) -> None:
    made = objects(tmp_path, "mine")
    assert [one["kind"] for one in made] == ["Pipeline", "PipelineVersion"]
    assert {one["apiVersion"] for one in made} == {"pipelines.kubeflow.org/v2beta1"}
    assert made[0]["metadata"]["name"] == made[1]["spec"]["pipelineName"] == "mine"
    assert made[1]["spec"]["pipelineSpec"] == ir


def test_an_object_that_may_not_change_is_called_by_its_content(tmp_path: Path) -> None:
    def version(name: str, image: str = IMAGE) -> str:
        return str(objects(tmp_path, name, image)[1]["metadata"]["name"])

    assert re.fullmatch("mine-[0-9a-f]{12}", version("mine"))
    assert version("mine") == version("mine")
    # Of the same tag, too: what is in it is another pipeline.
    assert version("mine") != version("mine", IMAGE.replace("registry", "other"))
    assert version("other").startswith("other-")


@pytest.mark.parametrize("name", ["Mine", "a_b", "a" * 51])
def test_a_name_that_no_object_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="expected at most 50 letters a-z"):
        objects(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_file_that_can_not_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--output"):
        compile_pipeline(INSTALLED, tmp_path / "round.txt")
    assert not (tmp_path / "round.txt").exists()
