"""What was spent since somebody last asked."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roundsmith.steps.context import Platform


class Share:
    """What each of several pieces adds to the cost of the whole: what was spent since the one
    before was done, so that the shares of many that are under way at once add up to what they took
    together.
    """

    def __init__(self, platform: "Platform") -> None:
        self._platform = platform
        self._seconds, self._cpu_s = time.monotonic(), platform.cpu_s
        self._retries = platform.retries

    def taken(self) -> dict[str, float]:
        """What was spent since the last call, or since the beginning."""
        seconds, cpu_s, retries = time.monotonic(), self._platform.cpu_s, self._platform.retries
        share: dict[str, float] = {"seconds": seconds - self._seconds}
        share["retries"] = retries - self._retries
        if cpu_s is not None and self._cpu_s is not None:
            share["cpu_s"] = cpu_s - self._cpu_s
        self._seconds, self._cpu_s, self._retries = seconds, cpu_s, retries
        return {name: round(value, 3) for name, value in share.items()}
