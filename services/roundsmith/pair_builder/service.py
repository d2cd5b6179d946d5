"""The pair builder's servicer: message, value, rule, value, message."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError
from roundsmith.pair_builder.rules import Rules, select
from roundsmith.serve import Binding, ItemCalls
from roundsmith.types import Group
from roundsmith.v1 import pair_builder_pb2 as pb2
from roundsmith.v1 import pair_builder_pb2_grpc
from roundsmith.wire import from_message, rows_to_message

Request = pb2.BuildRequest | pb2.BuildStreamRequest


class PairBuilderServicer(pair_builder_pb2_grpc.PairBuilderServiceServicer):
    """PairBuilderService over the rules that it was started with."""

    def __init__(self, rules: Rules, settings: ServeSettings) -> None:
        self._rules = rules
        self._items = ItemCalls(self._build, pb2.BuildStreamResponse, "rows", settings)

    async def Build(self, request: pb2.BuildRequest, context: Any) -> pb2.BuildResponse:
        (found,) = await self._items.answer(request, context)
        return pb2.BuildResponse(rows=found.rows)

    def BuildStream(
        self, requests: AsyncIterator[pb2.BuildStreamRequest], context: Any
    ) -> AsyncIterator[pb2.BuildStreamResponse]:
        return self._items.answer_stream(requests, context)

    async def ListRecipes(
        self, request: pb2.ListRecipesRequest, context: Any
    ) -> pb2.ListRecipesResponse:
        return pb2.ListRecipesResponse(recipes=sorted(self._rules))

    async def _build(self, request: Request, caller: str) -> AsyncIterator[pb2.RowList]:
        yield await asyncio.to_thread(_rows, self._rules, request)


def bindings(rules: Rules, settings: ServeSettings) -> list[Binding]:
    """The pair builder's service."""
    servicer = PairBuilderServicer(rules, settings)
    return [
        Binding(
            "roundsmith.v1.PairBuilderService",
            lambda server: pair_builder_pb2_grpc.add_PairBuilderServiceServicer_to_server(
                servicer, server
            ),
        )
    ]


def _rows(rules: Rules, request: Request) -> pb2.RowList:
    chosen, group = request.selection, from_message(Group, request.group)
    rows = select(rules, chosen.recipe, _config(chosen.config_json), chosen.seed, group)
    return rows_to_message(rows)


def _config(text: str) -> Mapping[str, Any]:
    try:
        config = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise ConfigError(f"config_json: expected a JSON object, saw {text[:80]!r}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"config_json: expected a JSON object, saw {type(config).__name__}")
    return config
