"""Every metric and label that the Grafana board asks for is exported by the running services."""

import asyncio
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from roundsmith.clients import ExecutorClient, GeneratorClient, ScorerClient
from roundsmith.clients.channels import open_channel
from roundsmith.errors import ConfigError
from roundsmith.types import (
    CallTest,
    ExecuteItem,
    GenerateItem,
    Program,
    Sampling,
    ScoreItem,
)
from tests.warm import start

BOARD = Path(__file__).parents[2] / "charts/roundsmith/dashboards/roundsmith.json"
PAGE = Path(__file__).parents[2] / "docs/operating.md"
OF_THE_SCRAPER = {"namespace"}
RARE = {
    "roundsmith_executor_retries_total": {"reason"},
    "roundsmith_executor_quarantined_total": {"promise"},
}
"""Labels of series that are there only when something has gone wrong."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """The labels of every series of the four services, after a little work, by its name."""
    folder = tmp_path_factory.mktemp("services")
    model = ["--model", str(tiny)]
    options = {
        "generator": model,
        "scorer": model,
        "executor": ["--slots", "1"],
        "pair-builder": [],
    }
    processes = []
    try:
        for name, given in options.items():
            places = ("--metrics-port", "0", "--ready-file", str(folder / name))
            log = folder / f"{name}.log"
            processes.append(start("roundsmith.cli", ("serve", name, *given, *places), log))
        addresses = {name: ready(folder / name) for name in options}
        asyncio.run(work({name: found["address"] for name, found in addresses.items()}))
        pages = [read(found["metrics_address"]) for found in addresses.values()]
        yield series("\n".join(pages))
    finally:
        for process in processes:
            process.kill()


def ready(path: Path) -> dict[str, str]:
    """What a service wrote when it was ready."""
    for _ in range(1800):
        if path.exists():
            return dict(json.loads(path.read_text()))
        time.sleep(0.1)
    raise AssertionError(f"{path.name} did not start")


def read(address: str) -> str:
    """A page of metrics."""
    with urllib.request.urlopen(f"http://{address}/metrics") as page:
        return str(page.read(), "utf-8")


async def work(addresses: dict[str, str]) -> None:
    """One item of each kind, one that fails, and tokens as they are drawn."""
    async with open_channel(addresses["executor"]) as channel:
        executor = ExecutorClient(channel)
        programs = (Program("c", "def add(a, b):\n    return a + b\n"),)
        tests = (CallTest("t", "add", (1, 2), 3),)
        await executor.execute(ExecuteItem("a", programs, tests))
        await executor.stream.close()
    async with open_channel(addresses["generator"]) as channel:
        writer = GeneratorClient(channel)
        await writer.generate(GenerateItem("a", "def add", Sampling(4), 1, deltas=True))
        await writer.stream.close()
    async with open_channel(addresses["scorer"]) as channel:
        client = ScorerClient(channel)
        await client.score(ScoreItem("a", "def add", "(a, b)"))
        with pytest.raises(ConfigError):
            await client.score(ScoreItem("b", "", "(a, b)"))
        await client.stream.close()


def series(page: str) -> dict[str, set[str]]:
    """The label names of each series of a page."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", page, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    declared = re.findall(r"^# TYPE (\w+) (?:counter|gauge)$", page, re.MULTILINE)
    return {**{name: set() for name in declared}, **found}


def queries() -> list[str]:
    """What the board asks for."""
    panels = json.loads(BOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def of_pods(query: str) -> list[tuple[str, str]]:
    """The labels that a query makes of the names of pods, each with its expression."""
    return re.findall(r', "(\w+)", "\$1", "pod", "(.*?)"\)', query)


@pytest.mark.parametrize("release", ["r", "a-serve-1", "generator-" + "x" * 28])
def test_the_generator_of_rounds_is_told_from_the_one_of_others(release: str) -> None:
    kinds = ("roundsmith_item", "roundsmith_generator_")
    asked = [query for query in queries() if any(kind in query for kind in kinds)]
    assert len(asked) > 15
    for query in asked:
        [(label, expression)] = set(of_pods(query))
        grouped = re.search(r"by \(([^)]*)\)", query)
        assert grouped
        assert label in grouped[1].split(", ")
        for component in ("generator", "serve", "scorer", "executor", "pair-builder"):
            for workload in (f"{release}-{component}", f"{release}-{component}-predictor"):
                # Kubernetes cuts what it adds five letters to.
                name = f"{workload}-6d4f7c9b5f-"[:58] + "x7k2p"
                found = re.fullmatch(expression, name)
                assert found, name
                assert found[1] == component


def test_every_metric_of_the_board_is_exported(exported: dict[str, set[str]]) -> None:
    asked = {name for query in queries() for name in re.findall(r"roundsmith_\w+", query)}
    assert len(asked) > 15
    assert asked - exported.keys() == set()


def test_every_label_of_the_board_is_one_of_its_metric(exported: dict[str, set[str]]) -> None:
    for query in queries():
        (names, labels) = (
            re.findall(r"roundsmith_\w+", query),
            {one for group in re.findall(r"by \(([^)]*)\)", query) for one in group.split(", ")}
            | set(re.findall(r"[{,]\s*(\w+)\s*[=!]", query)),
        )
        labels -= {label for label, _ in of_pods(query)}
        for name in names:
            assert labels - OF_THE_SCRAPER <= exported[name] | RARE.get(name, set()), query


def test_the_page_names_every_metric_of_generator_scorer_and_items(
    exported: dict[str, set[str]],
) -> None:
    kinds = ("roundsmith_item", "roundsmith_generator_", "roundsmith_scorer_")
    parts = re.compile(r"_(bucket|sum|count|created)$")
    told = {parts.sub("", name) for name in exported if name.startswith(kinds)}
    named = set(re.findall(r"`(roundsmith_\w+)`", PAGE.read_text()))
    told = {name for name in told if f"{name}_total" not in told}
    assert told - named == set()
    assert {name for name in named if name.startswith(kinds)} - told == set()


def test_each_panel_has_a_title_of_its_own_and_something_to_show() -> None:
    panels = [p for p in json.loads(BOARD.read_text())["panels"] if p["type"] != "row"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert all(panel["title"] and panel["targets"] for panel in panels)
