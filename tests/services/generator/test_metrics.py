"""What a generator tells Prometheus is what it did, with either engine."""

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from roundsmith.generator.metrics import GeneratorMetrics
from roundsmith.types import Completion, CompletionDelta, GenerateItem, Sampling
from tests.services.generator.driven import Driven

LONG = Sampling(200, temperature=0.0)
"""Which ends by its length alone."""
Value = Callable[..., float | None]


@pytest.fixture
def metrics(driven: Driven) -> GeneratorMetrics:
    """Those of the engine, which have counted nothing yet."""
    return GeneratorMetrics(driven.engine)


@pytest.fixture
def value(metrics: GeneratorMetrics) -> Value:
    """The value of a series by the end of its name and its labels."""
    registry = CollectorRegistry()
    for collector in metrics.collectors:
        registry.register(collector)
    return lambda name, **labels: registry.get_sample_value(f"roundsmith_generator_{name}", labels)


def test_tokens_completions_and_their_times_are_counted(
    driven: Driven, metrics: GeneratorMetrics, value: Value
) -> None:
    async def draw(item: GenerateItem) -> list[Completion | CompletionDelta]:
        return [told async for told in metrics.watch(driven.engine.generate(item))]

    short = Sampling(20, temperature=0.0)
    drawn: list[Completion] = []
    for number, deltas in enumerate((True, False)):
        item = GenerateItem(f"{number}", "def", short, 0, n=3, deltas=deltas)
        found = driven.run(draw(item))
        drawn += [one for one in found if isinstance(one, Completion)]
    assert len(drawn) == 6
    assert value("prompt_tokens_total") == 2 * drawn[0].prompt_tokens, "once for each item"
    assert value("tokens_total") == sum(len(one.token_ids) for one in drawn) == 120
    assert value("completions_total", finish_reason="length") == 6
    assert value("completion_seconds_count") == 6
    assert value("first_token_seconds_count") == 1, "of items that ask for deltas"
    first_s, whole_s = (value(f"{of}_seconds_sum") for of in ("first_token", "completion"))
    assert first_s is not None
    assert whole_s is not None
    assert 0 < first_s < whole_s


def test_slots_and_what_waits_for_one_are_told(driven: Driven, value: Value) -> None:
    async def scenario() -> list[float | None]:
        hog = asyncio.create_task(driven.collect(GenerateItem("hog", "def", LONG, 1, n=11)))
        while driven.engine.running < 4:
            await asyncio.sleep(0.001)
        names = ("slots", "slots_busy", "batch_occupancy", "completions_waiting")
        seen = [value(name) for name in names]
        hog.cancel()
        await asyncio.gather(hog, return_exceptions=True)
        await driven.idle()
        return seen

    slots, busy, occupancy, waiting = driven.run(scenario())
    assert (slots, busy, occupancy) == (4, 4, 1.0)
    assert waiting in range(1, 8)
    assert (value("slots_busy"), value("completions_waiting")) == (0, 0)
