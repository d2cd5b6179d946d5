"""What stands before every method: a deadline is insisted on, items are measured, errors become
statuses, and draining lets calls end.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

import grpc

from roundsmith.errors import DeadlineMissing, Unavailable
from roundsmith.serve.callers import caller_of, refuse_others
from roundsmith.serve.failures import abort
from roundsmith.serve.items import item_id_of
from roundsmith.serve.metrics import CANCELLED, DEADLINE_EXCEEDED, CallMeter, Meter
from roundsmith.wire.status import OPENED

log = logging.getLogger(__name__)

_NEAR, _NEAR_S = 0.01, 0.05
"""A caller rounds the deadline up by as much as a hundredth when it tells it, and gives up by its
own clock, before the time is over that it told: so near to its end, of the whole and in seconds for
the way here, it is the deadline that ended a call.
"""
_OPEN = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")


class Guard(grpc.aio.ServerInterceptor):
    """Guards all calls of a process but health and reflection."""

    def __init__(
        self,
        max_deadline_s: float,
        meter: Meter,
        owners: Mapping[str, Collection[str]],
        plain: Collection[str] = (),
    ) -> None:
        """`owners` are the subjects that alone may call a service, by its full name; the streams
        of `plain` services carry no items, so that each counts as one.
        """
        self._max_deadline_s, self._meter, self._owners = max_deadline_s, meter, owners
        self._plain = plain
        self._draining, self._idle = asyncio.Event(), asyncio.Event()
        self._calls = 0
        self._idle.set()

    @property
    def draining(self) -> bool:
        """Whether calls are refused."""
        return self._draining.is_set()

    async def drain(self, drain_s: float) -> None:
        """Refuses new calls, ends streams after the items they have sent, and waits at most
        `drain_s` for the calls in flight.
        """
        self._draining.set()
        try:
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        except TimeoutError:
            return  # what still runs is cancelled when the server stops

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Wraps the method that a call asks for."""
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN):
            return handler
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(details.method, handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        assert handler.unary_unary is not None, f"{details.method}: streams in one way only"
        return grpc.unary_unary_rpc_method_handler(
            self._unary(details.method, handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(self, path: str, method: Any) -> Any:
        async def guarded(request: Any, context: Any) -> Any:
            try:
                with (
                    self._admit(path, context),
                    self._meter.call(path, _given_up(context)) as call,
                ):
                    call.begin("")
                    response = await method(request, context)
                    call.answer("")
                    call.end("")
                    return response
            except Exception as error:
                await abort(context, error)

        return guarded

    def _streaming(self, path: str, method: Any) -> Any:
        async def guarded(requests: Any, context: Any) -> None:
            draining = asyncio.ensure_future(self._draining.wait())
            try:
                with (
                    self._admit(path, context),
                    _logged(path, caller_of(context)) as ended,
                    self._meter.call(path, _given_up(context)) as call,
                ):
                    ended.append(call)
                    await context.send_initial_metadata((OPENED,))
                    plain = path.split("/")[1] in self._plain
                    if plain:
                        call.begin("")
                    taken = _until(requests, draining, None if plain else call)
                    async with aclosing(method(taken, context)) as responses:
                        async for response in responses:
                            if not plain:  # counted first: whoever has an answer sees it counted
                                call.answer(response.item_id)
                                if response.last:
                                    call.end(response.item_id, response.error.code)
                            await context.write(response)
                    if plain:
                        call.end("")
            except Exception as error:
                await abort(context, error)
            finally:
                draining.cancel()

        return guarded

    @contextmanager
    def _admit(self, path: str, context: Any) -> Iterator[None]:
        """Counts the call; raises Unavailable when draining, NotAllowed for a caller that is no
        owner and DeadlineMissing without a deadline.
        """
        if self.draining:
            raise Unavailable("draining: call again, another server answers")
        if (owners := self._owners.get(path.split("/")[1])) is not None:
            refuse_others(context, owners)
        remaining = context.time_remaining()
        if remaining is None or remaining > self._max_deadline_s:
            seen = "none" if remaining is None else f"{remaining:.0f} s"
            raise DeadlineMissing(
                f"deadline: expected one of at most {self._max_deadline_s:.0f} s, saw {seen}: "
                "set a timeout on the call"
            )
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()


def _given_up(context: Any) -> Callable[[], int]:
    """The code of what a call that has begun leaves unanswered, to be asked for at its end."""
    given_s: float = context.time_remaining()

    def code() -> int:
        left_s: float = context.time_remaining()
        return DEADLINE_EXCEEDED if left_s <= _NEAR_S + _NEAR * given_s else CANCELLED

    return code


@contextmanager
def _logged(path: str, caller: str) -> Iterator[list[CallMeter]]:
    """Logs what was in a stream when it has ended, however that was."""
    ended: list[CallMeter] = []
    begun = time.monotonic()
    try:
        yield ended
    finally:
        for call in ended:
            log.info(
                "%s of %s ended after %.1f s: %d items, %d of them failed",
                path.strip("/"),
                caller,
                time.monotonic() - begun,
                call.num_items,
                call.num_failed,
            )


async def _until(
    requests: Any, draining: "asyncio.Future[Any]", items: CallMeter | None
) -> AsyncIterator[Any]:
    """The requests of a stream until it ends or draining begins; each but a cancellation is an item
    that begins.
    """
    reading: asyncio.Timeout | None = None

    def stop(_: object) -> None:
        if reading is not None:
            reading.reschedule(0.0)

    draining.add_done_callback(stop)
    try:
        while not draining.done():
            async with asyncio.timeout(None) as reading:
                request = await anext(requests, None)
            reading = None
            if request is None:
                return
            if items is not None and not request.cancel_item_id:
                items.begin(item_id_of(request))
            yield request
    except TimeoutError:
        if reading is None or not reading.expired():
            raise
    finally:
        reading = None
        draining.remove_done_callback(stop)
