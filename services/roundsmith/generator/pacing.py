"""Deltas in fewer messages: each costs the servicer as much as dozens of tokens are worth."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from roundsmith.types import Completion, CompletionDelta

INTERVAL_S = 0.05
"""A completion's first tokens are told at once, later ones as often as this."""


async def paced(
    told: AsyncGenerator[Completion | CompletionDelta],
) -> AsyncGenerator[Completion | CompletionDelta]:
    """The same, with deltas of one completion joined that come within INTERVAL_S of the last one
    that was told. What a completion's end overtakes is not told: the completion has it.
    """
    held: dict[int, list[CompletionDelta]] = {}
    told_at: dict[int, float] = {}
    async with aclosing(told):
        async for one in told:
            if isinstance(one, Completion):
                held.pop(one.index, None)
                yield one
                continue
            now, parts = time.monotonic(), held.setdefault(one.index, [])
            parts.append(one)
            if now - told_at.get(one.index, 0.0) >= INTERVAL_S:
                told_at[one.index] = now
                yield _joined(parts)
                parts.clear()


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
