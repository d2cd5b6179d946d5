"""What is the same is run once for a caller: in an item, later, and at the same time.

An outcome that was not run again has the very CPU and wall time of the run that it rests on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict
from tests.services.executor.test_lost_supervisors import kill_each

T = TypeVar("T")
SOURCE = "def f(x):\n    return x + 1\n"
TESTS = tuple(CallTest(f"t{at}", "f", (at,), at + 1) for at in range(6))
ITEM = ExecuteItem("i", (Program("c", SOURCE),), TESTS)


def run(work: Callable[[Pool], Awaitable[T]], **settings: object) -> T:
    async def main() -> T:
        given = ExecutorSettings.model_validate({"slots": 2, "highest": "T1", **settings})
        async with Pool(given) as pool:
            return await work(pool)

    return asyncio.run(main())


async def times(pool: Pool, item: ExecuteItem, caller: str = "a") -> dict[str, tuple[float, float]]:
    """CPU and wall time by cell."""
    outcomes = [outcome async for outcome in pool.execute(item, caller)]
    found = {f"{o.code_id}/{o.test_id}": (o.cpu_s, o.wall_s) for o in outcomes}
    assert len(found) == len(outcomes), "a cell came twice"
    return found


def test_a_cell_that_was_run_for_the_caller_is_not_run_again() -> None:
    renamed = replace(
        ITEM,
        item_id="another",
        programs=(Program("renamed", SOURCE),),
        tests=tuple(replace(test, test_id=f"renamed-{test.test_id}") for test in TESTS),
    )

    async def twice(pool: Pool) -> None:
        first, second = await times(pool, ITEM), await times(pool, renamed)
        assert list(first.values()) == list(second.values())
        assert list(second) == [f"renamed/renamed-t{at}" for at in range(6)]

    run(twice)


@pytest.mark.parametrize(
    ("item", "caller"),
    [
        (ITEM, "b"),
        (replace(ITEM, no_cache=True), "a"),
        (replace(ITEM, limits=Limits(cpu_s=3.0)), "a"),
        (replace(ITEM, programs=(Program("c", SOURCE + "#"),)), "a"),
        (replace(ITEM, programs=(Program("c", SOURCE, "ONE = 1"),)), "a"),
        (replace(ITEM, tests=tuple(replace(t, tolerance=0.5) for t in TESTS)), "a"),
        (replace(ITEM, tests=tuple(replace(t, kwargs={"x": 1}, args=()) for t in TESTS[:1])), "a"),
    ],
)
def test_what_differs_in_anything_that_counts_is_run(item: ExecuteItem, caller: str) -> None:
    async def both(pool: Pool) -> None:
        first, second = await times(pool, ITEM), await times(pool, item, caller)
        assert not set(first.values()) & set(second.values())

    run(both)


def test_without_a_cache_everything_is_run() -> None:
    async def twice(pool: Pool) -> None:
        double = replace(ITEM, programs=(*ITEM.programs, Program("d", SOURCE)))
        first, second = await times(pool, double), await times(pool, double)
        of_c, of_d = ({t for cell, t in first.items() if cell[0] == code} for code in "cd")
        assert not of_c & of_d
        assert not set(first.values()) & set(second.values())

    run(twice, cache_bytes=0)


def test_what_is_in_an_item_twice_is_run_once_and_answered_under_every_id() -> None:
    again = tuple(replace(test, test_id=f"again-{test.test_id}") for test in TESTS)
    item = replace(ITEM, programs=(*ITEM.programs, Program("d", SOURCE)), tests=(*TESTS, *again))

    async def once(pool: Pool) -> None:
        found = await times(pool, item)
        assert len(found) == 24
        for test in TESTS:
            names = (test.test_id, f"again-{test.test_id}")
            assert len({found[f"{code}/{name}"] for code in "cd" for name in names}) == 1
        sparse = tuple((code, test.test_id) for code in "cd" for test in (TESTS[0], again[3]))
        fewer = await times(pool, replace(item, cells=sparse))
        assert set(fewer) == {f"{code}/{test}" for code, test in sparse}
        assert set(fewer.values()) <= set(found.values())

    run(once)


def test_what_is_asked_for_at_the_same_time_is_run_once() -> None:
    slow = Program("c", "import time\ndef f(x):\n    time.sleep(0.05)\n    return x + 1\n")
    item = replace(ITEM, programs=(slow,))

    async def together(pool: Pool) -> None:
        tests = (*TESTS[3:], CallTest("more", "f", (9,), 10))
        overlapping = replace(item, item_id="j", tests=tests)
        first, second, other = await asyncio.gather(
            times(pool, item), times(pool, overlapping), times(pool, item, "b")
        )
        shared = set(first.values()) & set(second.values())
        assert len(shared) == 3
        assert not set(other.values()) & {*first.values(), *second.values()}

    run(together, slots=4)


def test_who_waits_for_anothers_run_runs_it_when_that_one_gives_up() -> None:
    slow = Program("c", "import time\ndef f(x):\n    time.sleep(0.3)\n    return x + 1\n")
    item = replace(ITEM, programs=(slow,), tests=TESTS[:3])

    async def abandoned(pool: Pool) -> None:
        first = asyncio.create_task(times(pool, item))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(times(pool, replace(item, item_id="j")))
        await asyncio.sleep(0.1)
        first.cancel()
        assert len(await second) == 3

    run(abandoned)


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("def f(x):\n    return 0\n", True),
        ("def f(x):\n    raise KeyError\n", True),
        ("seen = []\ndef f(x):\n    seen.append(x)\n    return x + len(seen)\n", False),
        ("import time\ndef f(x):\n    t = time.process_time()\n"
         "    while time.process_time() < t + 0.15: pass\n    return x + 1\n", False),
    ],
)  # fmt: skip
def test_only_what_is_sure_is_kept(source: str, kept: bool) -> None:
    item = replace(ITEM, programs=(Program("c", source),), limits=Limits(cpu_s=0.2, wall_factor=20))

    async def twice(pool: Pool) -> None:
        first, second = await times(pool, item), await times(pool, item)
        assert bool(set(first.values()) & set(second.values())) is kept

    run(twice)


def test_an_infra_error_is_not_kept() -> None:
    killed = Program("c", "import time\ndef f(x):\n    time.sleep(2)\n    return x + 1\n")
    item = replace(ITEM, programs=(killed,), tests=TESTS[:1])

    async def recovered(pool: Pool) -> None:
        task = asyncio.create_task(_verdicts(pool, item))
        while not task.done():
            await asyncio.sleep(0.05)
            kill_each(pool.supervisor_pids())
        assert await task == [Verdict.INFRA_ERROR]
        assert await _verdicts(pool, item) == [Verdict.PASS]

    run(recovered)


async def _verdicts(pool: Pool, item: ExecuteItem) -> list[Verdict]:
    return [outcome.verdict async for outcome in pool.execute(item, "a")]


def test_a_kept_pass_does_not_stand_for_one_that_must_be_run_alone() -> None:
    leaky = "seen = []\ndef f(x):\n    seen.append(x)\n    return x + 1 if 0 in seen else 0\n"
    item = replace(ITEM, programs=(Program("c", leaky),), rerun_share=0.0)

    async def stricter(pool: Pool) -> None:
        assert set(await _verdicts(pool, item)) == {Verdict.PASS}
        strict = await _verdicts(pool, replace(item, item_id="j", rerun_share=1.0))
        assert strict.count(Verdict.FLAKY) == 5

    run(stricter)


@pytest.mark.parametrize("stops", [{"stop_row_on_failure": True}, {"stop_row_after_timeouts": 1}])
def test_a_row_that_stops_leaves_out_the_same_when_it_is_known(stops: dict[str, object]) -> None:
    ends = "def f(x):\n    while x == 3: pass\n    return x + 1\n"
    item = replace(ITEM, programs=(Program("c", ends),), limits=Limits(cpu_s=0.1, wall_factor=40))

    async def twice(pool: Pool) -> None:
        stopping = replace(item, **stops)  # type: ignore[arg-type]  # a dict of its fields
        seen = [
            [(o.test_id, o.verdict, o.left_out) async for o in pool.execute(stopping, "a")]
            for _ in range(2)
        ]
        assert seen[0] == seen[1]
        assert seen[0][-1] == ("t3", Verdict.CPU_TIMEOUT, 2)
        assert len(seen[0]) == 4

    run(twice)


def test_what_is_kept_is_bounded_in_bytes_and_in_time() -> None:
    sources = tuple(Program(f"c{at}", f"{SOURCE}#{at}") for at in range(8))

    async def fills(pool: Pool) -> None:
        first = await times(pool, replace(ITEM, programs=sources))
        assert pool._kept.num_bytes <= 8_000
        second = await times(pool, replace(ITEM, programs=sources[::-1]))
        assert 0 < len(set(first.values()) & set(second.values())) < 48

    run(fills, cache_bytes=8_000, slots=1)

    async def ages(pool: Pool) -> None:
        first = await times(pool, ITEM)
        await asyncio.sleep(0.3)
        assert not set(first.values()) & set((await times(pool, ITEM)).values())

    run(ages, cache_s=0.2)
