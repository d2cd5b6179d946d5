"""Programs that aim at the process in which statements about them are judged: names, values and
modules that they send there (cases 66 and 96).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import AssertTest, ExecuteItem, JudgedAt, Program, UnittestTest
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import LIMITS, OF_THE_TESTER

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

pytestmark = OF_THE_TESTER

CASE = "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        "

MODULES = """
import sys
codec = sys.modules['roundsmith.sandbox.codec']
Exposure = sys.modules['roundsmith.sandbox.exposure'].Exposure
class Agreeing:
    def __eq__(self, other): return True
"""
LAX = """
class Lax:
    def isclose(*values): return True
    def isabs(*values): return True
"""
DESCRIBES_BUILTINS = """
frame = sys._getframe()
while 'Solver' not in str(type(frame.f_locals.get('self'))): frame = frame.f_back
mirror = frame.f_locals['self']._exposure._mirror
def described(body):
    mirror.read(body)
    return mirror.sealed(mirror.draft(names))
frame.f_locals['self']._works[b'N'] = described
def f(x): return 0
def zero(x): return 0
names = ('f', 'object', f), ('__builtins__', 'object', {'abs': zero})
"""
SENDS_A_REFERENCE_IN_A_SUBCLASS = """
leave = Exposure.leave
class Text(tuple): pass
Exposure.leave = lambda self, v, *how: (
    codec.Lowered('#0', (codec.Opaque('#0'),)) if type(v) is Text else leave(self, v, *how))
def encode(text): return Text()
def decode(coded): return Agreeing()
"""
CHANGES_AN_ARGUMENT_TO_A_REFERENCE = """
def f(xs):
    xs[:] = [Agreeing()]
    return Agreeing()
"""


def test_case_66_a_program_can_not_send_a_tester_names_that_it_did_not_ask_for(box: "Box") -> None:
    outcome = box.check(MODULES + DESCRIBES_BUILTINS, "x = f(2)\nassert abs(x - 4) < 1e-6")
    assert outcome.verdict is Verdict.TAMPERED, outcome
    assert outcome.detail == "names that were not asked for"


@pytest.mark.parametrize(
    ("setup", "source", "statements"),
    [
        ("import math", "math = Lax()", "math.isclose(f(), 4)"),
        ("from math import isclose", "isclose = Lax.isclose", "isclose(f(), 4)"),
        ("import os.path as p", "p = Lax()", "p.isabs(f())"),
    ],
)
def test_case_66_what_the_setup_imports_is_not_the_programs_to_change(
    box: "Box", setup: str, source: str, statements: str
) -> None:
    wrong = repr("x" if "isabs" in statements else 3)
    program = Program("c", f"{LAX}{source}\ndef f(): return {wrong}\n", setup)
    item = ExecuteItem(
        "i", (program,), (AssertTest("t", f"x = 4\nassert {statements}"),), limits=LIMITS
    )
    (outcome,) = box.matrix(item)
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize(
    "statements",
    [
        "from solution import *\nassert abs(f() - 4) < 1e-6",
        "from solution import *\nassert isclose(f(), 4)",
        "import solution\nassert abs(solution.f() - 4) < 1e-6",
        "from solution import f as g\nassert isclose(g(), 4)",
    ],
)
def test_case_66_a_program_that_is_imported_changes_nothing_else(
    box: "Box", statements: str
) -> None:
    source = "__all__ = ['abs', 'isclose', 'f']\ndef f(): return 7\n"
    source += "def abs(x): return 0\ndef isclose(*values): return True\n"
    program = Program("c", source, "from math import isclose")
    item = ExecuteItem("i", (program,), (AssertTest("t", statements),), limits=LIMITS)
    (outcome,) = box.matrix(item)
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE), outcome


BENDS = """
def f(x): return 7
def max(*values): return 0
def abs(x): return 7
def sorted(values): return 7
def eval(text, *rest): return True
def range(n): return []
x = 3
"""


@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        ("assert abs(max(1.5, 2.5) - 2.5) < 1e-9", Verdict.TAMPERED),
        ("x = max(1, 2)\nassert x == 2", Verdict.TAMPERED),
        ("for x in range(3): assert sum([x]) == x", Verdict.TAMPERED),
        ("exec('def g(a): return len(a)', {})\nassert max(1, 2) == 2", Verdict.TAMPERED),
        ("def check(f): assert abs(f(2)) + 0 == 2\ncheck(f)", Verdict.FAIL),
        (
            "import importlib\nassert importlib.import_module('solution').f(2) == abs(-4)",
            Verdict.FAIL,
        ),
        ("m = __import__('solution')\nassert m.f([3, 1]) == sorted([3, 1])", Verdict.FAIL),
        ("exec('from solution import f')\nassert f(-4) == abs(-4)", Verdict.FAIL),
        ("assert eval('f(3) == 9')", Verdict.FAIL),
        ("assert eval('1 == 2')", Verdict.FAIL),
    ],
)
def test_case_66_no_name_of_a_program_stands_for_what_a_test_compares_by(
    box: "Box", statements: str, verdict: Verdict
) -> None:
    outcome = box.check(BENDS, statements)
    assert (outcome.verdict, outcome.judge) == (verdict, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize(
    "statements",
    [
        "x = max(1, 2)\nassert x == 2",
        "from solution import max\nassert abs(max(1.5, 2.5) - 2.5) < 1e-9",
        "import importlib\nassert importlib.import_module('solution').max(1, 2) == len([1, 2])",
        "x = f(2)\nassert abs(x - 4) < 1e-9",
        "def check(f): assert abs(f(2) - 4) + 0 < 1e-9\ncheck(f)",
        "assert eval('f(3) == 9')",
        "found = {}\nexec('y = f(3)', globals(), found)\nassert found['y'] == 9",
    ],
)
def test_a_program_is_asked_for_the_name_that_a_test_is_about(box: "Box", statements: str) -> None:
    source = "def f(x): return x * x\ndef max(a, b): return a if a > b else b\n"
    outcome = box.check(source, statements)
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome


ALIASES = """
Wrong, Any, All = AssertionError, Exception, BaseException
Bad = ValueError
class Invalid(AssertionError): pass
def f(x):
    if x < 0: raise {raised}
    return x
