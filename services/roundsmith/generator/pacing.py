"""Deltas in fewer messages: each costs the servicer as much as dozens of tokens are worth."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from roundsmith.types import Completion, CompletionDelta

INTERVAL_S = 0.05
"""A completion's first tokens are told at once, later ones as often as this."""
Told = Completion | CompletionDelta


async def paced(told: AsyncGenerator[Told]) -> AsyncGenerator[Told]:
    """The same, with deltas of one completion joined that come within INTERVAL_S of the last one
    that was told. They are told when that is over, however long the next token takes. What a
    completion's end overtakes is not told: the completion has it.
    """
    ready: asyncio.Queue[Told | None] = asyncio.Queue()
    reading = asyncio.create_task(_read(told, ready))
    try:
        while (one := await ready.get()) is not None:
            yield one
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(told: AsyncGenerator[Told], ready: "asyncio.Queue[Told | None]") -> None:
    """Moves what is told to `ready`, and None at the end, however that comes."""
    held = _Held(ready.put_nowait)
    try:
        async with aclosing(told):
            async for one in told:
                if isinstance(one, Completion):
                    held.drop(one.index)
                    ready.put_nowait(one)
                else:
                    held.add(one)
    finally:
        held.close()
        ready.put_nowait(None)


class _Held:
    """Deltas that are not told yet, by completion, and a timer for each that was told of lately."""

    def __init__(self, tell: Callable[[CompletionDelta], None]) -> None:
        self._tell, self._loop = tell, asyncio.get_running_loop()
        self._parts_by_index: dict[int, list[CompletionDelta]] = {}
        self._timer_by_index: dict[int, asyncio.TimerHandle] = {}

    def add(self, delta: CompletionDelta) -> None:
        """Tells it, or holds it until its time has come."""
        self._parts_by_index.setdefault(delta.index, []).append(delta)
        if delta.index not in self._timer_by_index:
            self._tell_held(delta.index)

    def drop(self, index: int) -> None:
        """What is held of a completion is told by others."""
        self._parts_by_index.pop(index, None)
        if (timer := self._timer_by_index.pop(index, None)) is not None:
            timer.cancel()

    def close(self) -> None:
        """Nothing is told any more."""
        for index in list(self._timer_by_index):
            self.drop(index)

    def _tell_held(self, index: int) -> None:
        if parts := self._parts_by_index.pop(index, None):
            self._tell(_joined(parts))
            timer = self._loop.call_later(INTERVAL_S, self._tell_held, index)
            self._timer_by_index[index] = timer
        else:
            del self._timer_by_index[index]


def _joined(parts: list[CompletionDelta]) -> CompletionDelta:
    if len(parts) == 1:
        return parts[0]
    return CompletionDelta(
        parts[0].index,
        parts[0].offset,
        tuple(i for part in parts for i in part.token_ids),
        tuple(p for part in parts for p in part.logprobs),
        "".join(part.text for part in parts),
    )
