"""What work took, as one value that can be added up, scaled and priced."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from pydantic import Field

from roundsmith.config import Settings
from roundsmith.store import Manifest

MILLION, HOUR_S, GB = 1e6, 3600.0, 1e9
COUNTED = ("prompt_tokens", "sampled_tokens", "scored_tokens", "trained_tokens", "executions")
"""What the stats of a step count."""
ADDED = ("seconds", "gpu_s", *COUNTED, "bytes")


class PriceConfig(Settings):
    """What things cost, in your currency; 0 is not counted."""

    hour: float = Field(0.0, ge=0)
    """An hour of everything that a round runs on, by the clock."""
    gpu_hour: float = Field(0.0, ge=0)
    """An hour of one GPU."""
    cpu_hour: float = Field(0.0, ge=0)
    """An hour of one core at work."""
    million_prompt_tokens: float = Field(0.0, ge=0)
    million_sampled_tokens: float = Field(0.0, ge=0)
    million_scored_tokens: float = Field(0.0, ge=0)
    million_trained_tokens: float = Field(0.0, ge=0)
    million_executions: float = Field(0.0, ge=0)
    """Of runs of one program on one test."""
    stored_gb: float = Field(0.0, ge=0)
    """10^9 bytes that a round adds to the store."""

    @property
    def known(self) -> bool:
        """Whether anything has a price."""
        return any(self.model_dump().values())


@dataclass(frozen=True, slots=True)
class Spent:
    """Wall, CPU and GPU seconds, tokens, executions and bytes. CPU seconds are None where the
    platform does not see them.
    """

    seconds: float = 0.0
    cpu_s: float | None = 0.0
    gpu_s: float = 0.0
    prompt_tokens: float = 0
    sampled_tokens: float = 0
    scored_tokens: float = 0
    trained_tokens: float = 0
    executions: float = 0
    bytes: float = 0

    def __add__(self, other: "Spent") -> "Spent":
        cpu_s = None if self.cpu_s is None or other.cpu_s is None else self.cpu_s + other.cpu_s
        summed = {name: getattr(self, name) + getattr(other, name) for name in ADDED}
        return Spent(cpu_s=cpu_s, **summed)

    def times(self, factor: float) -> "Spent":
        """The same work so often."""
        cpu_s = None if self.cpu_s is None else self.cpu_s * factor
        return Spent(cpu_s=cpu_s, **{name: getattr(self, name) * factor for name in ADDED})

    def price(self, prices: PriceConfig) -> float | None:
        """What that costs; None where nothing has a price. CPU seconds that are not seen are free,
        which a caller who prices them must tell.
        """
        if not prices.known:
            return None
        hours = (
            (self.seconds, prices.hour),
            (self.gpu_s, prices.gpu_hour),
            (self.cpu_s or 0.0, prices.cpu_hour),
        )
        millions = (
            (self.prompt_tokens, prices.million_prompt_tokens),
            (self.sampled_tokens, prices.million_sampled_tokens),
            (self.scored_tokens, prices.million_scored_tokens),
            (self.trained_tokens, prices.million_trained_tokens),
            (self.executions, prices.million_executions),
        )
        return (
            sum(amount / HOUR_S * price for amount, price in hours)
            + sum(amount / MILLION * price for amount, price in millions)
            + self.bytes / GB * prices.stored_gb
        )


def spent_on(manifest: Manifest) -> Spent:
    """What a finished step took: counts from its stats, seconds from its cost."""
    stats, cost = manifest.stats, manifest.cost
    counted = {name: int(stats.get(name, 0)) for name in COUNTED}
    cpu_s = cost.get("cpu_s")
    return Spent(
        seconds=float(cost.get("seconds", 0.0)),
        cpu_s=None if cpu_s is None else float(cpu_s),
        gpu_s=float(cost.get("gpu_s", 0.0)),
        bytes=int(cost.get("bytes", sum(ref.bytes for ref in manifest.objects))),
        **counted,
    )


def total(parts: Iterable[Spent]) -> Spent:
    """All together."""
    return reduce(Spent.__add__, parts, Spent())
