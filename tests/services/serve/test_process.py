"""A server as a process of its own: the ready file, SIGTERM, SIGKILL, a taken port."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from roundsmith.clients import PairBuilderClient, StreamSettings
from roundsmith.config import child_environment
from roundsmith.errors import Unavailable
from tests.ports import kept_port
from tests.services.serve.world import PATIENCE_S, begun, child, connected, group


async def refused(client: PairBuilderClient) -> bool:
    """Whether the server takes no more calls."""
    try:
        await client.recipes(timeout_s=0.5)
    except Unavailable:
        return True
    return False


def test_sigterm_lets_calls_in_flight_finish_and_closes_the_engine(tmp_path: Path) -> None:
    async def play() -> None:
        with child(tmp_path, drain_s=PATIENCE_S) as server:
            async with connected(await server.address()) as client:
                await client.build("echo", {}, 1, group("first"))
                hold = tmp_path / "hold"
                hold.touch()
                config = {"held_by": str(hold), "note": str(tmp_path / "note")}
                slow = asyncio.create_task(client.build("echo", config, 1, group("slow")))
                await begun(tmp_path / "note", 1)
                server.terminate()
                async with asyncio.timeout(PATIENCE_S):
                    while not await refused(client):
                        await asyncio.sleep(0.01)
                hold.unlink()
                assert len(await slow) == 1
            status, out, err = await server.ended()
            assert (status, out) == (0, "closed\n")
            assert "Traceback" not in err
            assert "destroyed" not in err
            assert "never awaited" not in err

    asyncio.run(play())


def test_draining_ends_after_its_time_whatever_still_runs(tmp_path: Path) -> None:
    async def play() -> float:
        with child(tmp_path, drain_s=0.3) as server:
            async with connected(await server.address(), StreamSettings(give_up_s=5.0)) as client:
                config = {"pause_s": 600.0, "note": str(tmp_path / "note")}
                slow = asyncio.create_task(client.build("echo", config, 1, group("slow")))
                await begun(tmp_path / "note", 1)
                start = asyncio.get_running_loop().time()
                server.terminate()
                with pytest.raises(Unavailable):
                    await slow
                return asyncio.get_running_loop().time() - start

    assert asyncio.run(play()) < PATIENCE_S


def test_the_ready_file_appears_whole_and_a_stale_one_is_removed(tmp_path: Path) -> None:
    async def play() -> None:
        with child(tmp_path, metrics_port=0) as server:
            address = await server.address()
            told = json.loads((tmp_path / "ready.json").read_text())
            assert set(told) == {"address", "metrics_address"}
            assert not list(tmp_path.glob("*.partial"))
            port = int(address.rsplit(":", 1)[1])
            with child(tmp_path / "second", port=port) as second:
                status, _, err = await second.ended()
                assert status == 1
                assert f"127.0.0.1:{port}: expected a free port" in err
                assert not (tmp_path / "second" / "ready.json").exists()
            async with connected(address) as client:
                assert await client.recipes() == ["echo"]

    (tmp_path / "second").mkdir()
    asyncio.run(play())


def test_a_server_killed_in_mid_stream_and_started_again_answers_every_item_once(
    tmp_path: Path,
) -> None:
    names = [f"t{number}" for number in range(60)]

    async def play() -> None:
        port = kept_port()
        with child(tmp_path, port=port) as server:
            patient = StreamSettings(give_up_s=PATIENCE_S)
            async with connected(await server.address(), patient) as client:
                undisturbed = [await client.build("echo", {}, 1, group(name)) for name in names]
                config = {"pause_s": 0.05}
                builds = [
                    asyncio.create_task(client.build("echo", config, 1, group(name)))
                    for name in names
                ]
                for _ in range(2):
                    done = sum(build.done() for build in builds)
                    while sum(build.done() for build in builds) < done + 6:
                        await asyncio.sleep(0.01)
                    server.restart(port=port)
                    await server.address()
                assert await asyncio.gather(*builds) == undisturbed
                assert client.stream.retries > 0

    asyncio.run(play())


def test_a_client_gives_up_in_its_time_when_the_server_stays_away(tmp_path: Path) -> None:
    async def play() -> None:
        with child(tmp_path) as server:
            async with connected(await server.address(), StreamSettings(give_up_s=5.0)) as client:
                await client.build("echo", {}, 1, group())
                config = {"pause_s": 600.0, "note": str(tmp_path / "note")}
                builds = [client.build("echo", config, 1, group(name)) for name in "ab"]
                pending = asyncio.gather(*builds, return_exceptions=True)
                await begun(tmp_path / "note", 2)
                server.kill()
                start = asyncio.get_running_loop().time()
                failures = await pending
                assert 4.9 < asyncio.get_running_loop().time() - start < PATIENCE_S
                assert [type(failure) for failure in failures] == [Unavailable] * 2
                assert "gave up after 5.0 s" in str(failures[0])

    asyncio.run(play())


def test_nothing_listens_any_more_after_the_end(tmp_path: Path) -> None:
    async def play() -> None:
        with child(tmp_path) as server:
            address = await server.address()
            server.terminate()
            assert (await server.ended())[0] == 0
            async with grpc.aio.insecure_channel(address) as channel:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await channel.channel_ready()

    asyncio.run(play())


TIED = """
import subprocess, sys, time
from roundsmith.config import child_environment
code = "from roundsmith.children import die_with_parent as d; d(); print('on', flush=True); input()"
child = subprocess.Popen(
    [sys.executable, "-c", code], env=child_environment(), stdin=subprocess.PIPE
)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_tied_process_ends_with_the_one_that_started_it() -> None:
    parent = subprocess.Popen([sys.executable, "-c", TIED], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    told = sorted(parent.stdout.readline() for _ in range(2))
    parent.kill()
    assert told[1] == "on\n"
    assert parent.stdout.read() == "", "the child holds the pipe until it ends"
    parent.communicate()


def test_a_tied_process_whose_parent_is_gone_refuses_to_start() -> None:
    code = "from roundsmith.children import die_with_parent; die_with_parent()"
    environment = child_environment(ROUNDSMITH_PARENT_PID="1")
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert "expected process 1 as parent" in ended.stderr
