"""grpo's rollouts from running services, and the weights that these are given."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from roundsmith.clients import Endpoints, connect
from roundsmith.hashing import weights_sha256
from roundsmith.lab import MODEL
from roundsmith.platform.local import LocalPlatform
from roundsmith.presets import run_config
from roundsmith.store import TASKS, write_file
from roundsmith.training import TrainingJob
from roundsmith.training.folder import JobFolder
from roundsmith.training.job import Rollouts
from roundsmith.training.policies import Policies
from roundsmith.training.rollouts import RolloutSource
from tests.pipelines.recipes.groups import TASK


def folder_of(path: Path, text: str) -> Path:
    """A folder with a file."""
    path.mkdir()
    (path / "model.safetensors").write_text(text)
    return path


def test_the_weights_of_one_step_are_kept(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for step, name in enumerate(("a" * 64, "b" * 64, "b" * 64)):
        policies = Policies(str(root))  # one that was killed knows nothing of earlier steps
        uri = policies.put(folder_of(tmp_path / f"made-{step}", str(step)), name)
        assert uri == f"{root}/policy/{name}"
        assert Path(uri, "model.safetensors").read_text() == str(step)
        assert not (tmp_path / f"made-{step}").exists()
        policies.keep_only(name)
        assert [path.name for path in (root / "policy").iterdir()] == [name]
    policies.keep_only("")
    assert not list((root / "policy").iterdir())


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoints, Path]]:
    """Running services with the lab's model, and the folder that they load weights from."""
    work = tmp_path_factory.mktemp("services")
    platform = LocalPlatform(run_config("lab", None, {"recipe": "gift"}, []), work)
    with asyncio.Runner() as runner:
        runner.run(platform.services(str(MODEL)))
        assert platform.endpoints is not None
        yield platform.endpoints, work / "checkpoints"
        runner.run(platform.close())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_rollouts_are_drawn_from_the_policy_though_a_generator_came_back_with_other_weights(
    tmp_path: Path, endpoints: tuple[Endpoints, Path]
) -> None:
    from transformers import AutoModelForCausalLM

    where, checkpoints = endpoints
    write_file(TASKS, tmp_path / "tasks.parquet", [TASK])
    job = TrainingJob(
        model=MODEL,
        rows=(tmp_path / "rows.parquet",),
        tasks=(tmp_path / "tasks.parquet",),
        rollouts=Rollouts(endpoints=where, policies=str(checkpoints / "rollouts-a")),
        out=tmp_path / "out",
        objective="grpo",
        generations=2,
        max_tokens=4,
        checkpoint_every_steps=0,
    )
    folder = JobFolder(job)
    folder.work.mkdir(parents=True)
    model = AutoModelForCausalLM.from_pretrained(MODEL)
    next(model.parameters()).data.mul_(1.01)
    source = RolloutSource(folder)
    source.serve(model)
    (policy,) = (checkpoints / "rollouts-a/policy").iterdir()
    assert policy.name != weights_sha256(MODEL)

    async def swap() -> None:
        async with connect(where) as services:
            await services.generator.reload(str(first), weights_sha256(first))

    first = shutil.copytree(MODEL, checkpoints / "first")
    asyncio.run(swap())
    drawn = source.draw({TASK.task_id: ((5, 6, 7), 2)}, 0)[TASK.task_id]
    assert [one.completion.weights_sha256 for one in drawn] == [policy.name] * 2
    assert {one.reward for one in drawn} == {0.0}
    source.close()
