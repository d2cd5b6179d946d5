"""Work that goes on to its end though whoever asked for it gives up."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Unstopped:
    """What was begun and must not be left half done."""

    def __init__(self, failed: str = "") -> None:
        """A failure is logged after these words, because the caller may be gone; without them it is
        only raised.
        """
        self._failed = failed
        self._begun: set[asyncio.Task[Any]] = set()

    async def to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns or raises. Cancelling this leaves the work alone."""
        task = asyncio.ensure_future(work)
        self._begun.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._begun.discard(task)
        if not task.cancelled() and (error := task.exception()) and self._failed:
            logger.warning("%s: %s", self._failed, error)
