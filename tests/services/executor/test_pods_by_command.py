"""The executor on sandbox pods as a user starts it: by the command, over gRPC."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from roundsmith.clients import ExecutorClient
from roundsmith.v1 import executor_pb2
from tests.pipelines.platform.loopback import Answering, kubeconfig, listening
from tests.services.executor.sandbox_pod import sandbox_pod
from tests.services.executor.test_local_pool import ITEM, cells

ROUNDSMITH = str(Path(sys.executable).with_name("roundsmith"))


@contextmanager
def executor(folder: Path, *options: str) -> Iterator[str]:
    """The address of `roundsmith serve executor` with these options."""
    ready = folder / "executor.json"
    command = [ROUNDSMITH, "serve", "executor", "--ready-file", str(ready), *options]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 300
        while not ready.exists():
            assert process.poll() is None, "the executor ended"
            assert time.monotonic() < deadline, "the executor did not get ready"
            time.sleep(0.05)
        yield json.loads(ready.read_text())["address"]
    finally:
        process.terminate()
        assert process.wait(300) == 0


def test_the_command_serves_programs_that_run_in_a_pod(tmp_path: Path) -> None:
    async def ask(address: str) -> tuple[int, executor_pb2.GetCapabilitiesResponse]:
        async with grpc.aio.insecure_channel(address) as channel:
            client = ExecutorClient(channel)
            return len(cells(await client.execute(ITEM))), await client.capabilities()

    with (
        sandbox_pod() as pod,
        executor(tmp_path, "--pool", "pods", "--sandboxes", pod.address, "--slots", "2") as address,
    ):
        count, held = asyncio.run(ask(address))
        assert count == len(ITEM.programs) * len(ITEM.tests)
        assert held.slots == 2
        assert held.tier in ("T1", "T2")
        assert pod.processes(), "nothing runs in the pod"


class AnotherApi(Answering):
    """An API server of which nobody knows what it means."""

    def do_GET(self) -> None:
        self.answer(200, {})


def test_an_executor_whose_pods_nobody_looks_after_any_more_ends_and_says_why(
    tmp_path: Path,
) -> None:
    with sandbox_pod() as pod, listening(AnotherApi) as url:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig(tmp_path, url))}
        options = ("--sandboxes", pod.address, "--slots", "1", "--deployment", "ns/sandbox")
        command = [ROUNDSMITH, "serve", "executor", "--pool", "pods", *options]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
    assert done.returncode != 0
    assert "expected their number to be looked after, saw AttributeError" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pool", "pods"], "expected sandboxes with the pool"),
        (["--sandboxes", "sandbox:1"], "expected sandboxes with the pool"),
        (["--pool", "pods", "--sandboxes", "sandbox"], "--sandboxes"),
        (["--pool", "clouds"], "--pool"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: list[str], said: str) -> None:
    command = [ROUNDSMITH, "serve", "executor", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_an_address_that_is_none_is_refused() -> None:
    command = [ROUNDSMITH, "serve", "sandbox-worker", "--socket", "/tmp/s", "--address", "50061"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "expected HOST:PORT, saw '50061'" in done.stderr) == (2, True)
