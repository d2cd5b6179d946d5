"""The generator through a real channel: cancellation, deadlines, overload, deltas, its death."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from roundsmith.clients import StreamSettings
from roundsmith.clients.stream import call_error
from roundsmith.errors import ConfigError, Overloaded, Unavailable
from roundsmith.types import ChatMessage, Completion, CompletionDelta, GenerateItem, Sampling
from roundsmith.v1 import generator_pb2, generator_pb2_grpc
from roundsmith.wire import to_message
from tests.processes import alive, command_line, descendants
from tests.services.generator.driven import ENGINES, Driven, need
from tests.services.generator.serving import START_S, GeneratorProcess, client_of, served

LONG = Sampling(200, temperature=0.0)


def request(item: GenerateItem) -> generator_pb2.GenerateRequest:
    """A unary request for one item."""
    return generator_pb2.GenerateRequest(request_id="r", item=to_message(item))


async def running(driven: Driven, number: int) -> None:
    """Returns when so many completions run or wait."""
    async with asyncio.timeout(300):
        while driven.engine.running + driven.engine.waiting < number:
            await asyncio.sleep(0.002)


def test_a_cancelled_call_and_one_past_its_deadline_end_their_work(driven: Driven) -> None:
    async def scenario() -> None:
        async with (
            served(driven.engine) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            stub = generator_pb2_grpc.GeneratorServiceStub(channel)
            call = stub.Generate(request(GenerateItem("a", "def", LONG, 0, n=60)), timeout=600)
            await running(driven, 20)  # of 60: some may be over when we look
            call.cancel()
            await driven.idle()
            with pytest.raises(grpc.aio.AioRpcError) as seen:
                await stub.Generate(request(GenerateItem("b", "def", LONG, 0, n=60)), timeout=0.2)
            assert seen.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            await driven.idle()

    driven.run(scenario())


def test_a_full_queue_says_so_with_a_time_to_come_back(driven: Driven) -> None:
    async def scenario() -> None:
        async with (
            served(driven.engine) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            stub = generator_pb2_grpc.GeneratorServiceStub(channel)
            call = stub.Generate(request(GenerateItem("a", "def", LONG, 0, n=64)), timeout=600)
            await running(driven, 32)
            with pytest.raises(grpc.aio.AioRpcError) as seen:
                await stub.Generate(request(GenerateItem("b", "def", LONG, 0, n=60)), timeout=600)
            assert seen.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            error = call_error(seen.value)
            assert isinstance(error, Overloaded)
            assert error.retry_after_s >= 0.5
            call.cancel()
            await driven.idle()

    driven.run(scenario())


def test_the_client_is_told_tokens_as_they_are_drawn_and_each_completion_once(
    driven: Driven,
) -> None:
    async def scenario() -> list[Completion | CompletionDelta]:
        async with served(driven.engine) as address, client_of(address) as client:
            item = GenerateItem("i", "def", LONG, 0, n=2, deltas=True)
            return [told async for told in client.told(item)]

    told = driven.run(scenario())
    for index in (0, 1):
        (whole,) = (one for one in told if isinstance(one, Completion) and one.index == index)
        deltas = [one for one in told if isinstance(one, CompletionDelta) and one.index == index]
        ids = tuple(i for delta in deltas for i in delta.token_ids)
        assert len(deltas) > 1
        assert ids == whole.token_ids[: len(ids)]
        assert told.index(whole) > told.index(deltas[-1])


@pytest.mark.parametrize("role", ["asistant", "User", "tool", ""])
def test_a_role_that_no_model_knows_is_refused_with_its_place(driven: Driven, role: str) -> None:
    turns = (ChatMessage("user", "add"), ChatMessage(role, "def"))
    expected = rf"messages\[1\].role: saw '{role}', expected system, user or assistant"

    async def scenario() -> list[Completion]:
        async with served(driven.engine) as address, client_of(address) as client:
            with pytest.raises(ConfigError, match=expected):
                await client.generate(GenerateItem("bad", turns, LONG, 0))
            known = (ChatMessage("system", "Be short."), turns[0], ChatMessage("assistant", "def"))
            return list(await client.generate(GenerateItem("good", known, Sampling(2), 0)))

    assert len(driven.run(scenario())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_killed_in_mid_stream_repeats_no_sample(
    tmp_path: Path, tiny: Path, engine: str
) -> None:
    need(engine)
    options = ("--model", str(tiny), "--engine", engine, "--slots", "4", "--threads", "1")
    server = GeneratorProcess(tmp_path, *options)

    async def scenario() -> list[Completion | CompletionDelta]:
        await server.ready()
        patient = StreamSettings(give_up_s=START_S)
        told: list[Completion | CompletionDelta] = []
        async with client_of(server.address, settings=patient) as client:
            item = GenerateItem("i", "def", LONG, 0, n=6, deltas=True)
            async for one in client.told(item):
                told.append(one)
                if isinstance(one, Completion) and server.process.poll() is None and not restarted:
                    restarted.append(len(told))
                    server.kill()
                    server.start()
        return told

    restarted: list[int] = []
    try:
        told = asyncio.run(scenario())
    finally:
        server.kill()
    assert restarted
    whole = [one for one in told if isinstance(one, Completion)]
    assert sorted(one.index for one in whole) == list(range(6))
    assert len({one.token_ids for one in whole}) == 1, "greedy ones are the same"
    for index in range(6):
        deltas = [one for one in told if isinstance(one, CompletionDelta) and one.index == index]
        assert [one.offset for one in deltas] == sorted({one.offset for one in deltas})


@pytest.mark.slow
@pytest.mark.vllm
def test_a_dead_engine_ends_the_service_which_says_so_and_a_dead_service_ends_its_engine(
    tmp_path: Path, tiny: Path
) -> None:
    need("vllm")
    server = GeneratorProcess(tmp_path, "--model", str(tiny), "--engine", "vllm", "--slots", "2")

    async def scenario() -> None:
        await server.ready()
        health = health_pb2.HealthCheckRequest()
        async with (
            client_of(server.address, settings=StreamSettings(give_up_s=2.0)) as client,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            stub: Any = health_pb2_grpc.HealthStub(channel)
            watched = stub.Watch(health, timeout=START_S)
            serving = await watched.read()
            assert serving.status == health_pb2.HealthCheckResponse.SERVING
            told = client.told(GenerateItem("i", "def", LONG, 0, n=200, deltas=True))
            await anext(told)
            below = descendants(server.process.pid)
            engine = next(pid for pid in below if b"EngineCore" in command_line(pid))
            environment = Path(f"/proc/{engine}/environ").read_text().split("\0")
            (sockets,) = (w.partition("=")[2] for w in environment if w.startswith("VLLM_RPC_BASE"))
            assert list(Path(sockets).iterdir())
            os.kill(engine, signal.SIGKILL)
            gone = await watched.read()
            assert gone.status == health_pb2.HealthCheckResponse.NOT_SERVING
            with pytest.raises(Unavailable):
                _ = [one async for one in told]
        assert await server.ended() == 1
        log = server.log.read_text()
        assert "the vLLM engine died" in log
        assert "Exception ignored" not in log, "it is not ended once more with the interpreter"
        assert not Path(sockets).exists()
        server.start()  # as the platform does
        await server.ready()
        below = descendants(server.process.pid)
        assert below
        server.kill()
        end = time.monotonic() + 300
        while any(map(alive, below)):
            assert time.monotonic() < end, "the engine outlives its service"
            await asyncio.sleep(0.2)

    try:
        asyncio.run(scenario())
    finally:
        server.kill()
