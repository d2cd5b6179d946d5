"""A trace that goes from a caller through client, server and engine, and logs that name the item:
real processes, and a collector on loopback.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as collector_grpc
from pydantic import ValidationError

from roundsmith import tracing
from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError
from roundsmith.serve import logs

CALLER = """
import asyncio, sys
from roundsmith import tracing
from roundsmith.clients import ScorerClient
from roundsmith.clients.channels import open_channel
from roundsmith.errors import ConfigError
from roundsmith.types import ScoreItem

async def ask():
    async with open_channel(sys.argv[1]) as channel:
        client = ScorerClient(channel)
        with tracing.span("the caller", "internal"):
            await client.score(ScoreItem("good", "def add(a, b):", " return a + b"))
            try:
                await client.score(ScoreItem("bad", "def add(a, b):", "", end=False))
            except ConfigError:
                print("refused")
        await client.score(ScoreItem("untraced" + "." * 300, "def add(a, b):", "x"))
        await client.stream.close()

with tracing.exported(sys.argv[2], "caller"):
    asyncio.run(ask())
"""


class Collector(collector_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent, each once, with the name of the service it is of."""

    def __init__(self) -> None:
        self._spans: dict[bytes, tuple[str, Any]] = {}
        self.taking = threading.Event()
        self.taking.set()

    @property
    def spans(self) -> list[tuple[str, Any]]:
        return list(self._spans.values())

    def Export(self, request: Any, context: Any) -> Any:
        self.taking.wait()
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:  # what was not answered in time is sent again
                    self._spans[span.span_id] = (names["service.name"], span)
        return collector_pb2.ExportTraceServiceResponse()

    def find(self, service: str, name: str, item_id: str = "") -> Any:
        """The one span of a service with this name, and of this item where one is given."""
        (span,) = (
            span
            for of, span in self.spans
            if (of, span.name) == (service, name)
            and (not item_id or item_id in str(span.attributes))
        )
        return span


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """A collector, and its endpoint."""
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add: Any = collector_grpc.add_TraceServiceServicer_to_server
    add(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(0)


@contextmanager
def scorer(folder: Path, model: Path, *options: str) -> Iterator[tuple[dict[str, str], Any]]:
    """`roundsmith serve scorer` as a process of its own: its addresses, and the process."""
    ready = folder / "ready.json"
    serve = ["serve", "scorer", "--model", str(model), "--ready-file", str(ready), *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "roundsmith.cli", *serve], stderr=subprocess.PIPE, text=True
    )
    try:
        for _ in range(3000):
            if ready.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        assert ready.exists(), process.communicate()
        yield json.loads(ready.read_text()), process
    finally:
        process.kill()
        process.communicate()


def test_a_trace_goes_from_the_caller_through_client_and_server_to_the_engine(
    tmp_path: Path, tiny: Path
) -> None:
    with collecting() as (collector, endpoint):
        with scorer(tmp_path, tiny, "--otlp-endpoint", endpoint, "--log-format", "json") as (
            addresses,
            process,
        ):
            asked = [sys.executable, "-c", CALLER, addresses["address"], endpoint]
            ran = subprocess.run(asked, capture_output=True, text=True, check=True)
            assert ran.stdout == "refused\n"
            process.terminate()
            _, log = process.communicate(timeout=600)
        served = "roundsmith.v1.ScorerService"
        root = collector.find("caller", "the caller")
        asked_for = [
            s for of, s in collector.spans if (of, s.parent_span_id) == ("caller", root.span_id)
        ]
        assert [span.name for span in asked_for] == ["roundsmith.Score"] * 2
        good = collector.find(served, "roundsmith.Score", "good")
        bad = collector.find(served, "roundsmith.Score", "bad")
        assert {good.parent_span_id, bad.parent_span_id} == {span.span_id for span in asked_for}
        (begun, done) = (
            next(
                span
                for _, span in collector.spans
                if span.name == name and span.parent_span_id == good.span_id
            )
            for name in ("scorer.queue", "scorer.forward")
        )
        for span in (*asked_for, good, bad, begun, done):
            assert span.trace_id == root.trace_id
        assert good.start_time_unix_nano <= begun.start_time_unix_nano
        assert abs(begun.end_time_unix_nano - done.start_time_unix_nano) < 5_000_000
        assert done.end_time_unix_nano <= good.end_time_unix_nano + 5_000_000
        assert "ConfigError" in str(bad.events)
        untraced = collector.find(served, "roundsmith.Score", "untraced")
        assert untraced.trace_id != root.trace_id
        assert "." * 200 in str(untraced.attributes)
        assert "." * 250 not in str(untraced.attributes)
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (refused,) = (line for line in lines if line.get("item_id") == "bad")
    assert refused["trace_id"] == root.trace_id.hex()
    assert refused["request_id"]
    assert "empty completion" in refused["message"]
    assert any("3 items, 1 of them failed" in line["message"] for line in lines)


FOLLOWER = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))
from roundsmith import tracing
def calls():
    with tracing.span("a call", "client") as here:
        return here, tracing.traceparent()
