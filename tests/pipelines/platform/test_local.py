"""One machine: where its models run, and services that end and start again."""

import asyncio
from pathlib import Path

import pytest

from roundsmith.lab import MODEL
from roundsmith.platform.local import LocalPlatform, on_gpu
from roundsmith.presets import run_config


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
