"""Traces by OpenTelemetry, where it is installed (`roundsmith[otel]`); nothing where it is not.

A context crosses a process as W3C's `traceparent`, in the metadata of a call or in an item of a
stream. Who calls needs no setting: spans go to the provider that the program has.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, ContextVar, copy_context
from functools import cache
from importlib.util import find_spec
from threading import Timer
from types import ModuleType
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.hashing import content_hash
from roundsmith.installing import how_to_install

TRACEPARENT = "traceparent"
Attributes = Mapping[str, str | int | float]
_READINGS = 5
_LAST_SPANS_S = 5.0
"""How long the last spans may take when a program ends. A collector that is away would take all of
the 30 s that a pod has, of which calls under way have 10.
"""
_ENDPOINT = re.compile(r"https?://(?:[^\s/:@?#\[\]]+|\[[0-9a-fA-F:.]+\]):([1-9][0-9]{0,4})/?")
"""The chart's templates/tracing.yaml has the same."""
_FOLLOWED = ContextVar("followed", default="")
"""The span of another program that is followed where there is no present one."""
_TRACE = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)")


def traceparent() -> str:
    """The present span as W3C writes it, or that which is followed; empty where there is none."""
    if (trace := _api()) is None:
        return _FOLLOWED.get()
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return _FOLLOWED.get()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def shared(*names: str) -> str:
    """The `traceparent` that all processes find who know these names: what follows it is one trace,
    whose first span nobody sends.
    """
    digits = content_hash("trace", *names)
    return f"00-{digits[:32]}-{digits[32:48]}-01"


def followed(parent: str) -> Context:
    """A context in which calls follow a span of another program. This one sends none of its own,
    and need not have OpenTelemetry.
    """
    context = copy_context()
    context.run(_FOLLOWED.set, parent)
    return context


def trace_id(parent: str) -> str:
    """The 32 hex digits of a trace in its `traceparent`; empty where there are none."""
    found = _TRACE.match(parent)
    return found[1] if found else ""


def span(
    name: str, kind: str, attributes: Attributes | None = None, parent: str = ""
) -> AbstractContextManager[str]:
    """A span around the block, `kind` client, server or internal; yields its `traceparent`.

    It follows `parent` where that is one, else the present span, else that which is followed. What
    the block raises is recorded.
    """
    if (trace := _api()) is None:
        return nullcontext(parent or _FOLLOWED.get())
    if not trace.get_current_span().get_span_context().is_valid:
        parent = parent or _FOLLOWED.get()
    return _span(trace, name, kind, attributes, parent)


@contextmanager
def _span(
    trace: Any, name: str, kind: str, attributes: Attributes | None, parent: str
) -> Iterator[str]:
    with trace.get_tracer("roundsmith").start_as_current_span(
        name, _context(parent), trace.SpanKind[kind.upper()], dict(attributes or {})
    ):
        yield traceparent()


def told(name: str, begun: float, ended: float, attributes: Attributes | None = None) -> None:
    """A span below the present one that has ended already, in monotonic seconds; what another
    thread did.
    """
    if (trace := _api()) is None or not trace.get_current_span().is_recording():
        return
    since = begin_of_monotonic([_both_clocks() for _ in range(_READINGS)])
    made = trace.get_tracer("roundsmith").start_span(
        name, attributes=dict(attributes or {}), start_time=since + int(begun * 1e9)
    )
    made.end(since + int(ended * 1e9))


def refuse_unfit(endpoint: str | None) -> None:
    """Raises ConfigError for what is no endpoint of a collector, and where OpenTelemetry is not
    installed, which sends spans there.
    """
    if endpoint is None:
        return
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None or int(found[1]) >= 2**16:
        raise ConfigError(
            f"--otlp-endpoint {endpoint!r}: expected http://HOST:PORT, or https://HOST:PORT for "
            "TLS, of a collector's gRPC port (often 4317; it has no path): write it so, or leave "
            "the option out"
        )
    wanted = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    try:
        missing = [name for name in wanted if find_spec(name) is None]
    except ModuleNotFoundError as error:
        missing = [str(error.name)]
    if missing:
        raise ConfigError(
            f"--otlp-endpoint {endpoint}: expected OpenTelemetry, saw no {', '.join(missing)}: "
            f"leave the option out, or install it: {how_to_install('otel')}"
        )


@contextmanager
def exported(endpoint: str | None, service: str) -> Iterator[None]:
    """Sends this process's spans to a collector's gRPC port by OTLP until the block ends; without
    an endpoint they go nowhere. `http://` means plain text. What a collector has not taken a few
    seconds after the end is lost.
    """
    if endpoint is None:
        yield
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https://"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        given_up = Timer(_LAST_SPANS_S, exporter.shutdown)
        given_up.start()
        provider.shutdown()
        given_up.cancel()


@contextmanager
def program(name: str, endpoint: str | None, parent: str = "") -> Iterator[None]:
    """The block as one span of a program of this name, below `parent` where that is one, whose
    spans are sent to an endpoint as `exported` sends them; ConfigError where they can not be.
    Without an endpoint no span is made.
    """
    refuse_unfit(endpoint)
    if endpoint is None:
        yield
        return
    with exported(endpoint, name), span(name, "internal", parent=parent):
        yield


def begin_of_monotonic(readings: Sequence[tuple[int, int, int]]) -> int:
    """When the monotonic clock was 0, by the wall clock, in ns. A reading is that of the monotonic
    clock, of the wall clock and of the monotonic clock again; the one is taken in which least time
    passed, for a thread may be stopped between two clocks.
    """
    before, wall, after = min(readings, key=lambda reading: reading[2] - reading[0])
    return wall - (before + after) // 2


def _both_clocks() -> tuple[int, int, int]:
    return time.monotonic_ns(), time.time_ns(), time.monotonic_ns()


@cache
def _api() -> ModuleType | None:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace


def _context(parent: str) -> Any:
    if not parent:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({TRACEPARENT: parent})
