"""Programs that try to pass without solving the task (cases 63 to 75)."""

from typing import TYPE_CHECKING

import pytest

from roundsmith.types import AssertTest, CallTest, ExecuteItem, JudgedAt, Program
from roundsmith.verdicts import Verdict

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

LIAR = """
class Liar{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 42
    def __bool__(self): return True
"""


@pytest.mark.parametrize("exit_call", ["sys.exit(0)", "os._exit(0)", "exit()", "raise SystemExit"])
@pytest.mark.parametrize("where", ["import", "call"])
def test_cases_63_and_64_leaving_early_is_no_pass(box: "Box", exit_call: str, where: str) -> None:
    body = (
        f"def f():\n    {exit_call}\n"
        if where == "call"
        else f"{exit_call}\ndef f(): return True\n"
    )
    assert box.call(f"import os, sys\n{body}").verdict is Verdict.EXITED_EARLY
    assert box.check(f"import os, sys\n{body}", "assert f() == 1").verdict is Verdict.EXITED_EARLY
    assert (
        box.check(f"import os, sys\n{body}", "for _ in 'a':\n    assert f() == 1").verdict
        is Verdict.EXITED_EARLY
    )


@pytest.mark.parametrize("base", ["", "(int)", "(str)", "(list)", "(float)", "(dict)"])
def test_case_65_an_object_that_equals_everything_equals_nothing(box: "Box", base: str) -> None:
    source = LIAR.format(base=base) + "def f():\n    return Liar()\n"
    assert box.call(source, 7).verdict is Verdict.FAIL
    assert box.call(source, [7]).verdict is Verdict.FAIL
    for statements in (
        "assert f() == 7",
        "x = f()\nassert x == 7",
        "for _ in 'a':\n    assert f() == [7]",
    ):
        assert box.check(source, statements).verdict is not Verdict.PASS, statements


def test_case_65_a_subclass_is_another_type_for_a_call_test(box: "Box") -> None:
    assert box.call("class I(int): pass\ndef f():\n    return I(7)\n", 7).verdict is Verdict.FAIL
    assert box.call("def f():\n    return True\n", 1).verdict is Verdict.FAIL
    assert box.call("def f():\n    return 1.0\n", 1).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "attack",
    [
        "import builtins\nbuiltins.AssertionError = Exception",
        "import sys\nsys.excepthook = lambda *a: None",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None",
        "import builtins\nbuiltins.abs = lambda x: 0\n"
        "builtins.len = lambda x: 1\nabs = lambda x: 0",
        "print('PASS'); print('OK')",
        "import json, time, random\njson.dumps = lambda *a: 'true'",
    ],
)
def test_cases_66_69_70_patching_the_world_changes_no_verdict(box: "Box", attack: str) -> None:
    source = f"{attack}\ndef f(x):\n    return x\n"
    for test in (
        CallTest("t", "f", (1,), 2),
        AssertTest("t", "assert f(1) == 2"),
        AssertTest("t", "assert abs(f(1) - 2) < 0.1"),
        AssertTest("t", "def check(candidate):\n    assert candidate(1) == 2\ncheck(f)"),
    ):
        outcome = box.run(source, test)
        assert outcome.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.TAMPERED), outcome


def test_case_67_the_expected_value_is_not_in_the_solver(box: "Box") -> None:
    source = """
import gc, sys
def f():
    found = gc.get_objects()
    frame = sys._getframe()
    while frame:
        found += list(frame.f_locals.values()) + list(frame.f_globals.values())
        frame = frame.f_back
    for _ in range(3):
        found += [o for held in found if isinstance(held, (list, tuple, dict))
                  for o in (held.values() if isinstance(held, dict) else held) if type(o) is int]
    return [o for o in found if type(o) is int and 918_000_000 < o < 919_000_000]
"""
    outcome = box.call(source, 918273645)
    assert (outcome.verdict, outcome.detail) == (Verdict.FAIL, "expected 918273645, got []")


def test_case_68_a_forged_answer_is_tampering(box: "Box") -> None:
    source = (
        "import os, struct\ndef f():\n"
        "    os.write(3, struct.pack('!I', 14) + b'A' + bytes(8) + b'T' + bytes(4))\n"
        "    return True\n"
    )
    assert box.call(source).verdict is Verdict.TAMPERED


