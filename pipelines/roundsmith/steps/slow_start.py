"""A word about what takes long to begin: services that load a model, a training that loads
libraries.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

SLOW_S = 3.0
"""How long a beginning may take before a word is said of it."""


@asynccontextmanager
async def slow_start(
    progress: Callable[[str, int, int, str], None], name: str
) -> AsyncIterator[Callable[[], None]]:
    """Around what begins: tells that it does when that takes longer than SLOW_S, and then that it
    has, when what it gives is called or at the end. What fails has not begun.
    """

    async def tell() -> None:
        await asyncio.sleep(SLOW_S)
        progress(name, 0, 1, "loads what it needs")

    teller: asyncio.Task[None] | None = asyncio.create_task(tell())

    def begun() -> None:
        nonlocal teller
        if teller is not None and not teller.cancel():  # it has told
            progress(name, 1, 1, "")
        teller = None

    try:
        yield begun
        begun()
    finally:
        if teller is not None:
            teller.cancel()
