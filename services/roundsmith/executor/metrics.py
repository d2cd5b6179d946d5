"""What Prometheus is told of a pool. No label has more values than there are verdicts, tiers or
promises: who calls is none.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from roundsmith.executor.tally import Durations, Tally

_PREFIX = "roundsmith_executor_"


class Metered(Protocol):
    """What is read of a pool."""

    @property
    def tally(self) -> Tally: ...

    @property
    def quarantined(self) -> Mapping[str, int]: ...

    def items(self) -> Mapping[str, int]: ...

    def slots(self) -> Mapping[str, int]: ...

    def num_kept_bytes(self) -> int: ...


class PoolMetrics(Collector):
    """The metrics of one pool, as they are when they are asked for."""

    def __init__(self, pool: Metered) -> None:
        self._pool = pool

    def collect(self) -> Iterable[Metric]:
        pool, tally = self._pool, self._pool.tally
        yield from _states("items", "Items under way: `running` has a slot.", pool.items())
        yield from _states("slots", "Slots: `busy`, `idle`, or `broken` for a while.", pool.slots())
        yield _gauge("open_cells", "Cells of items under way without an outcome.", tally.num_open)
        yield _gauge("kept_bytes", "What is kept of cells that were run.", pool.num_kept_bytes())
        outcomes = CounterMetricFamily(
            f"{_PREFIX}outcomes", "Outcomes handed out.", labels=("verdict", "tier")
        )
        for labels, count in sorted(tally.outcomes.items()):
            outcomes.add_metric(labels, count)
        yield outcomes
        yield _counter("runs", "Children started for programs.", "kind", tally.runs)
        yield _counter("retries", "Cells or runs begun again.", "reason", tally.retries)
        yield _counter("quarantined", "Supervisors ended by a canary.", "promise", pool.quarantined)
        known = CounterMetricFamily(f"{_PREFIX}known_cells", "Cells answered without a run.")
        known.add_metric((), tally.num_known)
        yield known
        cpu = CounterMetricFamily(f"{_PREFIX}cpu_seconds", "CPU time of outcomes that were run.")
        cpu.add_metric((), tally.cpu_s)
        yield cpu
        yield _histogram("wait_seconds", "How long a turn was waited for.", tally.waits)
        yield _histogram("run_seconds", "How long a run held its slot.", tally.durations)


def _states(name: str, help_text: str, counts: Mapping[str, int]) -> Iterator[Metric]:
    family = GaugeMetricFamily(f"{_PREFIX}{name}", help_text, labels=("state",))
    for state, count in counts.items():
        family.add_metric((state,), count)
    yield family


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}{name}", help_text, value=value)


def _counter(name: str, help_text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"{_PREFIX}{name}", help_text, labels=(label,))
    for value, count in sorted(counts.items()):
        family.add_metric((value,), count)
    return family


def _histogram(name: str, help_text: str, durations: Durations) -> Metric:
    family = HistogramMetricFamily(f"{_PREFIX}{name}", help_text)
    family.add_metric((), durations.buckets(), durations.sum_s)
    return family
