"""How long a client waits for a server that does not answer, and how it waits."""

import asyncio
import time
from dataclasses import dataclass

LOAD_S = 600.0
"""How long weights may take to be fetched and loaded, where nobody is more patient."""


@dataclass(frozen=True)
class StreamSettings:
    """How long one stream lives, and how patient the client is, in seconds."""

    deadline_s: float = 1800.0
    give_up_s: float = 60.0
    """When the server can not be reached for this long, all items fail."""
    max_sends: int = 20
    """An item fails when the connection broke this often before it was answered."""
    first_backoff_s: float = 0.1
    max_backoff_s: float = 5.0
    max_message_bytes: int = 64 * 2**20
    max_in_flight: int = 1024
    """Items that one stream sends before they are answered; more wait here."""

    @property
    def load_s(self) -> float:
        """How long every replica may take to serve other weights, one included that is away."""
        return max(LOAD_S, self.give_up_s)


PATIENT = StreamSettings()
ROUNDS = StreamSettings(give_up_s=900.0)
"""A round waits longer: what serves in place of what ended may need another node, and has a model
to load. Who watches the services ends the round before, when they do not come back.
"""


class Outage:
    """Since when the server can not be reached, and how long to wait before the next attempt."""

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._since: float | None = None
        self._backoff_s = settings.first_backoff_s

    def remaining_s(self) -> float:
        """How long until the client gives up."""
        since = self._since = self._since or time.monotonic()
        return since + self._settings.give_up_s - time.monotonic()

    def reached(self) -> None:
        """The server took the call."""
        self._since = None

    def answered(self) -> None:
        """The server works."""
        self._backoff_s = self._settings.first_backoff_s

    async def wait(self) -> None:
        """Waits twice as long each time, never beyond the moment to give up."""
        await asyncio.sleep(min(self._backoff_s, max(0.0, self.remaining_s())))
        self._backoff_s = min(2 * self._backoff_s, self._settings.max_backoff_s)
