"""A server through real channels: deadlines, errors, health, draining, metrics, ports."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from roundsmith import errors
from roundsmith.clients.stream import call_error
from roundsmith.config import ServeSettings
from roundsmith.errors import (
    ConfigError,
    DeadlineMissing,
    EngineError,
    Overloaded,
    RoundsmithError,
    Unavailable,
    UnknownName,
)
from roundsmith.serve import Service, listening, run
from roundsmith.serve.guard import _given_up
from roundsmith.serve.metrics import CANCELLED, DEADLINE_EXCEEDED
from roundsmith.v1 import pair_builder_pb2 as pb2
from roundsmith.v1 import pair_builder_pb2_grpc
from roundsmith.wire import to_message
from roundsmith.wire.status import from_status, to_status
from tests.services.serve.world import NAME, PATIENCE_S, begun, connected, group, serving

CLASSES = [
    cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, RoundsmithError)
]


def build(item_id: str = "i", config: str = "", recipe: str = "echo") -> pb2.BuildStreamRequest:
    """One item; its recipe echoes the task's description."""
    selection = pb2.Selection(recipe=recipe, config_json=config, seed=1)
    return pb2.BuildStreamRequest(
        request_id="r", item_id=item_id, selection=selection, group=to_message(group())
    )


def unary(request: pb2.BuildStreamRequest) -> pb2.BuildRequest:
    """The same item for the unary method."""
    return pb2.BuildRequest.FromString(request.SerializeToString())


async def fails(call: Any) -> RoundsmithError:
    """The error that a call ends with, as a client raises it."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return call_error(failed.value)


async def ask_health(channel: grpc.aio.Channel, service: str = "") -> int:
    """The status of a service."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)
    return int(answer.status)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_keeps_its_class_and_message_over_the_wire(cls: type[RoundsmithError]) -> None:
    error = from_status(to_status(cls("seen é")))
    assert (type(error), str(error)) == (cls, "seen é")


def test_the_time_to_wait_crosses_the_wire() -> None:
    back = from_status(to_status(Overloaded("full", 2.5)))
    assert isinstance(back, Overloaded)
    assert back.retry_after_s == 2.5


@pytest.mark.parametrize(
    ("code", "cls"),
    [(3, ConfigError), (5, UnknownName), (8, ConfigError), (14, Unavailable), (13, EngineError)],
)
def test_a_status_of_another_server_takes_its_codes_class(code: int, cls: type) -> None:
    assert type(from_status(status_pb2.Status(code=code, message="m"))) is cls


