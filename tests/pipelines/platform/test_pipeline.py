"""The pipeline that kfp compiles: its order, what it hands on and what the Kubeflow UI shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from roundsmith.errors import ConfigError
from roundsmith.platform.pipeline import compile_pipeline
from roundsmith.presets import run_config
from roundsmith.round import play_round
from roundsmith.steps.config import RunConfig

pytest.importorskip("kfp", reason="needs the extra cluster")

SHARED = {"store", "services", "settings", "round_number", "work_folder"}


def settings(**options: Any) -> RunConfig:
    """The settings of a GiFT run on the lab."""
    return run_config("lab", None, {"recipe": "gift", **options}, [])


def compiled(folder: Path, config: RunConfig, number: int = 1) -> dict[str, Any]:
    """The pipeline's IR as kfp wrote it."""
    path = folder / "deep" / "round.yaml"
    compile_pipeline(config, number, "registry/roundsmith:1", path)
    ir: dict[str, Any] = yaml.safe_load(path.read_text())
    return ir


def in_order(tasks: dict[str, Any]) -> list[str]:
    """The tasks' names, each after all that it depends on; fails where two could run at once."""
    left, order = dict(tasks), list[str]()
    while left:
        ready = [n for n, task in left.items() if set(task.get("dependentTasks", ())) <= set(order)]
        assert len(ready) == 1, f"{ready} after {order}"
        order += ready
        del left[ready[0]]
    return order


def steps(ir: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every task in order: its step, its split, and which task each reference comes from."""
    tasks = ir["root"]["dag"]["tasks"]
    for name in in_order(tasks):
        given = tasks[name]["inputs"]["parameters"]
        sources = {
            key: value["taskOutputParameter"]["producerTask"]
            for key, value in given.items()
            if "taskOutputParameter" in value
        }
        own = {
            key: v["runtimeValue"]["constant"] for key, v in given.items() if "runtimeValue" in v
        }
        yield own.get("step", name), own.get("split", ""), sources


def played(last: bool, control: bool) -> list[tuple[str, str, dict[str, str]]]:
    """The order of round.py, with references named as kfp names its tasks."""
    found: list[tuple[str, str, dict[str, str]]] = []

    def do(step: str, split: str = "", of: str = "", /, **inputs: str) -> str:
        found.append((step, str(split), inputs))
        before = sum(name == step for name, _, _ in found) - 1
        return step.replace("_", "-") + (f"-{before + 1}" if before else "")

    tasks, first = do("load_tasks"), do("load_model")
    found.append(("begin", "", {"model": first}))
    play_round(do, first=first, model="begin", tasks=tasks, last=lambda *_: last, control=control)
    return found


@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize(("rounds", "number"), [(1, 1), (3, 1), (3, 3)])
def test_the_pipeline_is_the_order_of_the_round(
    tmp_path: Path, rounds: int, number: int, control: bool
) -> None:
    ir = compiled(tmp_path, settings(rounds=rounds, control=control), number)
    assert list(steps(ir)) == played(last=number == rounds, control=control)


def test_the_ir_is_valid_and_kfp_loads_it(tmp_path: Path) -> None:
    from google.protobuf import json_format
    from kfp import components  # type: ignore[import-untyped]  # ships no types
    from kfp.pipeline_spec import (  # type: ignore[import-untyped]  # ships no types
        pipeline_spec_pb2,
    )

    ir = compiled(tmp_path, settings())
    spec = json_format.ParseDict(ir, pipeline_spec_pb2.PipelineSpec())
    assert spec.schema_version == "2.1.0"
    assert set(spec.deployment_spec["executors"]) == {
        component.executor_label for component in spec.components.values()
    }
    loaded = components.load_component_from_file(str(tmp_path / "deep" / "round.yaml"))
    assert loaded.name == "roundsmith-gift"


def test_every_parameter_says_what_it_is(tmp_path: Path) -> None:
    config = settings(seed=5)
    parameters = compiled(tmp_path, config)["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == SHARED | {"start"}
    assert all(len(parameter["description"]) > 20 for parameter in parameters.values())
    assert {name for name, p in parameters.items() if not p.get("isOptional")} == {
        "store",
        "services",
    }
    assert RunConfig.model_validate_json(parameters["settings"]["defaultValue"]) == config


def test_tasks_install_nothing_and_run_in_the_given_image(tmp_path: Path) -> None:
    for executor in compiled(tmp_path, settings())["deploymentSpec"]["executors"].values():
        container = executor["container"]
        assert container["image"] == "registry/roundsmith:1"
        assert "pip" not in " ".join(container["command"])


def test_tasks_are_retried_never_cached_and_have_a_title(tmp_path: Path) -> None:
    tasks = compiled(tmp_path, settings())["root"]["dag"]["tasks"]
    assert all(task["cachingOptions"] == {} for task in tasks.values())
    assert {task["retryPolicy"]["maxRetryCount"] for task in tasks.values()} == {2}
    titles = {name: task["taskInfo"]["name"] for name, task in tasks.items()}
    assert titles["evaluate"] == "Evaluate on gate (before)"
    assert titles["evaluate-3"] == "Evaluate on final (before)"
    assert titles["train-2"] == "Train (control)"


def test_the_last_task_gives_metrics_and_a_page(tmp_path: Path) -> None:
    artifacts = compiled(tmp_path, settings())["components"]["comp-report"]["outputDefinitions"]
    kinds = {
        name: artifact["artifactType"]["schemaTitle"]
        for name, artifact in artifacts["artifacts"].items()
    }
    assert kinds == {"numbers": "system.Metrics", "page": "system.HTML"}


@pytest.mark.parametrize(
    ("number", "name", "seen"),
    [(2, "round.yaml", "--round: expected 1 to 1"), (1, "round.txt", "--output")],
)
def test_a_pipeline_that_can_not_be_is_refused(
    tmp_path: Path, number: int, name: str, seen: str
) -> None:
    with pytest.raises(ConfigError, match=seen):
        compile_pipeline(settings(), number, "image", tmp_path / name)
    assert not (tmp_path / name).exists()
