"""What the real /metrics page says of an executor, read as Prometheus reads it."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from roundsmith.clients import ExecutorClient
from roundsmith.clients.channels import open_channel
from roundsmith.config import ServeSettings
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.start import start
from roundsmith.serve import listening
from roundsmith.types import CallTest, ExecuteItem, Limits, Program

Samples = dict[tuple[str, str], float]
SLEEPS = "import time\ndef f(x):\n    time.sleep(600)\n    return x + 1\n"
ITEM = ExecuteItem(
    "i",
    (Program("right", "def f(x):\n    return x + 1\n"), Program("wrong", "def f(x):\n    pass\n")),
    tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(3)),
    limits=Limits(cpu_s=1.0),
    rerun_share=0.0,
)


class Executor:
    """A served executor: its client, and what its page says."""

    def __init__(self, client: ExecutorClient, metrics_address: str) -> None:
        self.client, self._url = client, f"http://{metrics_address}/metrics"

    async def samples(self) -> Samples:
        """Values by name and the values of the labels."""
        text = await asyncio.to_thread(self._read)
        return {
            (sample.name, "/".join(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("roundsmith_executor_")
        }

    def _read(self) -> str:
        with urllib.request.urlopen(self._url, timeout=60) as page:
            return str(page.read().decode())

    async def until(self, name: str, labels: str, value: float) -> Samples:
        """The samples when this one has the value."""
        async with asyncio.timeout(300):
            while (seen := await self.samples())[name, labels] != value:
                await asyncio.sleep(0.02)
        return seen


@asynccontextmanager
async def serving(slots: int) -> AsyncIterator[Executor]:
    serve = ServeSettings(metrics_port=0)
    service = await start(ExecutorSettings(slots=slots, highest="T1"), serve)
    try:
        async with (
            listening(service.bindings, serve, service.collectors) as addresses,
            open_channel(addresses["address"]) as channel,
        ):
            client = ExecutorClient(channel)
            yield Executor(client, addresses["metrics_address"])
            await client.stream.close()
    finally:
        await service.close()


def test_outcomes_runs_and_what_was_known_are_counted() -> None:
    async def counted() -> None:
        async with serving(2) as executor:
            await executor.client.execute(ITEM)
            await executor.client.execute(replace(ITEM, item_id="again"))
            name = "roundsmith_executor_"
            # A slot is free again a moment after its outcomes are told.
            await executor.until(f"{name}items", "running", 0)
            seen = await executor.until(f"{name}slots", "idle", 2)
        assert seen[f"{name}outcomes_total", "T1/PASS"] == 6
        assert seen[f"{name}outcomes_total", "T1/FAIL"] == 6
        assert seen[f"{name}runs_total", "row"] == 2
        assert seen[f"{name}runs_total", "alone"] == 3
        assert seen[f"{name}known_cells_total", ""] == 6
        assert 0 < seen[f"{name}cpu_seconds_total", ""] < 5
        assert seen[f"{name}kept_bytes", ""] > 0
        assert seen[f"{name}run_seconds_count", ""] == 5
        assert seen[f"{name}wait_seconds_count", ""] >= 1
        assert seen[f"{name}slots", "idle"] == 2
        assert (seen[f"{name}open_cells", ""], seen[f"{name}items", "running"]) == (0, 0)

    asyncio.run(counted())


def test_the_queue_is_seen_by_items_cells_and_slots_and_is_empty_after_giving_up() -> None:
    sleeping = replace(ITEM, programs=(Program("sleeps", SLEEPS),), tests=ITEM.tests[:2])
    sleeping = replace(sleeping, limits=Limits(cpu_s=600))

    async def queued() -> None:
        async with serving(1) as executor:
            items = [replace(sleeping, item_id=f"i{at}", no_cache=True) for at in range(3)]
            tasks = [asyncio.create_task(executor.client.execute(item)) for item in items]
            name = "roundsmith_executor_"
            seen = await executor.until(f"{name}items", "waiting", 2)
            assert seen[f"{name}items", "running"] == 1
            assert seen[f"{name}slots", "busy"] == 1
            assert seen[f"{name}open_cells", ""] == 6
            for task in tasks:
                task.cancel()
            for what, labels, value in (
                *(("slots", "idle", 1), ("open_cells", "", 0)),
                *(("items", "waiting", 0), ("items", "running", 0)),
            ):
                await executor.until(f"{name}{what}", labels, value)

    asyncio.run(queued())


def test_no_label_tells_a_caller_an_item_or_a_program() -> None:
    async def told() -> None:
        async with serving(1) as executor:
            await executor.client.execute(ITEM)
            labels = {label for _, label in await executor.samples()}
        words = {word for label in labels for word in label.split("/")}
        bounds = {word for word in words if word == "+Inf" or word[:1].isdigit()}
        known = {"", "PASS", "FAIL", "T1", "row", "alone", "running", "waiting"}
        assert words - bounds <= known | {"busy", "idle", "broken", "gave_way", "sandbox"}

    asyncio.run(told())
