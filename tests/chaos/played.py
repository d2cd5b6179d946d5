"""Small lab rounds played in this process, with something put in the place of a part of them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from roundsmith.clients import Services, connect
from roundsmith.commands.run import play
from roundsmith.config import child_environment
from roundsmith.platform.local import LocalPlatform
from roundsmith.presets import run_config
from roundsmith.steps.config import RunConfig
from tests.chaos.kills import wait_for
from tests.pipelines.round.lab_round import TASKS

SETTINGS = ("iterations=2", "training.epochs=1")


def small_config(folder: Path) -> RunConfig:
    """The settings of `lab_round`, in small shards."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chaos.toml").write_text("shard_tasks = 2\n")
    options = {"recipe": "gift", "tasks": str(TASKS), "seed": 3, "limit": 8, "eval_limit": 6}
    return run_config("lab", folder / "chaos.toml", options, SETTINGS)


class OtherExecutor(LocalPlatform):
    """One machine, with an executor that somebody else has started; trainings use it, too."""

    def __init__(self, config: RunConfig, work: Path, executor: str) -> None:
        super().__init__(config, work)
        self._executor = executor
        self._others: Services | None = None

    async def services(self, uri: str) -> Services:
        """The services of this machine, but for the executor."""
        await super().services(uri)
        if self._others is None:
            assert self.endpoints is not None
            self.endpoints = self.endpoints.model_copy(update={"executor": self._executor})
            self._others = await self._stack.enter_async_context(connect(self.endpoints))
        return self._others


def play_with(config: RunConfig, out: Path, platform: LocalPlatform, store: str = "") -> None:
    """Plays all rounds to their end; nothing is printed."""
    play(config, out, store or str(out / "store"), platform, Console(quiet=True))


@contextmanager
def faulty_executor(folder: Path, share: float) -> Iterator[str]:
    """The address of an executor that fails on a share of its cells."""
    ready = folder / "executor.ready"
    ready.unlink(missing_ok=True)  # of another one before
    arguments = ["--share", str(share), "--seed", "7", "--ready-file", str(ready)]
    command = [sys.executable, "-m", "tests.chaos.faulty_executor", *arguments]
    with (folder / "executor.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=child_environment())
    try:
        wait_for(ready)
        yield json.loads(ready.read_text())["address"]
    finally:
        process.terminate()
        process.wait(timeout=300)
