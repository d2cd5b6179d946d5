"""Programs that try to run for longer than they may (cases 1 to 10)."""

import time
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import living

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box


def short(box: "Box", processes: int = 1, wall_factor: float = 4.0) -> Limits:
    """The least that an honest program surely has on a busy machine. In gVisor waiting for a core
    counts as CPU time, too.
    """
    cpu_s = 1.0 if box.place == "T3" else 0.1
    return Limits(cpu_s=cpu_s, wall_factor=wall_factor, processes=processes)


def verdict(box: "Box", body: str, limits: Limits | None = None) -> Verdict:
    return box.call(f"def f():\n    {body}\n", limits=limits or short(box)).verdict


def test_case_01_a_busy_loop_is_a_cpu_timeout(box: "Box") -> None:
    assert verdict(box, "while True: pass") is Verdict.CPU_TIMEOUT


def test_case_02_sleeping_is_a_wall_timeout(box: "Box") -> None:
    assert verdict(box, "import time; time.sleep(60)") is Verdict.WALL_TIMEOUT


BURN = """
import time
def burn(cpu_s):
    end = time.process_time() + cpu_s
    while time.process_time() < end: pass
    return True
"""


@pytest.mark.places("T2", "T1", "pod")  # in gVisor what waits for a core runs, says the clock
def test_case_02_waking_now_and_then_does_not_help_a_sleeper(box: "Box") -> None:
    source = f"{BURN}def f():\n    while burn(0.004): time.sleep(0.1)\n"
    outcome = box.call(source, limits=short(box))
    assert outcome.verdict is Verdict.WALL_TIMEOUT, outcome
    assert outcome.wall_s < 5 * 0.8, "its wall limit is 0.8 s"


def test_what_runs_is_no_sleep(box: "Box") -> None:
    limits = Limits(cpu_s=1.0, wall_factor=1.0)
    source = f"{BURN}def f():\n    burn(0.8)\n    time.sleep(1.5)\n    return True\n"
    outcome = box.call(source, limits=limits)
    assert outcome.verdict is Verdict.PASS, outcome
    assert outcome.wall_s > 2.0, "the wall limit of a fresh child"


def test_case_03_ignored_signals_do_not_help_a_loop(box: "Box") -> None:
    body = "import signal\n    for s in (14, 15, 24): signal.signal(s, 1)\n    while 1: pass"
    assert verdict(box, body) is Verdict.CPU_TIMEOUT


@pytest.mark.parametrize(
    "body",
    [
        "import re; re.match('(a+)+$', 'a' * 40 + 'b')",
        "return len(str(7 ** 10 ** 8))",
        "import collections, itertools\n"
        "    collections.deque(itertools.product('ab', repeat=60), maxlen=0)",
    ],
)
def test_case_04_a_long_call_in_c_is_a_cpu_timeout(box: "Box", body: str) -> None:
    assert verdict(box, body) is Verdict.CPU_TIMEOUT


def test_case_05_catching_everything_does_not_help_a_loop(box: "Box") -> None:
    body = (
        "while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass"
    )
    assert verdict(box, body) is Verdict.CPU_TIMEOUT


def test_case_06_a_loop_in_a_destructor_is_a_cpu_timeout(box: "Box") -> None:
    source = (
        "class A:\n    def __del__(self):\n        while True: pass\ndef f():\n"
        "    A()\n    return True\n"
    )
    assert box.call(source, limits=short(box)).verdict is Verdict.CPU_TIMEOUT


@pytest.mark.parametrize(
    ("hook", "body", "wanted"),
    [
        ("atexit.register(g)", "return True", Verdict.PASS),
        ("sys.excepthook = g", "raise ValueError", Verdict.ERROR),
        ("sys.unraisablehook = g", "return True", Verdict.PASS),
    ],
)
def test_case_06_loops_left_for_the_end_never_run(
    box: "Box", hook: str, body: str, wanted: Verdict
) -> None:
    loop = "def g(*rest):\n    while True: pass\n"
    source = f"import atexit, sys\n{loop}{hook}\ndef f():\n    {body}\n"
    assert box.call(source, limits=short(box)).verdict is wanted


@pytest.mark.parametrize(
    "end",
    [
        "atexit.register(g)",
        "import threading; threading.current_thread = threading.enumerate = g",
    ],
)
def test_case_06_a_script_that_loops_at_its_end_is_a_cpu_timeout(box: "Box", end: str) -> None:
    source = f"import atexit\ndef g(*rest):\n    while True: pass\nprint(5)\n{end}\n"
    assert box.script(source, "", "5", limits=short(box)).verdict is Verdict.CPU_TIMEOUT


THREAD = """
import ctypes, threading, time
def spin():
    ctypes.CDLL(None).prctl(15, {marker!r}.encode(), 0, 0, 0)
    while True: pass
def f():
    threading.Thread(target=spin).start()
    {then}
    return True
"""


def test_case_07_a_thread_that_never_ends_ends_with_the_run(box: "Box") -> None:
    marker = f"case7-{time.monotonic_ns() % 10**9}"
    source = THREAD.format(marker=marker, then="")
    assert box.call(source).verdict is Verdict.PROCESS_LIMIT
    wanted = box.if_it_may_fork(Verdict.PASS)
    assert box.call(source, limits=Limits(cpu_s=1.0, processes=8)).verdict is wanted
    assert not living(marker)