def test_a_call_needs_a_deadline_that_is_not_too_long(tmp_path: Path) -> None:
    async def play() -> None:
        async with (
            serving(tmp_path, max_deadline_s=30) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
            for timeout in (None, 300):
                call = stub.ListRecipes(pb2.ListRecipesRequest(), timeout=timeout)
                assert type(await fails(call)) is DeadlineMissing
                assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
                stream = stub.BuildStream(iter([build()]), timeout=timeout)
                assert type(await fails(stream.read())) is DeadlineMissing
            answer = await stub.ListRecipes(pb2.ListRecipesRequest(), timeout=29)
            assert list(answer.recipes) == ["echo"]

    asyncio.run(play())


def test_unary_and_stream_give_the_same_and_tell_the_same_errors(tmp_path: Path) -> None:
    async def play() -> None:
        async with (
            serving(tmp_path) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
            requests = [
                build("good"),
                build("name", recipe="nosuch"),
                build("json", "[1]"),
                build("key", '{"nosuch": 1}'),
                build("bug", '{"divide_by": 0}'),
                pb2.BuildStreamRequest(request_id="r", item_id="empty"),
            ]
            stream = stub.BuildStream(iter(requests), timeout=PATIENCE_S)
            answers = {answer.item_id: answer async for answer in stream}
            assert answers["good"].rows.rows[0].example.prompt.text == "Add."
            assert all(answer.last for answer in answers.values())
            whole = await stub.Build(unary(requests[0]), timeout=PATIENCE_S)
            assert list(whole.rows) == list(answers["good"].rows.rows)
            for request in requests[1:]:
                told = from_status(answers[request.item_id].error)
                raised = await fails(stub.Build(unary(request), timeout=PATIENCE_S))
                assert (type(told), str(told)) == (type(raised), str(raised))
                named = {"json": "JSON object", "empty": "Group: expected task"}
                assert named.get(request.item_id, "echo") in str(told)
            kinds = [type(from_status(answers[r.item_id].error)) for r in requests[1:]]
            assert kinds == [UnknownName, ConfigError, ConfigError, EngineError, ConfigError]

    asyncio.run(play())


def test_a_message_too_long_for_trailers_is_cut(tmp_path: Path) -> None:
    async def play() -> None:
        async with (
            serving(tmp_path) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
            error = await fails(stub.Build(unary(build(recipe="ж" * 20_000)), timeout=PATIENCE_S))
            assert type(error) is UnknownName
            assert 500 < len(str(error)) < 1300

    asyncio.run(play())


def test_health_is_told_for_the_process_and_each_service_and_falls_when_draining(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        note, hold = tmp_path / "note", tmp_path / "hold"
        hold.touch()
        async with serving(tmp_path, drain_s=PATIENCE_S) as addresses:
            channel = grpc.aio.insecure_channel(addresses["address"])
            for service in ("", NAME):
                assert await ask_health(channel, service) == 1
            with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
                await ask_health(channel, "nosuch")
            stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
            request = unary(build("s", f'{{"held_by": "{hold}", "note": "{note}"}}'))
            slow = asyncio.ensure_future(stub.Build(request, timeout=PATIENCE_S))
            await begun(note, 1)
            watching = asyncio.create_task(watch_the_end(channel, stub, slow, hold))
        assert await watching
        await channel.close()

    async def watch_the_end(channel: grpc.aio.Channel, stub: Any, slow: Any, hold: Path) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            while await ask_health(channel, NAME) != 2:
                await asyncio.sleep(0.01)
        refused = await fails(stub.ListRecipes(pb2.ListRecipesRequest(), timeout=PATIENCE_S))
        assert type(refused) is Unavailable
        assert not slow.done()
        hold.unlink()
        return len((await slow).rows) == 1

    asyncio.run(play())


def test_an_idle_stream_and_a_health_watch_do_not_hold_up_draining(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, drain_s=2 * PATIENCE_S) as addresses:
            channel = grpc.aio.insecure_channel(addresses["address"])
            stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
            stream = stub.BuildStream(timeout=3 * PATIENCE_S)
            await stream.write(build())
            assert (await stream.read()).last
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
            assert (await watch.read()).status == 1
            start = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - start < PATIENCE_S
        assert await stream.read() is grpc.aio.EOF
        assert (await watch.read()).status == 2
        watch.cancel()
        await channel.close()

    asyncio.run(play())


def test_a_stream_that_drains_answers_what_it_was_sent(tmp_path: Path) -> None:
    note = tmp_path / "note"

    async def play() -> None:
        async with serving(tmp_path, drain_s=PATIENCE_S) as addresses:
            channel = grpc.aio.insecure_channel(addresses["address"])
            stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
            stream = stub.BuildStream(timeout=PATIENCE_S)
            for name in "abc":
                await stream.write(build(name, f'{{"pause_s": 0.5, "note": "{note}"}}'))
            await begun(note, 3)
        found = {answer.item_id async for answer in stream}
        assert found == set("abc")
        await channel.close()

    asyncio.run(play())


def test_reflection_lists_and_describes_the_services(tmp_path: Path) -> None:
    async def ask(channel: Any, **question: Any) -> Any:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(**question)
        return await stub.ServerReflectionInfo(iter([request])).read()

    async def play() -> None:
        async with (
            serving(tmp_path) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            listed = (await ask(channel, list_services="")).list_services_response.service
            assert {NAME, "grpc.health.v1.Health"} <= {service.name for service in listed}
            found = (await ask(channel, file_containing_symbol=NAME)).file_descriptor_response
            files = map(descriptor_pb2.FileDescriptorProto.FromString, found.file_descriptor_proto)
            methods = {s.name: [m.name for m in s.method] for f in files for s in f.service}
            assert methods["PairBuilderService"] == ["Build", "BuildStream", "ListRecipes"]
        async with (
            serving(tmp_path, reflection=False) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
                await ask(channel, list_services="")

    asyncio.run(play())


async def fetch(address: str, path: str) -> str:
    """A page over plain HTTP."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    page = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return page


async def ended(address: str) -> str:
    """The page of metrics as soon as no item of a stream is under way: a moment after the last one
    is answered.
    """
    idle = f'roundsmith_items_in_flight{{method="BuildStream",service="{NAME}"}} 0.0'
    async with asyncio.timeout(PATIENCE_S):
        while idle not in (page := await fetch(address, "/metrics")):
            await asyncio.sleep(0.05)
    return page


def test_metrics_count_items_by_service_and_method(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path, metrics_port=0) as addresses:
            async with connected(addresses["address"]) as client:
                for name in ("a", "b"):
                    await client.build("echo", {}, 1, group(name))
                with pytest.raises(UnknownName):
                    await client.build("nosuch", {}, 1, group())
            labels = f'{{method="BuildStream",service="{NAME}"}}'
            page = await ended(addresses["metrics_address"])
            assert f"roundsmith_items_started_total{labels} 3.0" in page
            assert f"roundsmith_items_finished_total{labels} 2.0" in page
            with_code = labels.replace("{", '{code="NOT_FOUND",')
            assert f"roundsmith_items_failed_total{with_code} 1.0" in page
            assert f"roundsmith_items_in_flight{labels} 0.0" in page
            assert f"roundsmith_item_seconds_count{labels} 3.0" in page
            assert "200 OK" in await fetch(addresses["metrics_address"], "/ready")
            assert "404" in await fetch(addresses["metrics_address"], "/nosuch")
            reader, writer = await asyncio.open_connection(
                *addresses["metrics_address"].rsplit(":", 1)
            )
            writer.write(b"nonsense\r\n\r\n")
            assert b"404" in await reader.read()
            writer.close()

    asyncio.run(play())


def test_a_taken_port_is_refused_before_the_engine_is_loaded(tmp_path: Path) -> None:
    async def start() -> Service:
        raise AssertionError("the engine was loaded")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for setting in ("port", "admin_port", "metrics_port"):
            with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: expected a free port"):
                asyncio.run(run(start, ServeSettings.model_validate({setting: port})))


def test_two_servers_can_not_share_a_port(tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(tmp_path) as addresses:
            port = int(addresses["address"].rsplit(":", 1)[1])
            with pytest.raises(ConfigError, match="expected a free port"):
                async with listening_on(tmp_path, port):
                    pass

    def listening_on(folder: Path, port: int) -> Any:
        return serving(folder, port=port)

    asyncio.run(play())


@pytest.mark.parametrize(
    "settings",
    [
        {"tls_certificate": "c.pem"},
        {"tls_key": "k.pem"},
        {"tls_client_ca": "ca.pem"},
        {"port": 5000, "admin_port": 5000},
        {"admin_subjects": ["trainer"]},
    ],
)
def test_half_a_configuration_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ServeSettings.model_validate(settings)


def test_an_admin_service_has_a_port_of_its_own(tmp_path: Path) -> None:
    from roundsmith.pair_builder.service import bindings
    from roundsmith.serve import Binding

    async def play() -> None:
        settings = ServeSettings()
        plain = bindings({}, settings)
        admin = [Binding(b.name, b.add, admin=True) for b in plain]
        async with listening(admin, settings) as addresses:
            assert set(addresses) == {"admin_address"}
            async with connected(addresses["admin_address"]) as client:
                assert await client.recipes() == []

    asyncio.run(play())


@dataclass
class Call:
    """As much of a call's context as tells its deadline."""

    left_s: float

    def time_remaining(self) -> float:
        """Seconds."""
        return self.left_s


@pytest.mark.parametrize(
    ("given_s", "left_s", "code"),
    [
        (1.0, 0.0, DEADLINE_EXCEEDED),
        (1.0, 0.05, DEADLINE_EXCEEDED),
        (1.0, 0.1, CANCELLED),
        (1800.0, 18.0, DEADLINE_EXCEEDED),
        (1800.0, 19.0, CANCELLED),
    ],
)
def test_it_is_the_deadline_that_ended_a_call_as_near_to_its_end_as_callers_round(
    given_s: float, left_s: float, code: int
) -> None:
    call = Call(given_s)
    ended_by = _given_up(call)
    call.left_s = left_s
    assert ended_by() == code


def test_what_a_caller_gives_up_counts_as_cancelled(tmp_path: Path) -> None:
    async def play() -> None:
        async with (
            serving(tmp_path, metrics_port=0) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)

            async def requests() -> AsyncIterator[pb2.BuildStreamRequest]:
                yield build("one", '{"pause_s": 0.0}')
                yield build("two", '{"pause_s": 2.0}')

            stream = stub.BuildStream(requests(), timeout=60.0)
            await stream.read()
            stream.cancel()
            page = await ended(addresses["metrics_address"])
        labels = f'method="BuildStream",service="{NAME}"'
        assert f'roundsmith_items_failed_total{{code="CANCELLED",{labels}}} 1.0' in page
        assert 'code="DEADLINE_EXCEEDED"' not in page

    asyncio.run(play())


def test_a_deadline_that_passes_cancels_the_items(tmp_path: Path) -> None:
    async def play() -> None:
        note = tmp_path / "note"
        note.touch()
        config = f'{{"pause_s": 0.5, "note": "{note}"}}'
        async with (
            serving(tmp_path, max_items_in_flight=1, metrics_port=0) as addresses,
            grpc.aio.insecure_channel(addresses["address"]) as channel,
        ):
            stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)

            async def requests() -> AsyncIterator[pb2.BuildStreamRequest]:
                for number in range(60):
                    yield build(str(number), config)

            stream = stub.BuildStream(requests(), timeout=1.0)
            with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
                async for _ in stream:
                    pass
            page = await ended(addresses["metrics_address"])
        labels = f'method="BuildStream",service="{NAME}"'
        assert f'roundsmith_items_failed_total{{code="DEADLINE_EXCEEDED",{labels}}}' in page
        assert 'code="CANCELLED"' not in page
        assert note.read_text().count("\n") < 30, "the deadline is that of two or three"

    asyncio.run(play())
