"""What honest programs are judged by in a tester: Python's own rules, for values of the standard
library, for objects of their own classes and for what they raise.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import AssertTest, ExecuteItem, JudgedAt, Program, UnittestTest
from roundsmith.types import Test as AnyTest
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import LIMITS

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

IMPORTS = """
import collections, datetime, json, sys
from decimal import Decimal
from enum import Enum
from fractions import Fraction
"""
EXPRESSIONS = """
datetime.date(2020, 1, 2)
datetime.datetime(2020, 1, 2, 3, 4, 5, 6)
datetime.datetime(2020, 1, 2, fold=1, tzinfo=datetime.timezone(datetime.timedelta(hours=-5)))
datetime.timedelta(-1, 5, 7)
Decimal('1.10')
[Fraction(1, 2)]
{datetime.date(2020, 1, 2): Decimal(1)}
range(1, 9, 2)
bytearray(b'ab')
collections.deque([1, 2], 3)
{1: 2}.items()
collections.Counter('aab')
collections.OrderedDict([(1, 2), (3, 4)])
collections.defaultdict(list, {1: [2]})
collections.defaultdict(lambda: 3, {1: 2})
int
[type(None), len, {str: list}]
"""
CLASSES = """
class Vector:
    dimensions = 1
    def __init__(self, x): self.x = x
    def __add__(self, other): return Vector(self.x + other.x)
    def __lt__(self, other): return self.x < other.x
    def __eq__(self, other): return type(other) is Vector and self.x == other.x
    def __hash__(self): return self.x
    def __repr__(self): return f'Vector({self.x})'
    def __float__(self): return float(self.x)
    def __enter__(self): return self.x
    def __exit__(self, *raised): self.x = 0
    @staticmethod
    def zero(): return Vector(0)
class Colour(Enum):
    RED = 1
def red(): return Colour.RED
def ordered(): return collections.OrderedDict([(1, 2), (3, 4)])
def letters(): return collections.Counter('aab')
def table(): return collections.defaultdict(list)
def fill(filled): filled['new'].append(1)
def count():
    at = 0
    while True:
        yield at
        at += 1
class Missing(KeyError):
    def __init__(self, name, code):
        super().__init__(name)
        self.code = code
class Other(Exception): pass
def lose(): raise Missing('a', 3)
def lose_for():
    try: [].index(3)
    except ValueError as error: raise Missing('a', 3) from error
def load(): json.loads('{')
def read(): b'\\xff'.decode()
def leave(): sys.exit(3)
"""
USES = """
assert Vector(1) + Vector(2) == Vector(3)
assert Vector(1) < Vector(2) and not Vector(2) < Vector(1)
assert len({Vector(1), Vector(1)}) == 1 and repr(Vector(1)) == 'Vector(1)'
assert isinstance(Vector(1), Vector) and not isinstance(3, Vector)
assert Vector.zero().x == 0 and Vector.dimensions == 1 and float(Vector(2)) == 2.0
v = Vector(4); v.x += 1; assert v.x == 5 and Vector(5).__dict__ == {'x': 5}
assert red() == Colour.RED and Colour['RED'].value == 1
assert ordered() != collections.OrderedDict([(3, 4), (1, 2)]) and ordered() == {3: 4, 1: 2}
c = letters(); assert c.most_common(1) == [('a', 2)] and c['z'] == 0
d = table(); assert d['z'] == [] and fill(d) is None and d['new'] == [1]
c = count(); assert next(c) == 0 and [next(c), next(c)] == [1, 2]
assert [at for at, _ in zip(count(), range(9))] == list(range(9))
"""
EXPECTS = {
    "KeyError": "lose",
    "Missing": "lose",
    "(Other, LookupError)": "lose",
    "json.JSONDecodeError": "load",
    "ValueError": "load",
    "UnicodeDecodeError": "read",
    "SystemExit": "leave",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One program and the test that it meets."""

    source: str
    test: AnyTest
    verdict: Verdict = Verdict.PASS


def cells() -> list[Cell]:
    made = []
    for expression in EXPRESSIONS.strip().splitlines():
        source = f"{IMPORTS}def f(): return {expression}\n"
        for wanted, verdict in ((expression, Verdict.PASS), ("[f()]", Verdict.FAIL)):
            statements = f"{IMPORTS}answer = f()\nassert answer == {wanted}"
            made.append(Cell(source, AssertTest(expression + wanted, statements), verdict))
    for use in USES.strip().splitlines():
        made.append(Cell(IMPORTS + CLASSES, AssertTest(use, f"x = 1\n{use}")))
    for expected, function in EXPECTS.items():
        test = f"{IMPORTS}try:\n    {function}()\n    assert False\nexcept {expected}: pass"
        made.append(Cell(IMPORTS + CLASSES, AssertTest(expected, test)))
    return made


def test_a_tester_judges_as_python_does(box: "Box") -> None:
    wanted = cells()
    programs = {
        source: Program(str(at), source) for at, source in enumerate({c.source for c in wanted})
    }
    pairs = tuple((programs[cell.source].code_id, cell.test.test_id) for cell in wanted)
    tests = tuple(cell.test for cell in wanted)
    item = ExecuteItem("i", tuple(programs.values()), tests, pairs, LIMITS)
    found = {o.test_id: (o.verdict, o.judge, o.detail) for o in box.matrix(item)}
    assert len(found) == len(wanted)
    for cell in wanted:
        verdict, judge, detail = found[cell.test.test_id]
        assert verdict is cell.verdict, (cell.test.test_id, detail)
        assert judge is JudgedAt.INSIDE, cell.test.test_id


