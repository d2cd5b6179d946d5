"""The typed client of the generator and of the owner of its weights."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import grpc

from roundsmith.clients.calls import ask, call_once, follow
from roundsmith.clients.deltas import DeltasOf
from roundsmith.clients.lanes import LANES, Lanes
from roundsmith.clients.patience import PATIENT, StreamSettings
from roundsmith.clients.replicas import Replicas, everywhere
from roundsmith.clients.stream import ItemStream
from roundsmith.types import Completion, CompletionDelta, GenerateItem
from roundsmith.v1 import (
    generator_admin_pb2,
    generator_admin_pb2_grpc,
    generator_pb2,
    generator_pb2_grpc,
)
from roundsmith.wire import from_message, to_message


class GeneratorClient:
    """GeneratorService and its admin: `generate` may be called as often at once as you like. Items
    are spread over all replicas.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        admin: grpc.aio.Channel | Replicas | None = None,
        settings: StreamSettings = PATIENT,
    ) -> None:
        """What changes the weights goes to every replica of `admin`, or to the one of a channel."""
        self._stub: Any = generator_pb2_grpc.GeneratorServiceStub(channel)
        self._admin, self._patience_s = admin or channel, settings.give_up_s
        self._load_s = settings.load_s
        self._request_id = uuid4().hex
        streams: list[
            ItemStream[generator_pb2.GenerateStreamRequest, generator_pb2.GenerateStreamResponse]
        ] = [
            ItemStream(self._stub.GenerateStream, lambda r: r.item.item_id, settings)
            for _ in range(LANES)
        ]
        self.stream = Lanes(channel, streams)

    async def generate(self, item: GenerateItem, weights_sha256: str = "") -> list[Completion]:
        """The item's completions by index; raises WeightsMismatch when other weights are served."""
        answers = await ask(self.stream, self._request(item, weights_sha256))
        whole = [answer for answer in answers if answer.HasField("completion")]
        found = [from_message(Completion, answer.completion) for answer in whole]
        return sorted(found, key=lambda completion: completion.index)

    async def told(
        self, item: GenerateItem, weights_sha256: str = ""
    ) -> AsyncGenerator[Completion | CompletionDelta]:
        """The item's completions as each finishes, and its deltas where it asks for them.

        Whatever breaks on the way, each completion comes once. A delta comes once too, unless its
        completion had to be drawn again and came out otherwise: then one with a smaller offset says
        where it does.
        """
        whole: set[int] = set()
        deltas_by_index: dict[int, DeltasOf] = {}
        async for answer in follow(self.stream, self._request(item, weights_sha256)):
            if answer.HasField("completion"):
                if answer.completion.index not in whole:
                    whole.add(answer.completion.index)
                    yield from_message(Completion, answer.completion)
                continue
            delta = from_message(CompletionDelta, answer.delta)
            of = deltas_by_index.setdefault(delta.index, DeltasOf())
            if delta.index not in whole and (new := of.new(delta)) is not None:
                yield new

    async def model(self, timeout_s: float | None = None) -> generator_pb2.GetModelResponse:
        """What is served; waits as long as an item does where no other time is given."""
        request = generator_pb2.GetModelRequest()
        answer: generator_pb2.GetModelResponse = await call_once(
            self._stub.GetModel, request, timeout_s or self._patience_s
        )
        return answer

    async def reload(self, uri: str, sha256: str, timeout_s: float | None = None) -> str:
        """Serves the weights of a folder under the storage root from now on, on every replica;
        returns their version when all of them report it. It may take as long as a pod of it may
        take to start, where no other time is given.
        """
        request = generator_admin_pb2.ReloadWeightsRequest(uri=uri, sha256=sha256)
        await self._everywhere("ReloadWeights", request, timeout_s)
        return sha256

    async def load_adapter(
        self, name: str, uri: str, sha256: str, timeout_s: float | None = None
    ) -> None:
        """Serves the adapter of a folder under the storage root by a name, on every replica."""
        request = generator_admin_pb2.LoadAdapterRequest(name=name, uri=uri, sha256=sha256)
        await self._everywhere("LoadAdapter", request, timeout_s)

    async def unload_adapter(self, name: str, timeout_s: float | None = None) -> None:
        """Serves no adapter by a name any more."""
        request = generator_admin_pb2.UnloadAdapterRequest(name=name)
        await self._everywhere("UnloadAdapter", request, timeout_s)

    def forget(self) -> None:
        """What was answered before is drawn again when it is asked for again."""
        self._request_id = uuid4().hex

    async def _everywhere(self, method: str, request: Any, timeout_s: float | None) -> None:
        make = generator_admin_pb2_grpc.GeneratorAdminServiceStub
        try:
            await everywhere(
                self._admin,
                lambda channel: getattr(make(channel), method),
                request,
                timeout_s or self._load_s,
            )
        finally:
            self.forget()  # what was answered meanwhile, too

    def _request(self, item: GenerateItem, weights: str) -> generator_pb2.GenerateStreamRequest:
        return generator_pb2.GenerateStreamRequest(
            request_id=self._request_id,
            item=to_message(item),
            expected_weights_sha256=weights,
        )
