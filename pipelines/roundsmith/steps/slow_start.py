"""A word about what takes long to begin: services that load a model, a training that loads
libraries.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

SLOW_S = 3.0
"""How long a beginning may take before a word is said of it."""


class SlowStart:
    """Around what begins: tells that it does, unless `begun` is called within SLOW_S, and then that
    it has.
    """

    def __init__(self, progress: Callable[[str, int, int, str], None], name: str) -> None:
        self._progress, self._name = progress, name
        self._told = self._over = False

    async def __aenter__(self) -> Self:
        self._teller = asyncio.create_task(self._tell())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._teller.cancel()
        if kind is None:
            self.begun()

    def begun(self) -> None:
        """It goes on from here by itself."""
        self._teller.cancel()
        if self._told and not self._over:
            self._progress(self._name, 1, 1, "")
        self._over = True

    async def _tell(self) -> None:
        await asyncio.sleep(SLOW_S)
        self._told = True
        self._progress(self._name, 0, 1, "loads what it needs")