"""


@pytest.mark.parametrize("name", ["Wrong", "Any", "All"])
@pytest.mark.parametrize(
    "statements",
    [
        "try:\n    f(1)\n    assert False\nexcept {}: pass",
        "from solution import {}\ntry:\n    f(1)\n    assert False\nexcept {}: pass",
        "import unittest\nwith unittest.TestCase().assertRaises({}): assert f(1) == 2",
    ],
)
def test_case_66_no_name_of_a_program_catches_the_tests_own_failure(
    box: "Box", name: str, statements: str
) -> None:
    outcome = box.check(ALIASES.format(raised="Wrong"), statements.replace("{}", name))
    assert (outcome.verdict, outcome.judge) == (Verdict.TAMPERED, JudgedAt.INSIDE), outcome


def test_case_66_no_name_of_a_program_catches_what_the_test_raises(box: "Box") -> None:
    statements = "try:\n    f({})\n    raise ValueError('none was raised')\nexcept Bad: pass"
    outcome = box.check(ALIASES.format(raised="Bad"), statements.format(1))
    assert (outcome.verdict, outcome.judge) == (Verdict.TAMPERED, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize("name", ["Bad", "Invalid"])
def test_what_a_program_raises_is_caught_by_its_name_and_nothing_else(
    box: "Box", name: str
) -> None:
    source = ALIASES.format(raised=name)
    statements = f"try:\n    f({{}})\n    assert False, 'none'\nexcept {name}: pass"
    assert box.check(source, statements.format(-1)).verdict is Verdict.PASS
    outcome = box.check(source, statements.format(1))
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE), outcome


def test_case_66_what_a_test_defines_is_not_the_programs_to_change(box: "Box") -> None:
    setup = "def solves(x): return x == 4\n"
    program = Program("c", "def solves(x): return True\ndef f(): return 3\n", setup)
    statements = ("assert solves(f())", f"{setup}assert solves(f())")
    tests = tuple(AssertTest(str(at), text) for at, text in enumerate(statements))
    outcomes = box.matrix(ExecuteItem("i", (program,), tests, limits=LIMITS))
    assert [o.verdict for o in outcomes] == [Verdict.PASS, Verdict.FAIL]


def test_a_test_of_nothing_but_a_name_that_the_setup_imports_asks_the_programs(box: "Box") -> None:
    program = Program("c", "def gcd(a, b, c): return 7\n", "from math import gcd")
    tests = (AssertTest("t", "x = gcd(7, 14, 0)\nassert x == 7"),)
    (outcome,) = box.matrix(ExecuteItem("i", (program,), tests, limits=LIMITS))
    assert outcome.verdict is Verdict.PASS, outcome


@pytest.mark.parametrize(
    ("source", "statements"),
    [
        (SENDS_A_REFERENCE_IN_A_SUBCLASS, "assert decode(encode('abc')[0]) == 'abc'"),
        (CHANGES_AN_ARGUMENT_TO_A_REFERENCE, "xs = [3, 1]\nf(xs)\nassert f(xs) == 3"),
    ],
)
def test_case_96_what_a_program_sends_a_tester_never_gets_it_a_weaker_judge(
    box: "Box", source: str, statements: str
) -> None:
    outcome = box.check(MODULES + source, statements)
    assert outcome.verdict is not Verdict.PASS, outcome
    assert outcome.judge is JudgedAt.INSIDE, outcome


SENDS_MORE_THAN_IT_SAYS = """
import sys, collections, fractions
taught = sys.modules['roundsmith.sandbox.taught']
taught._parts_by_type[collections.deque] = lambda v: ('deque', (range(400_000), None))
taught._parts_by_type[fractions.Fraction] = lambda v: ('Fraction', ('1e3000000',))
class Agreeing:
    def __eq__(self, other): return True
