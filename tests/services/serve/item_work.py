"""Work on items that a test holds in its hands, and streams without a channel."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from google.rpc import status_pb2

from roundsmith.errors import ConfigError

KEY = ("caller", "request", "item", "content")
NUMBER_BYTES = 8


class Number(int):
    """A result of a size, a byte of which says what it is."""

    def SerializeToString(self) -> bytes:
        return self.to_bytes(NUMBER_BYTES - 1)

    @classmethod
    def FromString(cls, content: bytes) -> "Number":
        return cls(int.from_bytes(content))


class Work:
    """Yields numbers as they are put, until None; counts how often it was begun and cancelled."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int | None] = asyncio.Queue()
        self.begun = self.cancelled = 0

    async def __call__(self) -> AsyncIterator[Number]:
        self.begun += 1
        try:
            while (number := await self.queue.get()) is not None:
                yield Number(number)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def collect(follower: AsyncIterator[Any]) -> list[Any]:
    """All that an iterator yields."""
    return [result async for result in follower]


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine, in a loop in which no callback fails."""

    async def watched(failures: list[Any], *args: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, failure: failures.append(failure))
        await test(*args)

    def run(*args: Any) -> None:
        failures: list[Any] = []
        asyncio.run(watched(failures, *args))
        assert failures == []

    run.__name__ = test.__name__
    return run


Answer = tuple[str, int | str, bool]


def response(name: str, result: int | status_pb2.Status, last: bool) -> Answer:
    """An answer that shows the code of an error."""
    seen = f"error {result.code}" if isinstance(result, status_pb2.Status) else result
    return (name, seen, last)


async def feed(*names: str) -> AsyncIterator[str]:
    """Requests that are their own ids."""
    for name in names:
        yield name


def given_up(request: str) -> str:
    """The item that `-NAME` gives up."""
    return request[1:] if request.startswith("-") else ""


async def count(name: str) -> AsyncIterator[int]:
    """As many results as the item's name says."""
    if name == "bad":
        raise ConfigError("bad")
    if name == "bug":
        raise ZeroDivisionError
    for number in range(int(name)):
        await asyncio.sleep(0)
        yield number
