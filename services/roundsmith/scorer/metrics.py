"""What Prometheus is told of the scorer: how full its passes are, what waits, what is shared."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from roundsmith.scorer.packing import Pass

_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 1.0)
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)


class ScorerMetrics:
    """The metrics of one scorer; may be called from any thread."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        """`waiting` tells how many items are in no pass yet."""
        self._texts = Counter(
            "roundsmith_scorer_tokens",
            "Tokens of texts that went through the model.",
            registry=None,
        )
        self._padding = Counter(
            "roundsmith_scorer_padding_tokens",
            "Places of passes that held no text.",
            registry=None,
        )
        self._reused = Counter(
            "roundsmith_scorer_reused_tokens",
            "Tokens of prompts that were not computed again for another completion.",
            registry=None,
        )
        self._occupancy = Histogram(
            "roundsmith_scorer_batch_occupancy",
            "Share of a pass that held text.",
            buckets=_SHARES,
            registry=None,
        )
        self._pass_seconds = Histogram(
            "roundsmith_scorer_pass_seconds",
            "How long one forward pass took, what is read from it included.",
            buckets=_SECONDS,
            registry=None,
        )
        self._queue_seconds = Histogram(
            "roundsmith_scorer_queue_seconds",
            "From an item's arrival to the first pass that has a part of it.",
            buckets=_SECONDS,
            registry=None,
        )
        self._waiting = Gauge(
            "roundsmith_scorer_items_waiting", "Items that are in no pass yet.", registry=None
        )
        self._waiting.set_function(waiting)

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What a registry is given."""
        return (
            self._texts,
            self._padding,
            self._reused,
            self._occupancy,
            self._pass_seconds,
            self._queue_seconds,
            self._waiting,
        )

    def passed(self, done: Pass, seconds: float, reused: int) -> None:
        """A pass was computed; `reused` prompt tokens were not, since the one before."""
        self._texts.inc(done.num_texts)
        self._padding.inc(done.tokens - done.num_texts)
        self._reused.inc(reused)
        self._occupancy.observe(done.num_texts / done.tokens)
        self._pass_seconds.observe(seconds)

    def waited(self, seconds: float) -> None:
        """An item waited so long."""
        self._queue_seconds.observe(seconds)