print(*tracing.followed(sys.argv[1]).run(calls), calls() == ("", ""))
"""


@pytest.mark.parametrize("missing", [(), ("opentelemetry",)])
def test_a_program_that_sends_no_span_hands_on_what_it_follows(missing: tuple[str, ...]) -> None:
    parent = f"00-{'ab' * 16}-{'12' * 8}-01"
    words = [sys.executable, "-c", FOLLOWER, parent, *missing]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [parent, parent, "True"]


def test_spans_of_other_threads_lie_right_though_this_one_is_stopped_between_two_clocks() -> None:
    stopped = (5_000, 1_000_000_007_100, 80_000_000)
    assert tracing.begin_of_monotonic([stopped, (6_000, 1_000_000_006_100, 6_200)]) == 10**12


def test_an_item_sent_again_by_another_trace_is_the_same_item() -> None:
    from roundsmith.serve.items import _taken_from
    from roundsmith.serve.results import item_key
    from roundsmith.v1 import scorer_pb2

    keys = set()
    for parent in ("", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"):
        request = scorer_pb2.ScoreStreamRequest(request_id="r", traceparent=parent)
        assert _taken_from(request) == parent
        keys.add(item_key("caller", "r", "i", request))
    assert len(keys) == 1


def test_logs_carry_the_ids_of_their_item_as_text_and_as_json() -> None:
    record = logging.LogRecord("there", logging.INFO, "f", 1, "seen %d", (3,), None)
    with logs.about(request_id="r", item_id="i", trace_id=""):
        text = logs.TextFormatter("%(message)s").format(record)
        line = json.loads(logs.JsonFormatter().format(record))
    assert text == "seen 3 [request_id=r item_id=i]"
    assert {k: line[k] for k in line if k != "time"} == {
        "level": "INFO",
        "logger": "there",
        "message": "seen 3",
        "request_id": "r",
        "item_id": "i",
    }
    assert logs.TextFormatter("%(message)s").format(record) == "seen 3"


def test_a_caller_writes_no_log_line_of_its_own() -> None:
    forged = "i\n2026-01-01 00:00:00,000 INFO roundsmith.serve.weights: \x1b[2Kall is well\u2028"
    record = logging.LogRecord("there", logging.INFO, "f", 1, "seen", (), None)
    with logs.about(request_id="r", item_id=forged):
        text = logs.TextFormatter("%(message)s").format(record)
        line = logs.JsonFormatter().format(record)
    assert len(text.splitlines()) == len(line.splitlines()) == 1
    assert r"item_id=i\n2026-01-01" in text
    assert text.isprintable()
    assert logs.one_line("größe 数") == "größe 数"


@pytest.mark.parametrize(
    "parent", ["a-" + "\n" * 32 + "-b-c", "00-" + "g" * 32 + "-0-01", "x" * 40]
)
def test_what_is_no_trace_names_none_in_the_log(parent: str) -> None:
    assert tracing.trace_id(parent) == ""
    assert tracing.trace_id(f"00-{'ab' * 16}-{'1' * 16}-00") == "ab" * 16


def test_an_endpoint_without_opentelemetry_is_refused_before_the_engine_is_loaded() -> None:
    script = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from roundsmith import tracing\n"
        "tracing.refuse_unfit(None)\n"
        "tracing.refuse_unfit('http://127.0.0.1:4317')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "leave the option out, or install it: " in ran.stderr
    with pytest.raises(ValidationError):
        ServeSettings.model_validate({"log_format": "xml"})


ENDPOINTS = (
    "http://h:4317",
    "https://otlp.example.org:443/",
    "http://[fd00::1]:4317",
    "http://a_b:1",
)
NONSENSE = (
    *("", "nonsense", "collector:4317", "ftp://h:4317", "grpc://h:4317", "HTTPS://h:4317"),
    *(
        "http://",
        "http://:4317",
        "http://h",
        "http://h:x",
        "http://h:0",
        "http://h:04317",
        "http://h:65536",
    ),
    *("http://h:4318/v1/traces", "http://a b:4317", "http://me:word@h:4317", "http://[h]:4317"),
)


@pytest.mark.parametrize("endpoint", NONSENSE)
def test_an_endpoint_that_is_none_is_refused_with_what_it_should_be(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="expected http://HOST:PORT, or https://HOST:PORT") as why:
        tracing.refuse_unfit(endpoint)
    assert repr(endpoint) in str(why.value)
    for good in (None, *ENDPOINTS):
        tracing.refuse_unfit(good)


@pytest.mark.parametrize("command", [["serve", "executor"], ["run", "--recipe", "gift"]])
def test_a_service_and_a_run_refuse_such_an_endpoint_before_they_begin(
    tmp_path: Path, command: list[str]
) -> None:
    where = ["--ready-file" if command[0] == "serve" else "--out", str(tmp_path / "made")]
    words = [sys.executable, "-m", "roundsmith.cli", *command, *where, "--otlp-endpoint", "h:4317"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 2, ran.stderr
    assert "'h:4317': expected http://HOST:PORT" in " ".join(ran.stderr.split())
    assert not (tmp_path / "made").exists()


PROGRAM = """
import logging, sys
from roundsmith import tracing
logging.basicConfig()
with tracing.program("a program", sys.argv[1]):
    pass
"""


def test_a_program_ends_though_its_collector_takes_no_span() -> None:
    with collecting() as (collector, endpoint):
        collector.taking.clear()
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, endpoint],
            env={**os.environ, "OTEL_EXPORTER_OTLP_TIMEOUT": "20"},
            capture_output=True,
            text=True,
            check=False,
        )
        collector.taking.set()
    assert ran.returncode == 0
    assert "CANCELLED" in ran.stderr, "given up before the time that a batch has"
