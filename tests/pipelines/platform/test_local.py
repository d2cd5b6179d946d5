"""One machine: where its models run, and services that end and start again."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from roundsmith.clients import Services
from roundsmith.errors import PlatformError
from roundsmith.hashing import weights_sha256
from roundsmith.lab import MODEL
from roundsmith.platform.local import LocalPlatform, on_gpu
from roundsmith.presets import run_config
from tests.pipelines.steps.test_train import request

WEIGHTS = "model.safetensors"


def test_a_named_device_is_taken_at_its_word() -> None:
    assert on_gpu("cuda")
    assert on_gpu("cuda:1")
    assert not on_gpu("cpu")


def test_auto_is_a_gpu_where_torch_has_one() -> None:
    torch = pytest.importorskip("torch")
    assert on_gpu("auto") is torch.cuda.is_available()


@pytest.mark.slow
def test_services_that_were_ended_start_again_when_asked_for(tmp_path: Path) -> None:
    platform = LocalPlatform(run_config("lab", None, {"recipe": "gift"}, []), tmp_path)

    async def served() -> str:
        services = await platform.services(str(MODEL))
        return (await services.generator.model()).weights_sha256

    async def play() -> tuple[str, str]:
        try:
            first = await served()
            await platform.close()
            assert platform.retries == 0
            return first, await platform.watched(served())
        finally:
            await platform.close()

    first, second = asyncio.run(play())
    assert first == second


@pytest.mark.slow
def test_a_base_of_another_tokenizer_is_served_by_services_that_start_anew(
    tmp_path: Path,
) -> None:
    """As a comparison over several bases needs it: none can take another's place by a reload."""
    from safetensors.torch import load_file, save_file

    where = tmp_path / "work/checkpoints"
    first, other, successor = (
        Path(shutil.copytree(MODEL, where / name)) for name in ("first", "other", "successor")
    )
    for number, folder in enumerate((other, successor), 1):
        tensors = {n: t + 1e-3 * number for n, t in load_file(folder / WEIGHTS).items()}
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    ids = tokenizer["model"]["vocab"]
    ids["a"], ids["b"] = ids["b"], ids["a"]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    (successor / "tokenizer.json").write_text(json.dumps(tokenizer | {"padding": None}, indent=1))
    config = json.loads((successor / "config.json").read_text()) | {"transformers_version": "4"}
    (successor / "config.json").write_text(json.dumps(config))
    platform = LocalPlatform(run_config("lab", None, {"recipe": "gift"}, []), tmp_path / "work")

    async def served(folder: Path) -> Services:
        services = await platform.services(str(folder))
        for client in (services.generator, services.scorer):
            await client.reload(str(folder), weights_sha256(folder))
        return services

    async def play() -> None:
        try:
            of_first, of_other = await served(first), await served(other)
            assert of_first is not of_other
            assert await served(successor) is of_other
        finally:
            await platform.close()

    asyncio.run(play())


@pytest.mark.slow
def test_a_training_stays_whole_until_it_is_committed_and_one_that_was_changed_is_not_stored(
    tmp_path: Path,
) -> None:
    asked = request(tmp_path, services={"device": "cpu", "threads": 1})
    asked = asked.model_copy(update={"steps": 1})
    work = tmp_path / "work"
    platform = LocalPlatform(run_config("lab", None, {"recipe": "gift"}, []), work)

    earlier_cpu_s = []

    async def train() -> str:
        done = await platform.train(asked, lambda _: None)
        earlier_cpu_s.append(done.earlier_cpu_s)
        return done.folder.weights_sha256

    async def play() -> None:
        first = await train()
        (left,) = (work / "training").iterdir()
        begun = (left / "model" / "model.safetensors").stat().st_mtime_ns
        assert await train() == first, "as after a kill before the commit"
        assert earlier_cpu_s[0] == 0.0 < earlier_cpu_s[1], "who asked first has paid for it"
        assert (left / "model" / "model.safetensors").stat().st_mtime_ns == begun

        (left / "model" / "tokenizer.json").unlink()
        with pytest.raises(PlatformError, match="run again, and it is trained anew"):
            await train()
        assert not any((work / "training").iterdir())
        await platform.close()

    asyncio.run(play())


def test_what_a_killed_run_was_removing_is_removed_with_the_rest(tmp_path: Path) -> None:
    platform = LocalPlatform(run_config("lab", None, {"recipe": "gift"}, []), tmp_path)
    for name in ("one", "one.removed"):
        (tmp_path / "training" / name / "model").mkdir(parents=True)
    asyncio.run(platform.committed("one"))
    asyncio.run(platform.committed("one"))
    assert not any((tmp_path / "training").iterdir())
