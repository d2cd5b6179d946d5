"""A round whose run, steps and services send their spans to a collector on loopback."""

from collections import Counter
from pathlib import Path

import pytest

from tests.pipelines.round.lab_round import play
from tests.services.serve.test_traces_and_logs import collecting

SERVICES = {
    "GeneratorService": "Generate",
    "ScorerService": "Score",
    "ExecutorService": "Execute",
    "PairBuilderService": "Build",
}


@pytest.mark.slow
def test_one_trace_leads_from_a_run_through_its_steps_to_all_services(tmp_path: Path) -> None:
    with collecting() as (collector, endpoint):
        play(tmp_path / "run", "--otlp-endpoint", endpoint)
        spans = collector.spans
    run = collector.find("roundsmith run", "roundsmith run")
    assert {span.trace_id for _, span in spans} == {run.trace_id}
    steps = {
        span.span_id: span.name.removeprefix("roundsmith.step.")
        for of, span in spans
        if of == "roundsmith run" and span.parent_span_id == run.span_id
    }
    assert set(steps.values()) >= {"load_tasks", "evaluate", "sample", "score", "select", "train"}
    asked = {span.span_id: span for of, span in spans if of == "roundsmith run"}
    served: Counter[tuple[str, str, str]] = Counter()
    for of, span in spans:
        if of.startswith("roundsmith.v1.") and span.name.startswith("roundsmith."):
            client = asked[span.parent_span_id]
            assert client.name == span.name
            served[of.removeprefix("roundsmith.v1."), span.name, steps[client.parent_span_id]] += 1
    assert {(of, name) for of, name, _ in served} == {
        (of, f"roundsmith.{what}") for of, what in SERVICES.items()
    }
    assert ("ScorerService", "roundsmith.Score", "score") in served
    assert ("PairBuilderService", "roundsmith.Build", "select") in served