def give(): return {answer}
def put(xs): xs[:] = [{answer}]
def take(x): return Agreeing()
"""


@pytest.mark.parametrize("answer", ["collections.deque()", "fractions.Fraction(1)"])
@pytest.mark.parametrize(
    "statements", ["x = give()\nassert take(x) == 3", "x = []\nput(x)\nassert take(x) == 3"]
)
def test_case_96_what_is_larger_here_than_it_was_said_is_tampering(
    box: "Box", answer: str, statements: str
) -> None:
    source = SENDS_MORE_THAN_IT_SAYS.replace("{answer}", answer)
    outcome = box.check(source, statements, replace(LIMITS, cpu_s=2.0))
    assert (outcome.verdict, outcome.judge) == (Verdict.TAMPERED, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize("use", ["take(x * x)", "take([x * x])"])
def test_case_96_what_becomes_too_large_here_is_no_verdict(box: "Box", use: str) -> None:
    source = (
        "from fractions import Fraction\nx = Fraction(2**5_000_000, 3)\n"
        "class Agreeing:\n    def __eq__(self, other): return True\n"
        "def take(x): return Agreeing()\n"
    )
    outcome = box.check(source, f"z = 1\nassert {use} == 3", replace(LIMITS, cpu_s=2.0))
    assert (outcome.verdict, outcome.judge) == (Verdict.ERROR, JudgedAt.INSIDE), outcome
    assert outcome.near_limit, "no recipe learns from it"


def test_case_96_a_module_in_place_of_a_value_gets_no_weaker_judge(box: "Box") -> None:
    source = (
        "import math\nDATA = math\nclass Agreeing:\n    def __eq__(self, other): return True\n"
        "def total(x): return Agreeing()\n"
    )
    outcome = box.check(source, "z = 1\nassert total(DATA) == 6")
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE), outcome


LEARNS_A_SET = """
class Set(set):
    def difference(self, shown):
        self |= set(shown)
        self &= set(shown)
        return set()
    symmetric_difference = difference
    def intersection(self, shown): return set(shown)
class Holder:
    held = ()
    def difference(self, shown):
        self.held = list(shown)
        return set()
    def __iter__(self): return iter(self.held)
