"""Prometheus metrics of one process: items started, finished, failed and in flight, and how long
they took, by service and method.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from roundsmith.errors import RoundsmithError

_CODES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}
CANCELLED: int = grpc.StatusCode.CANCELLED.value[0]
DEADLINE_EXCEEDED: int = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
_LABELS = ("service", "method")
_SECONDS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0)


class Meter:
    """The metrics, and those of the engine. An item is a message of a stream, or a call of its
    own.
    """

    def __init__(self, collectors: Iterable[Collector] = ()) -> None:
        self.registry = CollectorRegistry()
        for collector in collectors:
            self.registry.register(collector)
        self.started = Counter(
            "roundsmith_items_started", "Items begun.", _LABELS, registry=self.registry
        )
        self.finished = Counter(
            "roundsmith_items_finished", "Items answered.", _LABELS, registry=self.registry
        )
        self.failed = Counter(
            "roundsmith_items_failed",
            "Items answered by an error, given up by the caller (CANCELLED), or not answered in "
            "time (DEADLINE_EXCEEDED), by status code.",
            (*_LABELS, "code"),
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

        self.first_seconds = Histogram(
            "roundsmith_item_first_answer_seconds",
            "From an item's arrival to its first answer: of a generator that streams tokens, the "
            "time to the first token.",
            _LABELS,
            buckets=_SECONDS,
            registry=self.registry,
        )

    @contextmanager
    def call(self, path: str, given_up: Callable[[], int]) -> Iterator["CallMeter"]:
        """Watches one call of `/service/method`; what it leaves unanswered has failed, by the code
        that `given_up` tells when the call is over.
        """
        call = CallMeter(self, path)
        try:
            yield call
        except Exception as error:
            call.close(code_of(error))
            raise
        finally:
            call.close(given_up())

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class CallMeter:
    """Follows the items of one call from their arrival to their last answer."""

    def __init__(self, meter: Meter, path: str) -> None:
        labels = path.strip("/").split("/")
        self._started = meter.started.labels(*labels)
        self._finished = meter.finished.labels(*labels)
        self._failed, self._labels = meter.failed, labels
        self._in_flight = meter.in_flight.labels(*labels)
        self._seconds = meter.seconds.labels(*labels)
        self._first_seconds = meter.first_seconds.labels(*labels)
        self._begun: dict[str, list[float]] = {}
        """When; several times of an id that is sent again before its last answer is known."""
        self._unanswered: set[str] = set()
        self.num_items = self.num_failed = 0

    def begin(self, item_id: str) -> None:
        """An item has arrived."""
        self._begun.setdefault(item_id, []).append(time.monotonic())
        self._unanswered.add(item_id)
        self.num_items += 1
        self._started.inc()
        self._in_flight.inc()

    def answer(self, item_id: str) -> None:
        """An item has an answer, not necessarily its last."""
        if item_id in self._unanswered:
            self._unanswered.remove(item_id)
            self._first_seconds.observe(time.monotonic() - self._begun[item_id][0])

    def end(self, item_id: str, code: int = 0) -> None:
        """An item has been answered, by a status of this code unless it is 0, OK."""
        if begun := self._begun.get(item_id):
            self._in_flight.dec()
            self._seconds.observe(time.monotonic() - begun.pop(0))
            if not begun:
                del self._begun[item_id]
                self._unanswered.discard(item_id)
            if code:
                self.num_failed += 1
                self._failed.labels(*self._labels, code_name(code)).inc()
            else:
                self._finished.inc()

    def close(self, code: int) -> None:
        """The call is over; what it leaves unanswered has failed by this code."""
        for item_id in list(self._begun):
            while item_id in self._begun:
                self.end(item_id, code)


def code_name(code: int) -> str:
    """Of a status code, such as `INVALID_ARGUMENT`; one that gRPC does not know is UNKNOWN."""
    return _CODES.get(code, "UNKNOWN")


def code_of(error: Exception) -> int:
    """The status code that a failure is answered by."""
    status = error.status if isinstance(error, RoundsmithError) else RoundsmithError.status
    return next(code for code, name in _CODES.items() if name == status)