def test_case_08_a_program_that_stops_itself_never_passes(box: "Box") -> None:
    source = "import os\ndef f(number):\n    os.kill(os.getpid(), number)\n    return 0\n"
    stopped = box.run(source, CallTest("t", "f", (19,), 1), short(box))
    assert stopped.verdict is Verdict.DENIED
    # SIGTSTP stops nothing: the run's process group has no terminal and no parent. gVisor obeys it.
    stopped = box.run(source, CallTest("t", "f", (20,), 1), short(box))
    assert stopped.verdict is (Verdict.WALL_TIMEOUT if box.place == "T3" else Verdict.FAIL)


def test_case_09_standard_input_of_a_function_is_empty(box: "Box") -> None:
    assert (
        box.call("import sys\ndef f():\n    return sys.stdin.read()\n", "").verdict is Verdict.PASS
    )


def test_case_09_reading_on_after_the_end_of_a_scripts_input_does_not_hang(box: "Box") -> None:
    source = "import os\nwhile os.read(0, 99): pass\nprint(os.read(0, 99), os.read(0, 99))\n"
    assert box.script(source, "one\ntwo\n", "b'' b''\n").verdict is Verdict.PASS


def test_case_10_cpu_burned_in_a_thread_is_charged(box: "Box") -> None:
    source = THREAD.format(marker="case10", then="time.sleep(60)")
    wanted = box.if_it_may_fork(Verdict.CPU_TIMEOUT)
    # On a busy machine a thread may wait long for its first turn.
    assert box.call(source, limits=short(box, 8, wall_factor=40)).verdict is wanted


def test_case_10_cpu_burned_in_a_grandchild_ends_by_wall_time_where_a_run_may_have_one(
    box: "Box",
) -> None:
    source = "import os\ndef f():\n    if not os.fork():\n        while True: pass\n    os.wait()\n"
    assert box.call(source, limits=short(box)).verdict is Verdict.PROCESS_LIMIT
    wanted = box.if_it_may_fork(Verdict.WALL_TIMEOUT)
    assert box.call(source, limits=short(box, 8)).verdict is wanted


def test_a_loop_at_import_fails_every_cell_for_the_price_of_one(box: "Box") -> None:
    tests = tuple(CallTest(f"t{at}", "f", (), 1) for at in range(20))
    outcomes = box.matrix(
        ExecuteItem("i", (Program("c", "while True: pass"),), tests, limits=short(box))
    )
    assert [o.verdict for o in outcomes] == [Verdict.CPU_TIMEOUT] * 20
    assert len({(o.cpu_s, o.wall_s) for o in outcomes}) == 1, "one run answers for all"


def test_a_cell_that_ends_between_half_and_twice_its_limit_is_near_it(box: "Box") -> None:
    burned = 1.0 if box.place == "T3" else 0.2  # where waiting for a core counts, too
    source = f"""
import time
def f():
    end = time.process_time() + {burned}
    while time.process_time() < end: pass
    return True
"""
    outcome = box.call(source, limits=Limits(cpu_s=burned, wall_factor=50))
    assert (outcome.verdict, outcome.near_limit) == (Verdict.PASS, True)
    outcome = box.call(source, limits=Limits(cpu_s=5 * burned, wall_factor=50))
    assert (outcome.verdict, outcome.near_limit) == (Verdict.PASS, False)


def test_a_cell_that_waits_is_not_near_its_limit(box: "Box") -> None:
    source = "import time\ndef f():\n    time.sleep(0.6)\n    return True\n"
    outcome = box.call(source, limits=Limits(cpu_s=0.25, wall_factor=4))
    assert (outcome.verdict, outcome.near_limit) == (Verdict.PASS, False)


def test_statements_between_calls_have_the_cpu_time_of_one_cell_in_all(box: "Box") -> None:
    burn = "t = time.process_time()\n    while time.process_time() < t + 0.1: pass\n"
    statements = f"import time\nfor _ in range(30):\n    {burn}    assert f() == 1\n"
    limits = short(box, wall_factor=40.0)
    outcome = box.check("def f():\n    return 1\n", statements, limits)
    assert outcome.verdict is Verdict.CPU_TIMEOUT, outcome


@pytest.mark.parametrize(("each_s", "verdict"), [(0.6, Verdict.CPU_TIMEOUT), (0.3, Verdict.PASS)])
def test_a_test_and_its_program_have_the_cpu_time_of_one_cell(
    box: "Box", each_s: float, verdict: Verdict
) -> None:
    statements = f"{BURN.replace('burn', 'own')}assert burn({each_s}) and own({each_s})"
    limits = Limits(cpu_s=0.5, wall_factor=40)
    outcome = box.check(BURN, statements, limits)
    assert outcome.verdict is verdict, outcome
    assert outcome.cpu_s >= min(1.0, 2 * each_s)
    assert outcome.detail == ("more than 1 s of CPU time" if verdict is not Verdict.PASS else "")
