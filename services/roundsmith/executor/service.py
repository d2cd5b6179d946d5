"""The executor's servicer: message, value, engine, value, message."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError
from roundsmith.executor.capabilities import Capabilities
from roundsmith.serve import Binding, ItemCalls
from roundsmith.types import ExecuteItem, Limits, Outcome
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.v1 import executor_pb2_grpc
from roundsmith.wire import add_messages, from_message, to_message

_LARGE_BYTES = 2**20
_MOST_TOGETHER = 256
"""Outcomes of one message: a program may have very many tests, and a message has a largest size."""
_DEFAULTS: list[tuple[str, Any]] = [
    (f.name, f.default) for f in fields(Limits) if f.name != "cpu_s"
]
"""Of the limits that are zero where a message lacks them; a time that is there may be zero."""


class ExecutorEngine(Protocol):
    """What runs matrices: outcomes as they become known, every cell once."""

    def batches(self, item: ExecuteItem, caller: str) -> AsyncIterator[list[Outcome]]: ...

    def capabilities(self) -> Capabilities: ...


class ExecutorServicer(executor_pb2_grpc.ExecutorServiceServicer):
    """ExecutorService over an engine."""

    def __init__(self, engine: ExecutorEngine, settings: ServeSettings) -> None:
        self._engine = engine
        names = {pb2.Outcome: "outcome", pb2.Outcomes: "outcomes"}
        self._items = ItemCalls(self._execute, pb2.ExecuteStreamResponse, names, settings)

    async def Execute(self, request: pb2.ExecuteRequest, context: Any) -> pb2.ExecuteResponse:
        # As what a stream would ask: what the two kept for the same ids is answered alike.
        asked = pb2.ExecuteStreamRequest(
            request_id=request.request_id, item=request.item, together=True
        )
        response = pb2.ExecuteResponse()
        for part in await self._items.answer(asked, context):
            assert isinstance(part, pb2.Outcomes), "asked for together"
            response.outcomes.extend(part.outcomes)
        return response

    def ExecuteStream(
        self, requests: AsyncIterator[pb2.ExecuteStreamRequest], context: Any
    ) -> AsyncIterator[pb2.ExecuteStreamResponse]:
        return self._items.answer_stream(requests, context)

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
            missing_profiles=held.missing_profiles,
            slots=held.slots,
            max_value_bytes=held.max_value_bytes,
            max_value_depth=held.max_value_depth,
            max_cells=held.max_cells,
            image=held.image,
            rerun_share=held.rerun_share,
        )

    async def _execute(
        self, request: pb2.ExecuteStreamRequest, caller: str
    ) -> AsyncIterator[pb2.Outcome | pb2.Outcomes]:
        large = request.ByteSize() > _LARGE_BYTES  # read beside the event loop, which serves others
        item = await asyncio.to_thread(_item, request.item) if large else _item(request.item)
        async for batch in self._engine.batches(item, caller):
            if request.together:
                for at in range(0, len(batch), _MOST_TOGETHER):
                    yield _outcomes(batch[at : at + _MOST_TOGETHER])
                continue
            for outcome in batch:
                yield to_message(outcome)


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


def _outcomes(outcomes: Sequence[Outcome]) -> pb2.Outcomes:
    message = pb2.Outcomes()
    add_messages(outcomes, message.outcomes)
    return message


def _item(message: pb2.ExecuteItem) -> ExecuteItem:
    """The item; limits that are zero or absent take their defaults; an empty matrix is refused."""
    item = from_message(ExecuteItem, message)
    if not item.programs or not item.tests:
        raise ConfigError(
            f"item {item.item_id!r}: expected at least one program and one test, saw "
            f"{len(item.programs)} and {len(item.tests)}"
        )
    unset = {name: default for name, default in _DEFAULTS if not getattr(item.limits, name)}
    if unset or not item.profile:
        limits = replace(item.limits, **unset)
        item = replace(item, limits=limits, profile=item.profile or "base")
    return item