def test_an_assert_that_is_split_has_a_tester_for_values_of_the_standard_library(
    box: "Box",
) -> None:
    source = "from fractions import Fraction\ndef f(x): return Fraction(x, 2)\n"
    outcome = box.check(source, "assert f(1) == 0.5")
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome
    assert box.check(source, "assert f(2) == 0.5").verdict is Verdict.FAIL


def test_what_an_exception_holds_is_there_for_a_test(box: "Box") -> None:
    source = """
import unittest
class T(unittest.TestCase):
    def test_raised(self):
        with self.assertRaises(Missing) as seen: lose()
        self.assertEqual((seen.exception.code, seen.exception.args), (3, ('a',)))
        self.assertIsNone(seen.exception.__cause__)
        with self.assertRaises(Missing) as seen: lose_for()
        self.assertIs(type(seen.exception.__cause__), ValueError)
        self.assertEqual(str(seen.exception.__cause__), '3 is not in list')
"""
    outcome = box.run(IMPORTS + CLASSES, UnittestTest("t", source))
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize("raised", ["unittest.SkipTest('')", "unittest.case._ShouldStop()"])
def test_case_66_a_program_can_not_have_a_method_skipped(box: "Box", raised: str) -> None:
    source = f"import unittest, unittest.case\ndef f(): raise {raised}\n"
    test = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): f()\n"
    test += "    def test_b(self): pass\n"
    outcome = box.run(source, UnittestTest("t", test))
    assert outcome.verdict is Verdict.ERROR, outcome


@pytest.mark.parametrize("use", ["abs(f() - 4) < 1e-6", "f() < 10", "f()[:2] == [1]", "f() == 3"])
def test_case_65_an_object_that_agrees_to_everything_is_shown_nothing(box: "Box", use: str) -> None:
    """Operators go to the program between two objects of its own only."""
    names = ("eq", "ne", "lt", "le", "gt", "ge", "sub", "rsub", "abs", "getitem")
    methods = "".join(f"    __{name}__ = lambda *a: Agreeing()\n" for name in names)
    source = f"class Agreeing:\n{methods}    __bool__ = lambda *a: True\n"
    outcome = box.check(f"{source}def f(): return Agreeing()\n", f"x = 1\nassert {use}")
    assert outcome.verdict in (Verdict.FAIL, Verdict.ERROR), outcome
    assert outcome.judge is JudgedAt.INSIDE, outcome


SEEDED = """
{imports}
seed(7)
first = draw()
seed(7)
assert draw() == first
"""


@pytest.mark.parametrize(
    "imports", ["from random import seed", "import random\nseed = random.seed"]
)
def test_a_seed_that_a_test_gives_is_given_to_the_program_too(box: "Box", imports: str) -> None:
    source = "import random\ndef draw(): return random.randint(1, 10 ** 9)\n"
    outcome = box.check(source, SEEDED.format(imports=imports))
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome


def test_python_functions_are_given_to_a_program_without_running_the_test_in_its_process(
    box: "Box",
) -> None:
    source = "def f(g, x): return g(x)\n"
    outcome = box.check(source, "assert f(len, [1, 2]) == 2 and f(str, 3) == '3'")
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome


def test_what_of_python_would_run_what_a_program_says_stays_with_the_program(box: "Box") -> None:
    source = "import builtins\ndef f(name): return getattr(builtins, name)\n"
    names = "eval exec compile open __import__ getattr setattr vars globals type object print"
    own = f"for name in {names!r}.split():\n    assert type(f(name)) not in (type(len), type)\n"
    outcome = box.check(source, f"{own}assert f('eval')('1 + 1') == 2 and f('eval') != eval")
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome


STATE = """
import collections
LOG, SEEN, BY_NAME, n, last = [], set(), {}, 0, (0,)
recent = collections.deque()
def f(x):
    global n, last
    n += 1
    last = (x,)
    LOG.append(x)
    SEEN.add(x)
    BY_NAME[x] = n
    recent.append(x)
def total(): return sum(LOG)
def grow(values): values.append(7)
"""


@pytest.mark.parametrize(
    "statements",
    [
        "f(1)\nassert LOG == [1]\nf(2)\nassert LOG == [1, 2] and len(LOG) == 2 and LOG[-1] == 2",
        "assert n == 0\nf(5)\nassert n == 1 and last == (5,)\nf(6)\nassert n == 2",
        "def seen(): return n, last\nf(5)\nassert seen() == (1, (5,))\nf(6)\nassert seen()[0] == 2",
        "f('a')\nassert SEEN == {'a'} and 'a' in SEEN and BY_NAME == {'a': 1}",
        "f(1)\nf(2)\nassert list(recent) == [1, 2]",
        "LOG.append(5)\nassert total() == 5\nLOG[0] = 6\nassert total() == 6\nLOG.clear()\n"
        "assert total() == 0",
        "BY_NAME['z'] = 3\nf('a')\nassert sorted(BY_NAME) == ['a', 'z']",
        "grow(LOG)\nassert total() == 7 and LOG == [7]",
        "n = 41\nf(1)\nassert n == 41",
        "log = LOG\nf(1)\nassert log is LOG and log == [1] and isinstance(log, list)",
        "from solution import LOG, f, n\nf(3)\nassert LOG == [3] and n == 0",
    ],
)
def test_a_global_of_the_program_is_what_it_is_now(box: "Box", statements: str) -> None:
    outcome = box.check(STATE, statements)
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize("statements", ["f(1)\nassert n == 1", "f(1)\nassert LOG == [1]"])
def test_a_global_that_the_program_does_not_change_is_the_same(box: "Box", statements: str) -> None:
    source = STATE.replace("n += 1", "pass").replace("LOG.append", "[].append")
    outcome = box.check(source, statements)
    assert (outcome.verdict, outcome.judge) == (Verdict.FAIL, JudgedAt.INSIDE), outcome
