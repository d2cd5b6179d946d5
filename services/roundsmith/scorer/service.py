"""The scorer's servicers: message, value, engine, value, message."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from google.rpc import status_pb2

from roundsmith import types
from roundsmith.config import ServeSettings
from roundsmith.serve import Binding, ItemResults, answer_items, caller_of, item_key
from roundsmith.serve.weights import Reloads, ServesWeights, refuse_other_weights
from roundsmith.types import ScoreItem
from roundsmith.v1 import scorer_admin_pb2 as admin_pb2
from roundsmith.v1 import scorer_admin_pb2_grpc, scorer_pb2_grpc
from roundsmith.v1 import scorer_pb2 as pb2
from roundsmith.wire import from_message, to_message

Request = pb2.ScoreRequest | pb2.ScoreStreamRequest


class ScorerEngine(ServesWeights, Protocol):
    """What scores completions, batching what is asked for at the same time."""

    async def score(self, item: ScoreItem) -> types.Score: ...


class ScorerServicer(scorer_pb2_grpc.ScorerServiceServicer):
    """ScorerService over an engine."""

    def __init__(self, engine: ScorerEngine, settings: ServeSettings) -> None:
        self._engine, self._settings = engine, settings
        self._results: ItemResults[types.Score] = ItemResults(
            settings.result_ttl_s, settings.max_results
        )

    async def Score(self, request: pb2.ScoreRequest, context: Any) -> pb2.ScoreResponse:
        found = [score async for score in self._follow(request, caller_of(context))]
        return pb2.ScoreResponse(score=to_message(found[0]))

    def ScoreStream(
        self, requests: AsyncIterator[pb2.ScoreStreamRequest], context: Any
    ) -> AsyncIterator[pb2.ScoreStreamResponse]:
        caller = caller_of(context)
        return answer_items(
            requests,
            lambda request: request.item.item_id,
            lambda request: self._follow(request, caller),
            _response,
            self._settings.max_items_in_flight,
        )

    def _follow(self, request: Request, caller: str) -> AsyncIterator[types.Score]:
        key = item_key(caller, request.request_id, request.item.item_id, request)
        return self._results.follow(key, lambda: self._score(request))

    async def _score(self, request: Request) -> AsyncIterator[types.Score]:
        expected = request.expected_weights_sha256
        refuse_other_weights(expected, self._engine.describe().weights_sha256)
        score = await self._engine.score(from_message(ScoreItem, request.item))
        refuse_other_weights(expected, score.weights_sha256)
        yield score


class ScorerAdminServicer(scorer_admin_pb2_grpc.ScorerAdminServiceServicer):
    """ScorerAdminService: the owner of the weights swaps them."""

    def __init__(self, reloads: Reloads) -> None:
        self._reloads = reloads

    async def ReloadScorerWeights(
        self, request: admin_pb2.ReloadScorerWeightsRequest, context: Any
    ) -> admin_pb2.ReloadScorerWeightsResponse:
        served = await self._reloads.reload(request.uri, request.sha256)
        return admin_pb2.ReloadScorerWeightsResponse(weights_sha256=served)


def bindings(engine: ScorerEngine, settings: ServeSettings, reloads: Reloads) -> list[Binding]:
    """The scorer's two services; `reloads` swaps the engine's weights."""
    servicer, admin = ScorerServicer(engine, settings), ScorerAdminServicer(reloads)
    return [
        Binding(
            "roundsmith.v1.ScorerService",
            lambda server: scorer_pb2_grpc.add_ScorerServiceServicer_to_server(servicer, server),
        ),
        Binding(
            "roundsmith.v1.ScorerAdminService",
            lambda server: scorer_admin_pb2_grpc.add_ScorerAdminServiceServicer_to_server(
                admin, server
            ),
            admin=True,
        ),
    ]


def _response(
    item_id: str, result: types.Score | status_pb2.Status, last: bool
) -> pb2.ScoreStreamResponse:
    if isinstance(result, status_pb2.Status):
        return pb2.ScoreStreamResponse(item_id=item_id, error=result, last=last)
    return pb2.ScoreStreamResponse(item_id=item_id, score=to_message(result), last=last)
