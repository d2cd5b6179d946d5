"""A real pair builder with a recipe of the tests' own: in this process, or in a child."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from roundsmith.clients import ClientTls, PairBuilderClient, StreamSettings
from roundsmith.clients.channels import open_channel
from roundsmith.config import ServeSettings
from roundsmith.pair_builder import service as pair_builder
from roundsmith.pair_builder.rules import load_rules
from roundsmith.serve import listening
from roundsmith.types import CallTest, Group, Split, Task

NAME = "roundsmith.v1.PairBuilderService"
PATIENCE_S = 300.0
"""How long a busy machine may take for what takes no time."""

ECHO = '''
"""One example a task; `note` is a file that counts the selections, `pause_s` how long one takes,
and while the file `held_by` is there none ends.
"""
import time
from pathlib import Path
from roundsmith.config import Settings
from roundsmith.types import Example, Provenance

class Echo(Settings):
    note: str = ""
    pause_s: float = 0.0
    held_by: str = ""
    divide_by: int = 1

    @classmethod
    def from_config(cls, config):
        return cls.model_validate(config)

    def select(self, group, random):
        task_id = group.task.task_id
        if self.note:
            with open(self.note, "a") as note:
                note.write(task_id + chr(10))
        time.sleep(self.pause_s)
        given_up = time.monotonic() + 900  # so that a test that fails ends
        while self.held_by and Path(self.held_by).exists() and time.monotonic() < given_up:
            time.sleep(0.01)
        seen = random.randrange(1000 // self.divide_by)
        return [Example(task_id, group.task.description, str(seen), Provenance(task_id, "echo", 1))]

RECIPE = Echo
'''

CHILD = """
import asyncio, sys
from pathlib import Path
from roundsmith.config import ServeSettings
from roundsmith.pair_builder.rules import load_rules
from roundsmith.pair_builder.service import bindings
from roundsmith.serve import Service, run

settings = ServeSettings.model_validate_json(sys.argv[1])

async def start():
    async def close():
        print("closed", flush=True)
    return Service(bindings(load_rules([sys.argv[2]]), settings), close)

asyncio.run(run(start, settings, Path(sys.argv[3])))
"""


def group(task_id: str = "t0", description: str = "Add.") -> Group:
    """A group without samples."""
    test = CallTest("c0", "add", (1, 2), 3)
    task = Task(task_id, Split.TRAIN, description, "def add(a, b):", "add", (test,))
    return Group(task, ())


def recipes(folder: Path) -> str:
    """A folder that holds the recipe `echo`."""
    folder.mkdir(exist_ok=True)
    (folder / "echo.py").write_text(ECHO)
    return str(folder)


@asynccontextmanager
async def serving(folder: Path, **settings: object) -> AsyncIterator[dict[str, str]]:
    """The pair builder in this process; yields its addresses."""
    serve = ServeSettings.model_validate(settings)
    rules = load_rules([recipes(folder / "recipes")])
    async with listening(pair_builder.bindings(rules, serve), serve) as addresses:
        yield addresses


@asynccontextmanager
async def connected(
    target: str, settings: StreamSettings | None = None, tls: ClientTls | None = None
) -> AsyncIterator[PairBuilderClient]:
    """A client of one target."""
    async with open_channel(target, tls) as channel:
        client = PairBuilderClient(channel, settings or StreamSettings())
        try:
            yield client
        finally:
            await client.stream.close()


@contextmanager
def child(folder: Path, **settings: object) -> Iterator["Child"]:
    """The pair builder as a process of its own; killed at the end if it still runs."""
    started = Child(folder, settings)
    try:
        yield started
    finally:
        started.kill()


class Child:
    """A server process, its address, and its ends."""

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        self._folder, self._ready = folder, folder / "ready.json"
        self._start(settings)

    def _start(self, settings: dict[str, object]) -> None:
        self._ready.unlink(missing_ok=True)
        source = recipes(self._folder / "recipes")
        arguments = [json.dumps(settings), source, str(self._ready)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def address(self) -> str:
        """Where it listens, as soon as it says so."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._ready.exists():
                assert self.process.poll() is None, self.process.communicate()
                await asyncio.sleep(0.02)
        return str(json.loads(self._ready.read_text())["address"])

    def restart(self, **settings: object) -> None:
        """Another process after this one has been killed."""
        self.kill()
        self._start(settings)

    def terminate(self) -> None:
        """SIGTERM."""
        os.kill(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and the end of its pipes."""
        self.process.kill()
        self.process.communicate()

    async def ended(self) -> tuple[int, str, str]:
        """Exit status, standard output and standard error once it has ended by itself."""
        out, err = await asyncio.to_thread(self.process.communicate, None, PATIENCE_S)
        return self.process.returncode, out, err


async def begun(note: Path, number: int) -> None:
    """Returns as soon as so many selections have begun, by the note that they leave."""
    async with asyncio.timeout(PATIENCE_S):
        while not note.exists() or note.read_text().count("\n") < number:
            await asyncio.sleep(0.01)
