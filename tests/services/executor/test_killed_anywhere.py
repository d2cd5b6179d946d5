"""Killing any process at random moments changes nothing that the client is told.

The server is a process of its own, on the sandbox pod of the tests; the client is the ordinary one,
which reconnects and sends again what is unanswered.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from roundsmith.clients import ExecutorClient, StreamSettings
from roundsmith.clients.channels import open_channel
from roundsmith.types import CallTest, ExecuteItem, Limits, Outcome, Program
from tests.ports import kept_port
from tests.services.executor.sandbox_pod import SandboxPod, sandbox_pod

SEED = 20
KILLS = 20
KINDS = ("zygote", "supervisor", "sandbox", "worker", "server")
ITEMS, PROGRAMS, TESTS = 50, 10, 20
BODIES = (
    "return x + 1",
    "return x + 1 if x % 3 else 0",
    "raise KeyError(x)",
    "seen.append(x); return x + len(seen)",
    "import os; os._exit(0) if x == 7 else None; return x + 1",
)
PATIENT = StreamSettings(give_up_s=900.0, max_sends=100, max_backoff_s=0.5)


def items() -> list[ExecuteItem]:
    """10 000 cells in 50 matrices; no two programs are the same text."""
    tests = tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(TESTS))
    return [
        ExecuteItem(
            f"i{at}",
            tuple(
                Program(f"c{n}", f"seen = []\ndef f(x):\n    {BODIES[n % 5]}\n# {at} {n}\n")
                for n in range(PROGRAMS)
            ),
            tests,
            limits=Limits(cpu_s=1.0, wall_factor=60),
        )
        for at in range(ITEMS)
    ]


class Server:
    """`roundsmith serve executor` on the pod, started again on its port after it was killed."""

    def __init__(self, folder: Path, pod: SandboxPod) -> None:
        self._ready, self._pod, self._port = folder / "server.json", pod, kept_port()
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        command = [str(Path(sys.executable).with_name("roundsmith")), "serve", "executor"]
        command += ["--pool", "pods", "--sandboxes", self._pod.address, "--slots", "2"]
        command += ["--floor", "T1", "--port", str(self._port), "--ready-file", str(self._ready)]
        self.process = subprocess.Popen(command, env={**os.environ, "COLUMNS": "200"})

    def wait(self) -> str:
        deadline = time.monotonic() + 600
        while not self._ready.exists():
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not get ready"
            time.sleep(0.05)
        return str(json.loads(self._ready.read_text())["address"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Killer:
    """Kills each kind of process as often, in random order; starts again what a machine would."""

    def __init__(self, server: Server, pod: SandboxPod) -> None:
        self._server, self._sandbox, self._random = server, pod, Random(SEED)
        self._left = [kind for kind in KINDS for _ in range(KILLS // len(KINDS))]
        self._random.shuffle(self._left)
        self.killed: list[str] = []

    async def at_random(self, over: asyncio.Event) -> None:
        """Kills until it has done so often enough, or it is over between two."""
        while self._left:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), self._random.uniform(0.2, 1.5))
                return
            await asyncio.to_thread(self._kill, self._left.pop())

    def _kill(self, kind: str) -> None:
        self.killed.append(kind)
        print(f"kill {len(self.killed)} of {KILLS}: {kind}", flush=True)
        match kind:
            case "server":
                self._server.kill()
                self._server.start()
                self._server.wait()
            case "worker":
                end(self._sandbox.worker)
                self._sandbox.begin_worker()
                self._sandbox.wait()
            case "sandbox":
                end(self._sandbox.init)
                self._sandbox.start_init()
            case _:
                below = self._sandbox.processes()
                above = str(self._sandbox.init.pid)
                supervisors = [pid for pid in below if parent(pid) == above]
                zygotes = [pid for pid in below if parent(pid) in supervisors]
                if chosen := supervisors if kind == "supervisor" else zygotes:
                    os.kill(int(self._random.choice(chosen)), signal.SIGKILL)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def parent(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""


Cells = dict[tuple[str, str, str], Outcome]


def said(outcome: Outcome) -> tuple[str, ...]:
    """What must be the same whatever was killed."""
    return outcome.verdict.value, outcome.judge.value, outcome.label.value


def different(was: Cells, now: Cells) -> list[str]:
    """The cells that a client was told otherwise, and how."""
    return [
        f"{' '.join(cell)}: {said(was[cell])} {was[cell].detail!r} was said when nothing was "
        f"killed, now {said(now[cell])} {now[cell].detail!r}"
        for cell in was
        if said(now[cell]) != said(was[cell])
    ]


async def told(client: ExecutorClient) -> Cells:
    """What a client is told of all items, by cell."""
    asked = items()
    found = await asyncio.gather(*(client.execute(item) for item in asked))
    cells: Cells = {}
    for item, outcomes in zip(asked, found, strict=True):
        assert len(outcomes) == PROGRAMS * TESTS, "a cell was lost or came twice"
        for o in outcomes:
            cells[item.item_id, o.code_id, o.test_id] = o
    assert len(cells) == ITEMS * PROGRAMS * TESTS
    return cells


async def ask(address: str) -> Cells:
    async with open_channel(address) as channel:
        client = ExecutorClient(channel, PATIENT)
        try:
            return await told(client)
        finally:
            await client.stream.close()


@pytest.mark.slow
def test_whatever_is_killed_the_client_is_told_all_of_ten_thousand_cells_and_the_same(
    tmp_path: Path,
) -> None:
    async def disturbed(server: Server, pod: SandboxPod, address: str) -> None:
        quiet = await ask(address)
        verdicts = Counter(o.verdict.value for o in quiet.values())
        print("undisturbed:", dict(verdicts), flush=True)
        assert set(verdicts) == {"PASS", "FAIL", "ERROR", "FLAKY", "EXITED_EARLY"}
        killer = Killer(server, pod)
        while len(killer.killed) < KILLS:
            over = asyncio.Event()
            killing = asyncio.create_task(killer.at_random(over))
            found = await ask(address)
            over.set()
            await killing
            assert not different(quiet, found), f"killed: {killer.killed}"
        print("killed:", dict(Counter(killer.killed)), flush=True)

    with sandbox_pod() as pod:
        server = Server(tmp_path, pod)
        server.start()
        try:
            asyncio.run(disturbed(server, pod, server.wait()))
        finally:
            server.kill()
