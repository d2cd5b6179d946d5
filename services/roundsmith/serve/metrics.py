"""Prometheus metrics of one process: items started, finished, failed and in flight, and how long
they took, by service and method.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LABELS = ("service", "method")
_SECONDS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0)


class Meter:
    """The metrics. An item is a message of a stream, or a call of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.started = Counter(
            "roundsmith_items_started", "Items begun.", _LABELS, registry=self.registry
        )
        self.finished = Counter(
            "roundsmith_items_finished", "Items answered.", _LABELS, registry=self.registry
        )
        self.failed = Counter(
            "roundsmith_items_failed",
            "Items answered by an error, or given up by the caller.",
            _LABELS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "roundsmith_items_in_flight", "Items under way.", _LABELS, registry=self.registry
        )
        self.seconds = Histogram(
            "roundsmith_item_seconds",
            "From an item's arrival to its last answer.",
            _LABELS,
            buckets=_SECONDS,
            registry=self.registry,
        )

    @contextmanager
    def call(self, path: str) -> Iterator["CallMeter"]:
        """Watches one call of `/service/method`; what it leaves unanswered has failed."""
        call = CallMeter(self, path)
        try:
            yield call
        finally:
            call.close()

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class CallMeter:
    """Follows the items of one call from their arrival to their last answer."""

    def __init__(self, meter: Meter, path: str) -> None:
        labels = path.strip("/").split("/")
        self._started = meter.started.labels(*labels)
        self._finished = meter.finished.labels(*labels)
        self._failed = meter.failed.labels(*labels)
        self._in_flight = meter.in_flight.labels(*labels)
        self._seconds = meter.seconds.labels(*labels)
        self._begun: dict[str, float] = {}

    def begin(self, item_id: str) -> None:
        """An item has arrived."""
        if item_id not in self._begun:
            self._begun[item_id] = time.monotonic()
            self._started.inc()
            self._in_flight.inc()

    def end(self, item_id: str, failed: bool) -> None:
        """An item has been answered."""
        if (begun := self._begun.pop(item_id, None)) is not None:
            self._in_flight.dec()
            self._seconds.observe(time.monotonic() - begun)
            (self._failed if failed else self._finished).inc()

    def close(self) -> None:
        """The call is over."""
        for item_id in list(self._begun):
            self.end(item_id, failed=True)
