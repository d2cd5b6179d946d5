"""Many items through a client: as many at once as the caller says, with progress."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from roundsmith.errors import RoundsmithError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the items are: `failed` of those `answered` were answered with an error."""

    asked: int
    answered: int
    failed: int


async def answers(
    ask: Callable[[Item], Awaitable[Answer]],
    items: Iterable[Item],
    in_flight: int = 256,
    progress: Callable[[Progress], None] | None = None,
) -> AsyncGenerator[tuple[Item, Answer | RoundsmithError]]:
    """Each item with its answer, or with the error that it was answered with, in any order.

    `ask` is a client's method, such as `generator.generate`. An item is taken from `items` when
    fewer than `in_flight` are under way or wait to be taken here, so that a caller who is slow
    slows the services down, and `items` may be endless. Closing the iterator cancels what is under
    way.
    """
    left = iter(items)
    under_way: dict[asyncio.Task[Answer], Item] = {}
    asked = answered = failed = 0
    try:
        while True:
            for following in islice(left, in_flight - len(under_way)):
                under_way[asyncio.ensure_future(ask(following))] = following
                asked += 1
            if not under_way:
                return
            done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is not None and not isinstance(error, RoundsmithError):
                    raise error
                answered, failed = answered + 1, failed + (error is not None)
                if progress is not None:
                    progress(Progress(asked, answered, failed))
                yield under_way[task], task.result() if error is None else error
                del under_way[task]
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
