"""Typed clients of the four services: values in, values out, the server's own errors raised."""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from uuid import uuid4

import grpc

from roundsmith.clients.calls import ask, call_once
from roundsmith.clients.channels import open_channel
from roundsmith.clients.generator import GeneratorClient
from roundsmith.clients.lanes import LANES, Lanes
from roundsmith.clients.patience import PATIENT, StreamSettings
from roundsmith.clients.replicas import Replicas, everywhere
from roundsmith.clients.stream import ItemStream
from roundsmith.clients.tls import ClientTls
from roundsmith.config import Settings
from roundsmith.types import (
    ExecuteItem,
    Group,
    Outcome,
    Row,
    Score,
    ScoreItem,
)
from roundsmith.v1 import (
    executor_pb2,
    executor_pb2_grpc,
    pair_builder_pb2,
    pair_builder_pb2_grpc,
    scorer_admin_pb2,
    scorer_admin_pb2_grpc,
    scorer_pb2,
    scorer_pb2_grpc,
)
from roundsmith.wire import from_message, from_messages, rows_from_message, to_message

_WITH_WEIGHTS = ("generator", "scorer")

_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.02, 5.0


class Endpoints(Settings):
    """Where the services listen: any gRPC target, such as `127.0.0.1:5000` or
    `dns:///generator:8033`, the name of a headless Service whose replicas take turns.
    """

    generator: str
    generator_admin: str
    executor: str
    scorer: str
    scorer_admin: str
    pair_builder: str
    tls: ClientTls | None = None
    """None means plain text."""


class ScorerClient:
    """ScorerService and its admin. Items are spread over all replicas; those of a prompt stay
    together.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        admin: grpc.aio.Channel | Replicas | None = None,
        settings: StreamSettings = PATIENT,
    ) -> None:
        stub: Any = scorer_pb2_grpc.ScorerServiceStub(channel)
        self._admin, self._load_s = admin or channel, settings.load_s
        self._request_id = uuid4().hex
        streams: list[ItemStream[scorer_pb2.ScoreStreamRequest, scorer_pb2.ScoreStreamResponse]] = [
            ItemStream(stub.ScoreStream, lambda r: r.item.item_id, settings) for _ in range(LANES)
        ]
        self.stream = Lanes(
            channel, streams, lambda r: r.item.prompt.SerializeToString(deterministic=True)
        )

    async def score(self, item: ScoreItem, weights_sha256: str = "") -> Score:
        """The item's score; raises WeightsMismatch when other weights are served."""
        request = scorer_pb2.ScoreStreamRequest(
            request_id=self._request_id,
            item=to_message(item),
            expected_weights_sha256=weights_sha256,
        )
        return from_message(Score, (await ask(self.stream, request))[0].score)

    async def reload(self, uri: str, sha256: str, timeout_s: float | None = None) -> str:
        """Scores with the weights of a folder under the storage root from now on, on every replica;
        returns their version when all of them report it. As long as it takes for the generator's.
        """
        request = scorer_admin_pb2.ReloadScorerWeightsRequest(uri=uri, sha256=sha256)
        make = scorer_admin_pb2_grpc.ScorerAdminServiceStub
        try:
            await everywhere(
                self._admin,
                lambda channel: make(channel).ReloadScorerWeights,
                request,
                timeout_s or self._load_s,
            )
        finally:  # what other weights answered, meanwhile too, is not asked for again
            self._request_id = uuid4().hex
        return sha256


class ExecutorClient:
    """ExecutorService."""

    def __init__(self, channel: grpc.aio.Channel, settings: StreamSettings = PATIENT) -> None:
        self._stub: Any = executor_pb2_grpc.ExecutorServiceStub(channel)
        self._patience_s = settings.give_up_s
        self._request_id = uuid4().hex
        self._attempts = itertools.count()
        self.stream: ItemStream[
            executor_pb2.ExecuteStreamRequest, executor_pb2.ExecuteStreamResponse
        ] = ItemStream(self._stub.ExecuteStream, lambda r: r.item.item_id, settings)

    async def execute(self, item: ExecuteItem, fresh: bool = False) -> list[Outcome]:
        """The outcomes of a matrix, in no order. `fresh` asks anew for an item that was answered
        before: what came to nothing is run again, and with the item's `no_cache` all of it.
        """
        attempt = f"/{next(self._attempts)}" if fresh else ""
        request = executor_pb2.ExecuteStreamRequest(
            request_id=self._request_id + attempt, item=to_message(item), together=True
        )
        found: list[Outcome] = []
        for answer in await ask(self.stream, request):
            # A server that does not know of `together` sends them one by one.
            one = answer.WhichOneof("result") == "outcome"
            outcomes = [answer.outcome] if one else answer.outcomes.outcomes
            found += from_messages(Outcome, outcomes)
        return found

    async def capabilities(
        self, timeout_s: float | None = None
    ) -> executor_pb2.GetCapabilitiesResponse:
        """Which isolation really holds there; waits as long as an item does where no other time is
        given.
        """
        request = executor_pb2.GetCapabilitiesRequest()
        answer: executor_pb2.GetCapabilitiesResponse = await call_once(
            self._stub.GetCapabilities, request, timeout_s or self._patience_s
        )
        return answer


