"""A call of one answer, against servers that go while they are asked."""

import asyncio
import time
from typing import Any

import grpc
import pytest

from roundsmith.clients import GeneratorClient, PairBuilderClient, ScorerClient, StreamSettings
from roundsmith.clients.channels import open_channel
from roundsmith.errors import RoundsmithError, Unavailable, UnknownName
from roundsmith.v1 import generator_admin_pb2, scorer_admin_pb2
from roundsmith.v1 import pair_builder_pb2 as pb2
from tests.services.serve.world import NAME


class Going:
    """Ends so many calls with a status before it answers."""

    def __init__(self, code: grpc.StatusCode, num_failures: int) -> None:
        self._code, self._left = code, num_failures

    def add(self, server: grpc.aio.Server) -> None:
        """Puts its one method on a server."""
        method = grpc.unary_unary_rpc_method_handler(
            self._list_recipes,
            pb2.ListRecipesRequest.FromString,
            pb2.ListRecipesResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler(NAME, {"ListRecipes": method})
        server.add_generic_rpc_handlers((handler,))

    async def _list_recipes(self, request: Any, context: Any) -> pb2.ListRecipesResponse:
        if self._left:
            self._left -= 1
            await context.abort(self._code, "going")
        return pb2.ListRecipesResponse(recipes=["echo"])


async def recipes(servicer: Going, timeout_s: float) -> list[str]:
    """What a client is told by a server of this servicer."""
    server = grpc.aio.server()
    servicer.add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        try:
            return await PairBuilderClient(channel).recipes(timeout_s)
        finally:
            await server.stop(None)


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE])
def test_a_call_that_a_server_drops_as_it_goes_is_made_again(code: grpc.StatusCode) -> None:
    assert asyncio.run(recipes(Going(code, 6), timeout_s=120.0)) == ["echo"]


@pytest.mark.parametrize(
    ("code", "kind", "timeout_s"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable, 1.0),
        (grpc.StatusCode.NOT_FOUND, UnknownName, 600.0),
    ],
)
def test_what_is_refused_or_never_answered_is_raised(
    code: grpc.StatusCode, kind: type[RoundsmithError], timeout_s: float
) -> None:
    began = time.monotonic()
    with pytest.raises(kind):
        asyncio.run(recipes(Going(code, 1000), timeout_s))
    assert time.monotonic() - began < 300


async def time_to_reload(settings: StreamSettings) -> list[float]:
    """How long a generator and a scorer are given to load other weights, in seconds."""
    given: list[float] = []

    def told(answer: Any) -> Any:
        async def reload(request: Any, context: Any) -> Any:
            given.append(context.time_remaining())
            return answer

        return reload

    server = grpc.aio.server()
    for service, name, messages in (
        ("GeneratorAdminService", "ReloadWeights", generator_admin_pb2),
        ("ScorerAdminService", "ReloadScorerWeights", scorer_admin_pb2),
    ):
        request, response = (getattr(messages, f"{name}{part}") for part in ("Request", "Response"))
        method = grpc.unary_unary_rpc_method_handler(
            told(response()), request.FromString, response.SerializeToString
        )
        handler = grpc.method_handlers_generic_handler(f"roundsmith.v1.{service}", {name: method})
        server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        try:
            for client in (GeneratorClient, ScorerClient):
                await client(channel, settings=settings).reload("s3://b/model", "0" * 64)
        finally:
            await server.stop(None)
    return given


def test_weights_may_take_as_long_to_load_as_whoever_asks_waits_for_a_pod_that_loads_them() -> None:
    assert all(500 < s < 700 for s in asyncio.run(time_to_reload(StreamSettings())))
    generator, scorer = asyncio.run(time_to_reload(StreamSettings(give_up_s=1800.0)))
    assert 1700 < generator < 1900
    assert 1700 < scorer < 1900
