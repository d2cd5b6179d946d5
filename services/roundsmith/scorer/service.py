"""The scorer's servicers: message, value, engine, value, message."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from roundsmith import types
from roundsmith.config import ServeSettings
from roundsmith.serve import Binding, ItemCalls
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
        self._engine = engine
        self._items = ItemCalls(self._score, pb2.ScoreStreamResponse, "score", settings)

    async def Score(self, request: pb2.ScoreRequest, context: Any) -> pb2.ScoreResponse:
        (score,) = await self._items.answer(request, context)
        return pb2.ScoreResponse(score=score)

    def ScoreStream(
        self, requests: AsyncIterator[pb2.ScoreStreamRequest], context: Any
    ) -> AsyncIterator[pb2.ScoreStreamResponse]:
        return self._items.answer_stream(requests, context)

    async def _score(self, request: Request, caller: str) -> AsyncIterator[pb2.Score]:
        expected = request.expected_weights_sha256
        refuse_other_weights(expected, self._engine.describe().weights_sha256)
        score = await self._engine.score(from_message(ScoreItem, request.item))
        refuse_other_weights(expected, score.weights_sha256)
        message = to_message(score)
        if score.token_count:
            message.perplexity = score.perplexity
        yield message


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