def test_case_68_answering_twice_is_tampering(box: "Box") -> None:
    source = """
import os, struct, sys
def f():
    frame = sys._getframe()
    while 'nonce' not in frame.f_locals: frame = frame.f_back
    reply = b'A' + frame.f_locals['nonce'] + b'T'
    os.write(3, struct.pack('!I', len(reply)) + reply)
    return True
"""
    assert box.call(source).verdict is Verdict.TAMPERED
    tests = tuple(CallTest(f"t{at}", "f", (), True) for at in range(3))
    outcomes = box.matrix(ExecuteItem("i", (Program("c", source),), tests))
    assert [o.verdict for o in outcomes] == [Verdict.TAMPERED] * 3


@pytest.mark.parametrize(
    "junk",
    [
        "b'\\xff' * 100",
        "struct.pack('!I', 2 ** 31)",
        "struct.pack('!I', 0)",
        "struct.pack('!I', 9) + b'H' + bytes(8)",
        "struct.pack('!I', 1) + b'H'",
        "struct.pack('!I', 1) + b'!'",
        "bytes(2 ** 24)",
    ],
)
def test_case_68_junk_on_the_answer_descriptor_is_tampering(box: "Box", junk: str) -> None:
    source = f"import os, struct\ndef f():\n    os.write(3, {junk})\n    return True\n"
    assert box.call(source).verdict is Verdict.TAMPERED


def test_case_68_closing_the_answer_descriptor_is_no_pass(box: "Box") -> None:
    source = "import os, time\ndef f():\n    os.close(3)\n    time.sleep(60)\n"
    assert box.call(source).verdict is Verdict.TAMPERED


@pytest.mark.parametrize(
    "body",
    [
        "return [0] * 10 ** 6",
        "x = []\n    x.append(x)\n    return x",
        "x = []\n    for _ in range(10000): x = [x]\n    return x",
        "return 1 << (1 << 24)",
        "return (n for n in iter(int, 1))",
        "return 'x' * 10 ** 7",
        "class R:\n        def __repr__(self): raise KeyboardInterrupt\n"
        "        def __reduce__(self): raise SystemExit\n    return R()",
        "return f",
        "return {LIAR}",
    ],
)
def test_case_71_monstrous_results_fail_quietly(box: "Box", body: str) -> None:
    source = f"class LIAR: pass\ndef f():\n    {body}\n"
    assert box.call(source, 7).verdict is Verdict.FAIL
    assert box.check(source, "x = f()\nassert x == 7").verdict is not Verdict.PASS


def test_case_72_arguments_that_a_program_changes_are_fresh_for_the_next_test(box: "Box") -> None:
    source = "def f(x):\n    x.append(1)\n    return len(x)\n"
    tests = tuple(CallTest(f"t{at}", "f", ([],), 1) for at in range(4))
    outcomes = box.matrix(ExecuteItem("i", (Program("c", source),), tests))
    assert {o.verdict for o in outcomes} == {Verdict.PASS}


def test_case_74_failing_by_state_of_an_earlier_test_is_flaky(box: "Box") -> None:
    source = "calls = []\ndef f():\n    calls.append(1)\n    return len(calls)\n"
    tests = (CallTest("first", "f", (), 1), CallTest("second", "f", (), 1))
    outcomes = {
        o.test_id: o.verdict for o in box.matrix(ExecuteItem("i", (Program("c", source),), tests))
    }
    assert outcomes == {"first": Verdict.PASS, "second": Verdict.FLAKY}


def test_case_75_a_solver_can_not_reach_its_tester(box: "Box") -> None:
    source = """
import gc
def f(x):
    for o in gc.get_objects():
        if isinstance(o, dict) and 'x' in o and '__builtins__' in o: o['expected'] = x
    return x
"""
    outcome = box.check(source, "expected = 2\nx = f(1)\nassert x == expected")
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE)


def test_a_program_that_returns_a_random_verdict_is_flaky_or_fails(box: "Box") -> None:
    source = "import os\ndef f():\n    return os.urandom(1)[0] < 128\n"
    verdicts = {box.call(source).verdict for _ in range(12)}
    assert verdicts <= {Verdict.PASS, Verdict.FAIL, Verdict.FLAKY}


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