class PairBuilderClient:
    """PairBuilderService."""

    def __init__(self, channel: grpc.aio.Channel, settings: StreamSettings = PATIENT) -> None:
        self._stub: Any = pair_builder_pb2_grpc.PairBuilderServiceStub(channel)
        self._patience_s = settings.give_up_s
        self._request_id = uuid4().hex
        self._builds = itertools.count()
        self.stream: ItemStream[
            pair_builder_pb2.BuildStreamRequest, pair_builder_pb2.BuildStreamResponse
        ] = ItemStream(self._stub.BuildStream, lambda r: r.item_id, settings)

    async def build(
        self, recipe: str, config: Mapping[str, Any], seed: int, group: Group
    ) -> Sequence[Row]:
        """The rows of a group by a recipe's rule; raises UnknownName when the server has no
        such.
        """
        selection = pair_builder_pb2.Selection(
            recipe=recipe, config_json=json.dumps(config, sort_keys=True), seed=seed
        )
        request = pair_builder_pb2.BuildStreamRequest(
            request_id=self._request_id,
            item_id=f"{group.task.task_id}/{next(self._builds)}",
            selection=selection,
            group=to_message(group),
        )
        answers = await ask(self.stream, request)
        return rows_from_message(answers[0].rows)

    async def recipes(self, timeout_s: float | None = None) -> list[str]:
        """The names that the server knows; waits as long as an item does where no other time is
        given.
        """
        request, timeout_s = pair_builder_pb2.ListRecipesRequest(), timeout_s or self._patience_s
        return list((await call_once(self._stub.ListRecipes, request, timeout_s)).recipes)


@dataclass(frozen=True)
class Services:
    """Clients of all services; `async with connect(endpoints) as services`."""

    generator: GeneratorClient
    executor: ExecutorClient
    scorer: ScorerClient
    pair_builder: PairBuilderClient

    @property
    def retries(self) -> int:
        """Items that were sent more than once, over all streams."""
        return sum(stream.retries for stream in self._streams())

    async def pause(self, attempt: int) -> None:
        """The wait before what failed is asked for once more: twice as long for each attempt, from
        0, up to five seconds.
        """
        await asyncio.sleep(min(_FIRST_PAUSE_S * 2**attempt, _MAX_PAUSE_S))

    def _streams(self) -> list[ItemStream[Any, Any] | Lanes[Any, Any]]:
        clients = (self.generator, self.executor, self.scorer, self.pair_builder)
        return [client.stream for client in clients]

    async def close(self) -> None:
        """Ends every stream; items under way are cancelled."""
        await asyncio.gather(*(stream.close() for stream in self._streams()))


class connect:
    """Opens a channel to every endpoint, and closes streams and channels at the end."""

    def __init__(self, endpoints: Endpoints, settings: StreamSettings = PATIENT) -> None:
        self._endpoints, self._settings = endpoints, settings

    async def __aenter__(self) -> Services:
        tls = self._endpoints.tls
        targets = self._endpoints.model_dump(exclude={"tls"})
        admins = {name: Replicas(targets.pop(f"{name}_admin"), tls) for name in _WITH_WEIGHTS}
        c = self._channels = {name: open_channel(target, tls) for name, target in targets.items()}
        self._services = Services(
            GeneratorClient(c["generator"], admins["generator"], self._settings),
            ExecutorClient(c["executor"], self._settings),
            ScorerClient(c["scorer"], admins["scorer"], self._settings),
            PairBuilderClient(c["pair_builder"], self._settings),
        )
        return self._services

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._services.close()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))
