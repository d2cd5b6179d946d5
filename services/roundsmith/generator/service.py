"""The generator's servicers: message, value, engine, value, message."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from roundsmith.config import ServeSettings
from roundsmith.errors import RoundsmithError
from roundsmith.generator.adapter_loads import AdapterLoads
from roundsmith.generator.metrics import GeneratorMetrics
from roundsmith.generator.model_info import ModelInfo
from roundsmith.generator.pacing import paced
from roundsmith.serve import Binding, ItemCalls
from roundsmith.serve.weights import Reloads, ServesWeights, refuse_other_weights
from roundsmith.types import Completion, CompletionDelta, GenerateItem
from roundsmith.v1 import generator_admin_pb2 as admin_pb2
from roundsmith.v1 import generator_admin_pb2_grpc, generator_pb2_grpc
from roundsmith.v1 import generator_pb2 as pb2
from roundsmith.wire import from_message, to_message

Request = pb2.GenerateRequest | pb2.GenerateStreamRequest


class GeneratorEngine(ServesWeights, Protocol):
    """What completes prompts: completions of an item as each finishes, in any order of index, and
    deltas of those under way where the item asks for them.
    """

    @property
    def running(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def generate(self, item: GenerateItem) -> AsyncGenerator[Completion | CompletionDelta]: ...

    def describe(self) -> ModelInfo: ...

    async def load_adapter(self, name: str, folder: Path, sha256: str) -> None: ...

    async def unload_adapter(self, name: str) -> None: ...

    async def failed(self) -> RoundsmithError: ...

    async def close(self) -> None: ...


class GeneratorServicer(generator_pb2_grpc.GeneratorServiceServicer):
    """GeneratorService over an engine."""

    def __init__(
        self, engine: GeneratorEngine, settings: ServeSettings, metrics: GeneratorMetrics
    ) -> None:
        self._engine, self._metrics = engine, metrics
        self._items = ItemCalls(
            self._complete,
            pb2.GenerateStreamResponse,
            {pb2.Completion: "completion", pb2.CompletionDelta: "delta"},
            settings,
            partial={pb2.CompletionDelta},
            num_results=lambda request: int(request.item.n),
        )

    async def Generate(self, request: pb2.GenerateRequest, context: Any) -> pb2.GenerateResponse:
        found = await self._items.answer(request, context)
        whole = [one for one in found if isinstance(one, pb2.Completion)]
        return pb2.GenerateResponse(completions=sorted(whole, key=lambda c: c.index))

    def GenerateStream(
        self, requests: AsyncIterator[pb2.GenerateStreamRequest], context: Any
    ) -> AsyncIterator[pb2.GenerateStreamResponse]:
        return self._items.answer_stream(requests, context)

    async def GetModel(self, request: pb2.GetModelRequest, context: Any) -> pb2.GetModelResponse:
        described = asdict(self._engine.describe())
        described["adapters"] = [pb2.Adapter(**one) for one in described["adapters"]]
        return pb2.GetModelResponse(**described)

    async def _complete(
        self, request: Request, caller: str
    ) -> AsyncIterator[pb2.Completion | pb2.CompletionDelta]:
        item, expected = from_message(GenerateItem, request.item), request.expected_weights_sha256
        if (served := self._engine.describe().version(item.adapter)) is not None:
            refuse_other_weights(expected, served)
        told = self._engine.generate(item)
        async with (
            aclosing(paced(told) if item.deltas else told) as found,
            aclosing(self._metrics.watch(found)) as watched,
        ):
            async for one in watched:
                if isinstance(one, Completion):
                    refuse_other_weights(expected, one.weights_sha256)
                yield to_message(one)


class GeneratorAdminServicer(generator_admin_pb2_grpc.GeneratorAdminServiceServicer):
    """GeneratorAdminService: the owner of the weights swaps them, and loads adapters."""

    def __init__(self, reloads: Reloads, adapters: AdapterLoads) -> None:
        self._reloads, self._adapters = reloads, adapters

    async def ReloadWeights(
        self, request: admin_pb2.ReloadWeightsRequest, context: Any
    ) -> admin_pb2.ReloadWeightsResponse:
        served = await self._reloads.reload(request.uri, request.sha256)
        return admin_pb2.ReloadWeightsResponse(weights_sha256=served)

    async def LoadAdapter(
        self, request: admin_pb2.LoadAdapterRequest, context: Any
    ) -> admin_pb2.LoadAdapterResponse:
        await self._adapters.load(request.name, request.uri, request.sha256)
        return admin_pb2.LoadAdapterResponse(sha256=request.sha256)

    async def UnloadAdapter(
        self, request: admin_pb2.UnloadAdapterRequest, context: Any
    ) -> admin_pb2.UnloadAdapterResponse:
        await self._adapters.unload(request.name)
        return admin_pb2.UnloadAdapterResponse()


def bindings(
    engine: GeneratorEngine,
    settings: ServeSettings,
    reloads: Reloads,
    adapters: AdapterLoads,
    metrics: GeneratorMetrics,
) -> list[Binding]:
    """The generator's two services; `reloads` and `adapters` change what the engine serves, and
    `metrics` count what it draws.
    """
    servicer = GeneratorServicer(engine, settings, metrics)
    admin = GeneratorAdminServicer(reloads, adapters)
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
