"""The generator's servicers: message, value, engine, value, message."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Protocol

from roundsmith.config import ServeSettings
from roundsmith.generator.engine import ModelInfo
from roundsmith.serve import Binding, ItemCalls
from roundsmith.serve.weights import Reloads, ServesWeights, refuse_other_weights
from roundsmith.types import Completion, GenerateItem
from roundsmith.v1 import generator_admin_pb2 as admin_pb2
from roundsmith.v1 import generator_admin_pb2_grpc, generator_pb2_grpc
from roundsmith.v1 import generator_pb2 as pb2
from roundsmith.wire import from_message, to_message

Request = pb2.GenerateRequest | pb2.GenerateStreamRequest


class GeneratorEngine(ServesWeights, Protocol):
    """What completes prompts: completions of an item as each finishes, in any order of index."""

    def generate(self, item: GenerateItem) -> AsyncIterator[Completion]: ...

    def describe(self) -> ModelInfo: ...


class GeneratorServicer(generator_pb2_grpc.GeneratorServiceServicer):
    """GeneratorService over an engine."""

    def __init__(self, engine: GeneratorEngine, settings: ServeSettings) -> None:
        self._engine = engine
        self._items = ItemCalls(self._complete, pb2.GenerateStreamResponse, "completion", settings)

    async def Generate(self, request: pb2.GenerateRequest, context: Any) -> pb2.GenerateResponse:
        found = await self._items.answer(request, context)
        return pb2.GenerateResponse(completions=sorted(found, key=lambda c: c.index))

    def GenerateStream(
        self, requests: AsyncIterator[pb2.GenerateStreamRequest], context: Any
    ) -> AsyncIterator[pb2.GenerateStreamResponse]:
        return self._items.answer_stream(requests, context)

    async def GetModel(self, request: pb2.GetModelRequest, context: Any) -> pb2.GetModelResponse:
        return pb2.GetModelResponse(**asdict(self._engine.describe()))

    async def _complete(self, request: Request) -> AsyncIterator[pb2.Completion]:
        item, expected = from_message(GenerateItem, request.item), request.expected_weights_sha256
        refuse_other_weights(expected, self._engine.describe().weights_sha256)
        async for completion in self._engine.generate(item):
            refuse_other_weights(expected, completion.weights_sha256)
            yield to_message(completion)


class GeneratorAdminServicer(generator_admin_pb2_grpc.GeneratorAdminServiceServicer):
    """GeneratorAdminService: the owner of the weights swaps them."""

    def __init__(self, reloads: Reloads) -> None:
        self._reloads = reloads

    async def ReloadWeights(
        self, request: admin_pb2.ReloadWeightsRequest, context: Any
    ) -> admin_pb2.ReloadWeightsResponse:
        served = await self._reloads.reload(request.uri, request.sha256)
        return admin_pb2.ReloadWeightsResponse(weights_sha256=served)


def bindings(engine: GeneratorEngine, settings: ServeSettings, reloads: Reloads) -> list[Binding]:
    """The generator's two services; `reloads` swaps the engine's weights."""
    servicer, admin = GeneratorServicer(engine, settings), GeneratorAdminServicer(reloads)
    return [
        Binding(
            "roundsmith.v1.GeneratorService",
            lambda server: generator_pb2_grpc.add_GeneratorServiceServicer_to_server(
                servicer, server
            ),
        ),
        Binding(
            "roundsmith.v1.GeneratorAdminService",
            lambda server: generator_admin_pb2_grpc.add_GeneratorAdminServiceServicer_to_server(
                admin, server
            ),
            admin=True,
        ),
    ]
