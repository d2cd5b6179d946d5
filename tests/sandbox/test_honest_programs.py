"""Programs that do what they should, which isolation must not hinder."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import CallTest, ExecuteItem, Program, StdioTest
from roundsmith.types import Test as AnyTest
from roundsmith.verdicts import Label, Verdict
from tests.sandbox.conftest import LIMITS

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box


@pytest.mark.parametrize(
    ("program", "statements"),
    [
        (
            "class A:\n    def __init__(self, x): self.x = x\n"
            "    def double(self): return 2 * self.x\n",
            "a = A(4)\nassert a.double() == 8 and a.x == 4",
        ),
        (
            "def f(n):\n    for i in range(n): yield i\n",
            "assert list(f(3)) == [0, 1, 2]\nassert sum(f(4)) == 6",
        ),
        (
            "from collections import Counter\ndef f(x): return Counter(x)\n",
            "x = f('aab')\nassert x == {'a': 2, 'b': 1}",
        ),
        ("def f(x):\n    x.sort()\n", "x = [3, 1]\nf(x)\nassert x == [1, 3]"),
        ("def f(x):\n    return x\n", "x = [1]\nassert f(x) is x"),
        ("def f(g, x):\n    return g(x)\n", "assert f(lambda x: x + 1, 1) == 2"),
        ("def g(x): return x + 1\ndef f(h, x): return h(x)\n", "assert f(g, 1) == 2"),
        (
            "import math\ndef f(x): return math.sqrt(x)\n",
            "assert math.isclose(f(2), 1.41421356, rel_tol=1e-6)",
        ),
        ("def sum(a, b): return a * b\n", "x = sum(2, 3)\nassert x == 6"),
        (
            "def f(x):\n    raise ValueError('no')\n",
            "try:\n    f(1)\n    assert False\nexcept ValueError as e:\n    assert str(e) == 'no'",
        ),
        ("import re\ndef f(x): return re.match('a', x)\n", "assert f('ab')\nassert not f('b')"),
        ("import re\ndef f(x): return re.match('a', x)\n", "assert f('ab')"),
        ("LIMIT = 3\ndef f(): return LIMIT\n", "assert f() == LIMIT"),
        (
            "def f(x): return x\n",
            "METADATA = {}\ndef check(candidate):\n"
            "    assert candidate((1, 2)) == (1, 2), 'no'\n"
            "    assert candidate(1j) == 1j\ncheck(f)",
        ),
    ],
)
def test_honest_programs_pass_tests_of_every_kind(
    box: "Box", program: str, statements: str
) -> None:
    outcome = box.check(program, statements)
    assert outcome.verdict is Verdict.PASS, outcome


ASYNCIO = """
import asyncio
async def double(x):
    await asyncio.sleep(0)
    return 2 * x
def f():
    async def produce(queue):
        for at in range(3):
            await queue.put(at)
    async def main():
        queue, lock = asyncio.Queue(1), asyncio.Lock()
        task = asyncio.create_task(produce(queue))
        async with lock, asyncio.timeout(60):
            taken = [await queue.get() for _ in range(3)]
        await task
        return taken, await asyncio.gather(double(1), double(2))
    return asyncio.run(main())
def g():
    return asyncio.new_event_loop().run_until_complete(double(4))
"""
IN_THREADS = """
import asyncio, multiprocessing
def f():
    async def main():
        return await asyncio.gather(*(asyncio.to_thread(abs, -at) for at in range(3)))
    ours, theirs = multiprocessing.Pipe()
    ours.send('piped')
    return asyncio.run(main()), theirs.recv()
"""
PATIENT = replace(LIMITS, cpu_s=4.0)


def test_a_program_of_asyncio_has_its_event_loop(box: "Box") -> None:
    outcome = box.call(ASYNCIO, ([0, 1, 2], [2, 4]), PATIENT)
    assert outcome.verdict is Verdict.PASS, outcome
    outcome = box.check(ASYNCIO, "x = g()\nassert x == 8", PATIENT)
    assert outcome.verdict is Verdict.PASS, outcome
    outcome = box.script(f"{ASYNCIO}\nprint(f(), g())\n", "", "([0, 1, 2], [2, 4]) 8\n", PATIENT)
    assert outcome.verdict is Verdict.PASS, outcome


def test_a_program_of_asyncio_may_wait_for_threads_where_it_may_have_them(box: "Box") -> None:
    outcome = box.call(IN_THREADS, ([0, 1, 2], "piped"), replace(PATIENT, processes=8))
    assert outcome.verdict is box.if_it_may_fork(Verdict.PASS), outcome
    assert outcome.label is not Label.NEGATIVE  # where there are no threads, it is not its fault
    assert box.call(IN_THREADS, limits=PATIENT).label is Label.NEGATIVE


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 3, 2)])
def test_a_script_passes_beside_calls_into_it_that_fail(box: "Box", order: tuple[int, ...]) -> None:
    tests: tuple[AnyTest, ...] = (
        CallTest("called first", "f", (1,), 2),
        StdioTest("run first", "4\n", "5\n"),
        CallTest("called last", "f", (2,), 3),
        StdioTest("run last", "6\n", "7\n"),
    )
    source = "def f(x): return x + 1\nprint(f(int(input())))\n"
    item = ExecuteItem("one", (Program("c", source),), tuple(tests[at] for at in order))
    found = {outcome.test_id: outcome.verdict for outcome in box.matrix(item)}
    called, run = Verdict.ERROR, Verdict.PASS  # a module that is loaded for its calls has no input
    assert found == {
        "called first": called,
        "run first": run,
        "called last": called,
        "run last": run,
    }
