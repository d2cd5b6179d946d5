"""Programs that try to run for longer than they may (cases 1 to 9)."""

import time
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import Limits
from roundsmith.verdicts import Verdict

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

SHORT = Limits(cpu_s=0.1, wall_factor=4.0)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("case_01_busy_loop", "while True: pass"),
        (
            "case_03_ignored_signals",
            "import signal\n    for s in (14, 15, 24): signal.signal(s, 1)\n    while 1: pass",
        ),
        ("case_04_long_c_call", "import re\n    re.match('(a+)+$', 'a' * 40 + 'b')"),
        ("case_04_big_power", "return len(str(7 ** 10 ** 8))"),
        (
            "case_05_catches_everything",
            "while True:\n        try:\n            while True: pass\n"
            "        except BaseException: pass",
        ),
    ],
)
def test_a_program_that_burns_cpu_is_a_cpu_timeout(box: "Box", name: str, body: str) -> None:
    assert box.call(f"def f():\n    {body}\n", limits=SHORT).verdict is Verdict.CPU_TIMEOUT, name


def test_case_02_sleeping_is_a_wall_timeout(box: "Box") -> None:
    outcome = box.call("import time\ndef f():\n    time.sleep(60)\n", limits=SHORT)
    assert outcome.verdict is Verdict.WALL_TIMEOUT


def test_case_06_a_loop_in_a_destructor_is_a_cpu_timeout(box: "Box") -> None:
    source = (
        "class A:\n    def __del__(self):\n        while True: pass\ndef f():\n"
        "    A()\n    return True\n"
    )
    assert box.call(source, limits=SHORT).verdict is Verdict.CPU_TIMEOUT


def test_case_06_loops_left_for_the_exit_do_not_matter(box: "Box") -> None:
    source = (
        "import atexit\n@atexit.register\ndef g():\n    while True: pass\n"
        "def f():\n    return True\n"
    )
    assert box.call(source).verdict is Verdict.PASS


def test_case_08_a_program_that_stops_itself_never_passes(box: "Box") -> None:
    source = "import os, signal\ndef f():\n    os.kill(os.getpid(), signal.SIGSTOP)\n    return 0\n"
    assert box.call(source, 1, SHORT).verdict is Verdict.DENIED


def test_case_09_standard_input_of_a_function_is_empty(box: "Box") -> None:
    assert (
        box.call("import sys\ndef f():\n    return sys.stdin.read()\n", "").verdict is Verdict.PASS
    )


def test_a_loop_at_import_fails_every_cell_for_the_price_of_one(box: "Box") -> None:
    from roundsmith.types import CallTest, ExecuteItem, Program

    tests = tuple(CallTest(f"t{at}", "f", (), 1) for at in range(20))
    started = time.monotonic()
    outcomes = box.matrix(
        ExecuteItem("i", (Program("c", "while True: pass"),), tests, limits=SHORT)
    )
    assert [o.verdict for o in outcomes] == [Verdict.CPU_TIMEOUT] * 20
    assert time.monotonic() - started < 10


def test_a_cell_that_ends_between_half_and_twice_its_limit_is_near_it(box: "Box") -> None:
    source = """
import time
def f():
    end = time.process_time() + 0.2
    while time.process_time() < end: pass
    return True
"""
    outcome = box.call(source, limits=Limits(cpu_s=0.2, wall_factor=50))
    assert (outcome.verdict, outcome.near_limit) == (Verdict.PASS, True)
    outcome = box.call(source, limits=Limits(cpu_s=1.0, wall_factor=50))
    assert (outcome.verdict, outcome.near_limit) == (Verdict.PASS, False)


def test_a_cell_that_waits_is_not_near_its_limit(box: "Box") -> None:
    source = "import time\ndef f():\n    time.sleep(0.6)\n    return True\n"
    outcome = box.call(source, limits=Limits(cpu_s=0.25, wall_factor=4))
    assert (outcome.verdict, outcome.near_limit) == (Verdict.PASS, False)
