"""What Prometheus is told of a generator, whichever engine it has: tokens, slots, what waits, how
long completions and their first tokens take.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from roundsmith.generator.model_info import ModelInfo
from roundsmith.types import Completion, CompletionDelta

_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)


class HasSlots(Protocol):
    """An engine, as far as its slots go."""

    @property
    def running(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def describe(self) -> ModelInfo: ...


class GeneratorMetrics:
    """The metrics of one generator."""

    def __init__(self, engine: HasSlots) -> None:
        slots = engine.describe().slots
        self._prompt = Counter(
            "roundsmith_generator_prompt_tokens",
            "Tokens of prompts, once for each item.",
            registry=None,
        )
        self._drawn = Counter(
            "roundsmith_generator_tokens", "Tokens of completions that were drawn.", registry=None
        )
        self._completions = Counter(
            "roundsmith_generator_completions",
            "Completions that ended, by finish reason.",
            ("finish_reason",),
            registry=None,
        )
        self._busy = Counter(
            "roundsmith_generator_busy_seconds",
            "Time in which items were under way, told when one begins, is told something or ends.",
            registry=None,
        )
        self._under_way, self._seen = 0, 0.0
        self._first_seconds = Histogram(
            "roundsmith_generator_first_token_seconds",
            "From an item's begin to its first token, of items that ask for deltas.",
            buckets=_SECONDS,
            registry=None,
        )
        self._completion_seconds = Histogram(
            "roundsmith_generator_completion_seconds",
            "From an item's begin to the end of each of its completions.",
            buckets=_SECONDS,
            registry=None,
        )
        self._gauges = [
            _gauge("slots", "Completions that the engine draws at once.", lambda: slots),
            _gauge("slots_busy", "Completions in slots.", lambda: engine.running),
            _gauge("completions_waiting", "Completions without a slot.", lambda: engine.waiting),
            _gauge(
                "batch_occupancy",
                "Share of the slots that is busy.",
                lambda: engine.running / slots,
            ),
        ]

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What a registry is given."""
        return (
            self._prompt,
            self._drawn,
            self._completions,
            self._busy,
            self._first_seconds,
            self._completion_seconds,
            *self._gauges,
        )

    async def watch(
        self, found: AsyncIterator[Completion | CompletionDelta]
    ) -> AsyncGenerator[Completion | CompletionDelta]:
        """The same of one item, counted."""
        begun = self._told(+1)
        try:
            async for one in self._counted(found, begun):
                self._told()
                yield one
        finally:
            self._told(-1)

    def _told(self, more: int = 0) -> float:
        """Adds the time since the last call, if there was an item under way; the time now."""
        now = time.monotonic()
        if self._under_way:
            self._busy.inc(now - self._seen)
        self._seen, self._under_way = now, self._under_way + more
        return now

    async def _counted(
        self, found: AsyncIterator[Completion | CompletionDelta], begun: float
    ) -> AsyncIterator[Completion | CompletionDelta]:
        first, counted = True, False
        async for one in found:
            seconds = time.monotonic() - begun
            if isinstance(one, CompletionDelta):
                if first and one.token_ids:
                    self._first_seconds.observe(seconds)
                    first = False
            else:
                self._prompt.inc(0 if counted else one.prompt_tokens)
                counted = True
                self._drawn.inc(len(one.token_ids))
                self._completions.labels(one.finish_reason).inc()
                self._completion_seconds.observe(seconds)
            yield one


def _gauge(name: str, help_text: str, value: Callable[[], float]) -> Gauge:
    gauge = Gauge(f"roundsmith_generator_{name}", help_text, registry=None)
    gauge.set_function(value)
    return gauge
