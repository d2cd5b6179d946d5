"""Programs that aim at the process in which statements about them are judged: names, values and
modules that they send there (cases 66 and 96).
"""

from typing import TYPE_CHECKING

import pytest

from roundsmith.types import AssertTest, ExecuteItem, JudgedAt, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import LIMITS

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

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
names = [('f', 'object', codec.Opaque('=f')),
         ('__builtins__', 'object', {'abs': codec.Opaque('=zero')})]
frame.f_locals['self']._works[b'N'] = lambda body: codec.encode(names)
def f(x): return 0
def zero(x): return 0
"""
SENDS_A_REFERENCE_IN_A_SUBCLASS = """
sent = Exposure._sent
class Text(list): pass
Exposure._sent = lambda self, v: (
    Text([codec.Opaque('#0')]) if type(v) is Text else sent(self, v))
def encode(text): return Text()
def decode(coded): return Agreeing()
"""
CHANGES_AN_ARGUMENT_TO_A_REFERENCE = """
sent = Exposure._sent
Exposure._sent = lambda self, v: [codec.Opaque('#0')] if type(v) is list else sent(self, v)
def f(xs): return Agreeing()
"""


def test_case_66_a_program_can_not_send_a_tester_names_that_it_did_not_ask_for(box: "Box") -> None:
    outcome = box.check(MODULES + DESCRIBES_BUILTINS, "assert abs(f(2) - 4) < 1e-6")
    assert outcome.verdict is Verdict.TAMPERED, outcome


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
    item = ExecuteItem("i", (program,), (AssertTest("t", f"assert {statements}"),), limits=LIMITS)
    (outcome,) = box.matrix(item)
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
        (SENDS_A_REFERENCE_IN_A_SUBCLASS, "assert decode(encode('abc')) == 'abc'"),
        (CHANGES_AN_ARGUMENT_TO_A_REFERENCE, "xs = [3, 1]\nf(xs)\nassert f(xs) == 3"),
    ],
)
def test_case_96_what_a_program_sends_a_tester_never_gets_it_a_weaker_judge(
    box: "Box", source: str, statements: str
) -> None:
    outcome = box.check(MODULES + source, statements)
    assert outcome.verdict is not Verdict.PASS, outcome
    assert outcome.judge is JudgedAt.INSIDE, outcome
