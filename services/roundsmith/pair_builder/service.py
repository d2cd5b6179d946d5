"""The pair builder's servicer: message, value, rule, value, message."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from google.rpc import status_pb2

from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError
from roundsmith.pair_builder.rules import Rules, select
from roundsmith.serve import Binding, ItemResults, answer_items, caller_of, item_key
from roundsmith.types import Group, Row
from roundsmith.v1 import pair_builder_pb2 as pb2
from roundsmith.v1 import pair_builder_pb2_grpc
from roundsmith.wire import from_message, row_to_message

Request = pb2.BuildRequest | pb2.BuildStreamRequest


class PairBuilderServicer(pair_builder_pb2_grpc.PairBuilderServiceServicer):
    """PairBuilderService over the rules that it was started with."""

    def __init__(self, rules: Rules, settings: ServeSettings) -> None:
        self._rules, self._settings = rules, settings
        self._results: ItemResults[list[Row]] = ItemResults(
            settings.result_ttl_s, settings.max_results
        )

    async def Build(self, request: pb2.BuildRequest, context: Any) -> pb2.BuildResponse:
        found = [rows async for rows in self._follow(request, caller_of(context))]
        return pb2.BuildResponse(rows=[row_to_message(row) for row in found[0]])

    def BuildStream(
        self, requests: AsyncIterator[pb2.BuildStreamRequest], context: Any
    ) -> AsyncIterator[pb2.BuildStreamResponse]:
        caller = caller_of(context)
        return answer_items(
            requests,
            lambda request: request.item_id,
            lambda request: self._follow(request, caller),
            _response,
            self._settings.max_items_in_flight,
        )

    async def ListRecipes(
        self, request: pb2.ListRecipesRequest, context: Any
    ) -> pb2.ListRecipesResponse:
        return pb2.ListRecipesResponse(recipes=sorted(self._rules))

    def _follow(self, request: Request, caller: str) -> AsyncIterator[list[Row]]:
        key = item_key(caller, request.request_id, request.item_id, request)
        return self._results.follow(key, lambda: self._build(request))

    async def _build(self, request: Request) -> AsyncIterator[list[Row]]:
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


def _rows(rules: Rules, request: Request) -> list[Row]:
    chosen, group = request.selection, from_message(Group, request.group)
    return select(rules, chosen.recipe, _config(chosen.config_json), chosen.seed, group)


def _config(text: str) -> Mapping[str, Any]:
    try:
        config = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise ConfigError(f"config_json: expected a JSON object, saw {text[:80]!r}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"config_json: expected a JSON object, saw {type(config).__name__}")
    return config


def _response(
    item_id: str, result: list[Row] | status_pb2.Status, last: bool
) -> pb2.BuildStreamResponse:
    if isinstance(result, status_pb2.Status):
        return pb2.BuildStreamResponse(item_id=item_id, error=result, last=last)
    rows = pb2.RowList(rows=[row_to_message(row) for row in result])
    return pb2.BuildStreamResponse(item_id=item_id, rows=rows, last=last)
