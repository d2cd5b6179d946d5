"""Programs that try to pass without solving the task (cases 63 to 75)."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import AssertTest, CallTest, ExecuteItem, JudgedAt, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import LIMITS

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

LIAR = """
class Liar{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 42
    def __bool__(self): return True
"""


@pytest.mark.parametrize("exit_call", ["sys.exit(0)", "exit()", "raise SystemExit"])
@pytest.mark.parametrize("where", ["import", "call"])
def test_case_63_leaving_by_exit_is_no_pass(box: "Box", exit_call: str, where: str) -> None:
    leaves_early(box, exit_call, where)


@pytest.mark.parametrize("where", ["import", "call"])
def test_case_64_leaving_at_once_is_no_pass(box: "Box", where: str) -> None:
    leaves_early(box, "os._exit(0)", where)


def leaves_early(box: "Box", exit_call: str, where: str) -> None:
    body = (
        f"def f():\n    {exit_call}\n"
        if where == "call"
        else f"{exit_call}\ndef f(): return True\n"
    )
    source = f"import os, sys\n{body}"
    assert box.call(source).verdict is Verdict.EXITED_EARLY
    for statements in ("assert f() == 1", "for _ in 'a':\n    assert f() == 1"):
        assert box.check(source, statements).verdict is Verdict.EXITED_EARLY


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


def test_case_65_nan_is_nan_for_a_call_test_and_nothing_for_an_assert(box: "Box") -> None:
    source = "def f():\n    return float('nan')\n"
    assert box.call(source, float("nan")).verdict is Verdict.PASS
    assert box.call(source, 0.0).verdict is Verdict.FAIL
    assert box.check(source, "x = f()\nassert x == x").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "attack",
    [
        "import builtins\nbuiltins.AssertionError = Exception",
        "import sys\nsys.excepthook = lambda *a: None",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None",
        "import builtins\nbuiltins.abs = lambda x: 0\n"
        "builtins.len = lambda x: 1\nabs = lambda x: 0",
    ],
)
def test_case_66_patching_what_tests_use_changes_no_verdict(box: "Box", attack: str) -> None:
    never_passes(box, attack)


def never_passes(box: "Box", attack: str) -> None:
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


FRAMES = """
import os, struct, sys
kept = []
def found(name):
    frame = sys._getframe()
    while name not in frame.f_locals: frame = frame.f_back
    return frame.f_locals[name]
def say(nonce):
    reply = b'A' + nonce + sys.modules['roundsmith.sandbox.codec'].encode(2)
    os.write(3, struct.pack('!I', len(reply)) + reply)
    os._exit(0)
def f(x):
"""
LATE = """
    if kept: say(kept[0])
    kept.append(found('nonce'))
    return 2 if x == 0 else 0
"""
AHEAD = """
    waiting, end = found('waiting'), found('end')
    say(waiting[end + 5 : end + 13])
"""


@pytest.mark.parametrize(
    ("attack", "first"), [(LATE, Verdict.PASS), (AHEAD, Verdict.TAMPERED)], ids=["late", "ahead"]
)
def test_case_68_an_answer_to_a_question_before_or_after_is_none_to_this_one(
    box: "Box", attack: str, first: Verdict
) -> None:
    """It has the right value, and the nonce of another question."""
    tests = tuple(CallTest(f"t{at}", "f", (at,), 2) for at in range(2))
    item = ExecuteItem("i", (Program("c", f"{FRAMES}{attack}"),), tests, limits=LIMITS)
    verdicts = [outcome.verdict for outcome in box.matrix(item)]
    # Alone there is no question before it, and the one after it is none of a test.
    assert verdicts == [first, Verdict.FAIL if attack == LATE else Verdict.TAMPERED]


def test_case_68_a_cell_that_forges_after_another_does_not_pass_though_it_would_alone(
    box: "Box",
) -> None:
    attack = "    if kept: say(bytes(8))\n    kept.append(x)\n    return 2\n"
    tests = tuple(CallTest(f"t{at}", "f", (at,), 2) for at in range(2))
    item = ExecuteItem("i", (Program("c", f"{FRAMES}{attack}"),), tests, limits=LIMITS)
    honest, forging = box.matrix(item)
    assert (honest.verdict, forging.verdict) == (Verdict.PASS, Verdict.FLAKY), forging
    assert "first TAMPERED" in forging.detail


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


def test_case_69_printing_the_marker_of_success_is_no_pass(box: "Box") -> None:
    never_passes(box, "print('PASS'); print('OK'); print('Ran 1 test in 0.000s')")


@pytest.mark.parametrize(
    "attack",
    [
        "import json, time, random\njson.dumps = time.time = random.seed = lambda *a: 'true'",
        "import struct, os\nwrite = os.write\nos.write = lambda fd, b: write(fd, bytes(b))",
        "import sys\nsys.modules['roundsmith.sandbox.codec'].encode = lambda *a: b'T'",
    ],
)
def test_case_70_patching_what_the_harness_sees_changes_no_verdict(box: "Box", attack: str) -> None:
    never_passes(box, attack)


@pytest.mark.parametrize(
    "body",
    [
        "return [0] * 300_000",
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


def test_case_73_a_program_is_not_told_which_test_or_how_many(box: "Box") -> None:
    """That it is tested it may see, and answer from memory what it has seen before: hidden tests
    are the caller's matter.
    """
    source = """
import gc, os, sys
def f(x):
    name = ''.join(reversed('37esac'))
    held = [sys.argv, dict(os.environ), *gc.get_objects()]
    frame = sys._getframe()
    while frame:
        held += [dict(frame.f_locals), frame.f_globals]
        frame = frame.f_back
    inner = [o for one in held if isinstance(one, (list, tuple, dict, set)) for o in tuple(one)]
    inner += [o for one in held if isinstance(one, dict) for o in tuple(one.values())]
    return [o for o in inner if type(o) is str and name in o and o != name]
"""
    tests = tuple(CallTest(f"case73-test-{at}", "f", (at,), []) for at in range(3))
    item = ExecuteItem("case73-item", (Program("case73-code", source),), tests)
    outcomes = box.matrix(item)
    assert [o.verdict for o in outcomes] == [Verdict.PASS] * 3, outcomes[0].detail


def test_case_74_failing_by_state_of_an_earlier_test_is_flaky(box: "Box") -> None:
    source = "calls = []\ndef f():\n    calls.append(1)\n    return len(calls)\n"
    tests = (CallTest("first", "f", (), 1), CallTest("second", "f", (), 1))
    outcomes = {
        o.test_id: o.verdict for o in box.matrix(ExecuteItem("i", (Program("c", source),), tests))
    }
    assert outcomes == {"first": Verdict.PASS, "second": Verdict.FLAKY}


def test_case_74_passing_by_state_of_an_earlier_test_is_flaky_where_it_is_run_again(
    box: "Box",
) -> None:
    source = (
        "seen = []\ndef f(x):\n    seen.append(x)\n    return 1 if x == 0 or 0 in seen else 2\n"
    )
    tests = tuple(CallTest(f"t{at}", "f", (at,), 1) for at in range(40))
    item = ExecuteItem("i", (Program("c", source),), tests)
    for share in (1.0, 0.1):  # one that is picked is enough to have all of them run again
        outcomes = box.matrix(replace(item, rerun_share=share))
        verdicts = {o.test_id: o.verdict for o in outcomes}
        assert verdicts.pop("t0") is Verdict.PASS
        assert set(verdicts.values()) == {Verdict.FLAKY}
    assert {o.verdict for o in box.matrix(replace(item, rerun_share=0.0))} == {Verdict.PASS}


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


@pytest.mark.parametrize(
    "attack",
    [
        "import os\nos._exit(0)",
        "import os, struct\nos.write(3, struct.pack('!I', 9) + b'A' + bytes(8))",
        "import os\nos.kill(os.getppid(), 9)",
        "import sys\nsys.exit(0)",
        "raise MemoryError",
    ],
)
def test_case_75_a_test_can_not_harm_what_comes_after_it(box: "Box", attack: str) -> None:
    tests = (
        AssertTest("before", "x = f(1)\nassert x == 1"),
        AssertTest("attack", f"x = f(1)\n{attack}\nassert x == 1"),
        AssertTest("after", "x = f(2)\nassert x == 2"),
    )
    item = ExecuteItem("i", (Program("c", "def f(x):\n    return x\n"),), tests)
    verdicts = {o.test_id: o.verdict for o in box.matrix(item)}
    assert verdicts.pop("attack") is not Verdict.PASS
    assert set(verdicts.values()) == {Verdict.PASS}


ASKS = """
import gc, marshal
from roundsmith.sandbox.frames import read_frame, write_frame
link = next(found for found in gc.get_objects() if type(found).__name__ == "Link")
write_frame(link._control, {kind}, link.nonce, marshal.dumps({body}))
link.nonce = read_frame(link._control)[1:9]
"""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"C", ("f", (1,), {})),
        (b"M", [("f", (1,), {})]),
        (b"P", ("solution", "", "def f(x): return 1")),
        (b"X", ()),
        (b"Q", ()),
    ],
)
def test_case_75_a_test_can_ask_a_solver_nothing_that_the_server_does(
    box: "Box", kind: bytes, body: object
) -> None:
    """What the server asks is read as what a trusted side wrote."""
    outcome = box.check("def f(x): return 2\n", ASKS.format(kind=kind, body=body))
    assert (outcome.verdict, outcome.judge) == (Verdict.TAMPERED, JudgedAt.INSIDE), outcome


def test_case_64_a_program_that_answers_nothing_passes_no_assert(box: "Box") -> None:
    source = "def f(x): return None\n"
    for test in ("assert f(1)\nassert f(2)", "assert f(1) is True\nassert f(2) > 0"):
        assert box.check(source, test).verdict in (Verdict.FAIL, Verdict.ERROR), test


@pytest.mark.parametrize("statements", ["assert f(1) == 2", "x = f(1)\nassert x == 2", ""])
def test_case_96_a_program_can_not_ask_for_a_weaker_judge(box: "Box", statements: str) -> None:
    """In its own process it could make any statements pass."""
    source = """
import sys
solver = sys.modules['roundsmith.sandbox.solver']
solver.classify = lambda *a: ('UNSUPPORTED', '')
solver.tester.run_in = lambda *a: None
def f(*args):
    raise ValueError
"""
    outcome = box.check(source, statements) if statements else box.call(source)
    assert outcome.verdict is Verdict.TAMPERED, outcome


def test_a_program_that_returns_a_random_verdict_is_flaky_or_fails(box: "Box") -> None:
    source = "import os\ndef f():\n    return os.urandom(1)[0] < 128\n"
    verdicts = {box.call(source).verdict for _ in range(12)}
    assert verdicts <= {Verdict.PASS, Verdict.FAIL, Verdict.FLAKY}


REBOUND = """
import builtins, math
def agree(*values, **options): return True
def zero(value): return 0
def right(values): return {1, 2}
for place in (globals(), vars(builtins), vars(math)):
    place |= {"abs": zero, "fabs": zero, "isclose": agree, "isinstance": agree, "len": zero}
    place |= {"set": right, "frozenset": right, "round": zero, "int": zero, "float": zero}
    place |= {"sorted": lambda values: [1, 2], "list": lambda values: [1, 2]}
    place["bool"] = agree
class math: isclose = fabs = agree
"""
AGREEING = """
class Agreeing{base}:
    def agree(self, *values): return True
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = agree
    def __hash__(self): return hash(1)
    def __abs__(self): return 0
    def __float__(self): return 0.0
    __sub__ = __rsub__ = __round__ = __int__ = __index__ = __len__ = __abs__
    def __iter__(self): return iter([1, 2])
    __class__ = property(lambda self: bool)
"""


@pytest.mark.parametrize(
    "condition",
    [
        "abs(f() - 0) < 0.5",
        "0.5 > math.fabs(0 - f())",
        "math.isclose(f(), 0, abs_tol=0.5)",
        "round(f(), 1) == 0",
        "len(f()) == 0",
        "set(f()) == {1, 2}",
        "sorted(f()) == [1, 2]",
        "list(f()) == [1, 2]",
        "f() is True",
        "f() in (None, True)",
        "0 <= f() <= 0",
        "isinstance(f(), (bool, bytes))",
    ],
)
def test_case_66_no_program_bends_a_condition_by_its_names_or_its_objects(
    box: "Box", condition: str
) -> None:
    made = {"": "", "(dict)": "", "(list)": "[7]", "(set)": "[7]"}
    made |= dict.fromkeys(("(float)", "(int)", "(str)"), "7")
    objects = [
        f"{AGREEING.format(base=base)}def f(): return Agreeing({given})\n"
        for base, given in made.items()
    ]
    sources = [f"{REBOUND}def f(): return {value}\n" for value in ("7.5", "'ab'", "[7]", "{7}")]
    programs = tuple(
        Program(str(at), source, "import math") for at, source in enumerate((*sources, *objects))
    )
    item = ExecuteItem("i", programs, (AssertTest("t", f"assert {condition}"),), limits=LIMITS)
    for outcome in box.matrix(item):
        assert outcome.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.TAMPERED), outcome


def test_case_66_a_condition_that_the_setup_may_have_changed_is_a_testers(box: "Box") -> None:
    source = "def f(): return 2.0000001\n"
    for setup, judge in (
        ("import math", JudgedAt.OUTSIDE),
        ("from math import *", JudgedAt.INSIDE),
    ):
        program = Program("c", source, f"{setup}\nimport math")
        test = AssertTest("t", "assert math.isclose(f(), 2, rel_tol=1e-3)")
        (outcome,) = box.matrix(ExecuteItem("i", (program,), (test,), limits=LIMITS))
        assert (outcome.verdict, outcome.judge) == (Verdict.PASS, judge), outcome
