"""The executor's servicer: message, value, engine, value, message."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from google.rpc import status_pb2

from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError
from roundsmith.executor.capabilities import Capabilities
from roundsmith.serve import Binding, ItemResults, answer_items, caller_of, item_key
from roundsmith.types import ExecuteItem, Limits, Outcome
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.v1 import executor_pb2_grpc
from roundsmith.wire import from_message, to_message

Request = pb2.ExecuteRequest | pb2.ExecuteStreamRequest


class ExecutorEngine(Protocol):
    """What runs matrices: outcomes as each is known, every cell once."""

    def execute(self, item: ExecuteItem) -> AsyncIterator[Outcome]: ...

    def capabilities(self) -> Capabilities: ...


class ExecutorServicer(executor_pb2_grpc.ExecutorServiceServicer):
    """ExecutorService over an engine."""

    def __init__(self, engine: ExecutorEngine, settings: ServeSettings) -> None:
        self._engine, self._settings = engine, settings
        self._results: ItemResults[Outcome] = ItemResults(
            settings.result_ttl_s, settings.max_results
        )

    async def Execute(self, request: pb2.ExecuteRequest, context: Any) -> pb2.ExecuteResponse:
        outcomes = [o async for o in self._follow(request, caller_of(context))]
        return pb2.ExecuteResponse(outcomes=[to_message(outcome) for outcome in outcomes])

    def ExecuteStream(
        self, requests: AsyncIterator[pb2.ExecuteStreamRequest], context: Any
    ) -> AsyncIterator[pb2.ExecuteStreamResponse]:
        caller = caller_of(context)
        return answer_items(
            requests,
            lambda request: request.item.item_id,
            lambda request: self._follow(request, caller),
            _response,
            self._settings.max_items_in_flight,
        )

    async def GetCapabilities(
        self, request: pb2.GetCapabilitiesRequest, context: Any
    ) -> pb2.GetCapabilitiesResponse:
        held = self._engine.capabilities()
        checks = [
            pb2.IsolationCheck(name=c.name, holds=c.holds, detail=c.detail) for c in held.checks
        ]
        return pb2.GetCapabilitiesResponse(
            tier=held.tier,
            checks=checks,
            profiles=held.profiles,
            slots=held.slots,
            max_value_bytes=held.max_value_bytes,
            max_value_depth=held.max_value_depth,
            max_cells=held.max_cells,
            image=held.image,
        )

    def _follow(self, request: Request, caller: str) -> AsyncIterator[Outcome]:
        key = item_key(caller, request.request_id, request.item.item_id, request)
        return self._results.follow(key, lambda: self._execute(request))

    async def _execute(self, request: Request) -> AsyncIterator[Outcome]:
        async for outcome in self._engine.execute(_item(request.item)):
            yield outcome


def bindings(engine: ExecutorEngine, settings: ServeSettings) -> list[Binding]:
    """The executor's service."""
    servicer = ExecutorServicer(engine, settings)
    return [
        Binding(
            "roundsmith.v1.ExecutorService",
            lambda server: executor_pb2_grpc.add_ExecutorServiceServicer_to_server(
                servicer, server
            ),
        )
    ]


def _item(message: pb2.ExecuteItem) -> ExecuteItem:
    """The item; limits that are zero or absent take their defaults; an empty matrix is refused."""
    limits = pb2.Limits.FromString(to_message(Limits()).SerializeToString())
    for field, value in message.limits.ListFields():
        if field.message_type is None:
            setattr(limits, field.name, value)
        else:
            getattr(limits, field.name).CopyFrom(value)
    filled = pb2.ExecuteItem.FromString(message.SerializeToString())
    filled.limits.CopyFrom(limits)
    filled.profile = filled.profile or "base"
    item = from_message(ExecuteItem, filled)
    if not item.programs or not item.tests:
        raise ConfigError(
            f"item {item.item_id!r}: expected at least one program and one test, saw "
            f"{len(item.programs)} and {len(item.tests)}"
        )
    return item


def _response(
    item_id: str, result: Outcome | status_pb2.Status, last: bool
) -> pb2.ExecuteStreamResponse:
    if isinstance(result, status_pb2.Status):
        return pb2.ExecuteStreamResponse(item_id=item_id, error=result, last=last)
    return pb2.ExecuteStreamResponse(item_id=item_id, outcome=to_message(result), last=last)