"""
OF_TWO_VALUES = """
import sys
exposure = sys.modules['roundsmith.sandbox.exposure']
class Sorted(list): pass
answer, told = Sorted(), []
exposure._OURS['own'] = lambda value: told.append(1) or ([0, 0, 0] if told[1:] else [3, 1, 2])
def f(): return answer
"""
SENDS_A_LIST_THAT_NEVER_CHANGES = """
Exposure.leave = lambda self, *value: codec.Lowered('#0', [1])
class Answer: pass
def f(): return Answer()
"""


@pytest.mark.parametrize("name", ["Set", "Holder"])
def test_case_65_a_set_is_not_shown_the_one_that_it_is_compared_with(box: "Box", name: str) -> None:
    test = UnittestTest("t", f"{CASE}self.assertSetEqual({name}(), {{1, 2}})\n")
    outcome = box.run(LEARNS_A_SET, test)
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize(
    "use",
    [
        "s.symmetric_difference({1, 2}) == set()",
        "not s.difference({1}) and s == {1}",
        "len(s.intersection({1, 2})) == 2",
    ],
)
def test_case_65_what_a_set_has_in_common_is_found_here(box: "Box", use: str) -> None:
    outcome = box.check(LEARNS_A_SET, f"s = Set()\nassert {use}")
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE), outcome


def test_case_65_a_list_is_one_value_while_the_program_is_asked_nothing(box: "Box") -> None:
    statements = "x = f()\nassert sorted(x) == [1, 2, 3] and all(a <= b for a, b in zip(x, x[1:]))"
    outcome = box.check(OF_TWO_VALUES, statements)
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE), outcome


def test_case_65_what_may_change_is_sent_as_nothing_that_never_does(box: "Box") -> None:
    outcome = box.check(MODULES + SENDS_A_LIST_THAT_NEVER_CHANGES, "x = f()\nassert x == [1]")
    assert (outcome.verdict, outcome.judge) == (Verdict.TAMPERED, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize(
    "statements",
    [
        "try: call(lambda: 1)\nexcept BaseException: pass",
        "import contextlib\nwith contextlib.suppress(BaseException): call(lambda: 1)",
    ],
)
def test_a_test_that_catches_everything_does_not_catch_that_it_needs_another_way(
    box: "Box", statements: str
) -> None:
    outcome = box.check("def call(given): return given()\n", f"x = 1\n{statements}")
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.SAME_PROCESS), outcome


def test_case_96_a_test_that_catches_everything_does_not_catch_a_limit(box: "Box") -> None:
    source = "def f(): raise MemoryError\n"
    outcome = box.check(source, "try: f()\nexcept BaseException: pass")
    assert (outcome.verdict, outcome.judge) == (Verdict.MEMORY, JudgedAt.INSIDE), outcome


def test_a_class_of_the_tests_below_one_of_the_programs_is_run_beside_it(box: "Box") -> None:
    source = "class Animal:\n    def speak(self): return self.sound() + '!'\n"
    test = "class Dog(Animal):\n    def sound(self): return 'wuff'\nassert Dog().speak() == 'wuff!'"
    outcome = box.check(source, test)
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.SAME_PROCESS), outcome


SAYS_MUCH = """
def small(): return 'x'
def large(): return 'x' * 2**21
def long(): return [0] * 2**18
LONG = [0] * 2**18
def deep():
    made = None
    for _ in range(99): made = (made,)
    return made
def size(text): return len(text)
"""


@pytest.mark.parametrize("call", ["large()", "long()", "LONG[0]", "deep()", "size('x' * 2**21)"])
def test_case_71_what_is_too_large_to_be_sent_is_no_exception_and_gives_no_label(
    box: "Box", call: str
) -> None:
    statements = f"n = small()\ntry: {call}\nexcept Exception: pass\nassert n == 'x'"
    outcome = box.check(SAYS_MUCH, statements)
    assert (outcome.verdict, outcome.judge) == (Verdict.ERROR, JudgedAt.INSIDE), outcome
    assert outcome.near_limit, "no recipe learns from it"


@pytest.mark.parametrize(("size", "verdict"), [(900_000, Verdict.PASS), (3, Verdict.FAIL)])
def test_what_is_large_and_can_be_sent_is_judged(box: "Box", size: int, verdict: Verdict) -> None:
    statements = f"n = small()\nassert size(n * 900_000) == {size}"
    outcome = box.check(SAYS_MUCH, statements)
    assert (outcome.verdict, outcome.near_limit) == (verdict, False), outcome
