"""Objects of a program's own classes that tests look into: records, members of enumerations,
containers of a class of their own, coroutines.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import AssertTest, ExecuteItem, JudgedAt, Program, UnittestTest
from roundsmith.types import Test as AnyTest
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import LIMITS, OF_THE_TESTER

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

pytestmark = OF_THE_TESTER

PROGRAM = """
import asyncio, enum
from collections import OrderedDict, defaultdict, namedtuple
from typing import NamedTuple
Point = namedtuple('Point', 'x y')
ORIGIN = Point(0, 0)
Item = namedtuple('Item', 'index count')
class Bag(list):
    def __init__(self): self.count = 7
class Node(NamedTuple):
    value: int
    left: object = None
    def depth(self): return 1 + (self.left.depth() if self.left else 0)
    def __add__(self, other): return Node(self.value + other.value)
class Colour(enum.IntEnum):
    RED = 1
    BLUE = 2
class Mood(str, enum.Enum):
    GOOD = 'good'
class State(enum.Enum):
    OPEN = 1
class Cache(OrderedDict):
    def __init__(self, size):
        super().__init__()
        self.size = size
    def get(self, key): return self[key] if key in self else -1
    def put(self, key, value):
        self[key] = value
        if len(self) > self.size: self.popitem(last=False)
class Stack(list):
    def push(self, x): self.append(x)
    def peek(self): return self[-1]
class Letters(dict):
    def __missing__(self, key): return key.upper()
class Tags(set): pass
class Text(str):
    def __str__(self): return self
class Vector(NamedTuple):
    x: int
    def __neg__(self): return Vector(-self.x)
    def __abs__(self): return abs(self.x)
class Permission(enum.IntFlag):
    READ = 4
    WRITE = 2
class Chain(NamedTuple):
    value: int
    rest: object = None
def chain(length):
    made = None
    for at in range(length): made = Chain(at, made)
    return made
class Money:
    def __init__(self, cents): self.cents = cents
    def __iadd__(self, other):
        self.cents += other.cents
        return self
    def __format__(self, how): return f'{self.cents / 100:{how}}'
def squares():
    "All of them."
    at = 0
    while True:
        yield at * at
        at += 1
def silent(): pass
def point(): return Point(1, 2)
def nodes(): return [Node(2, Node(1)), Node(3)]
def red(): return Colour.RED
def mood(): return Mood.GOOD
def state(): return State.OPEN
def same(x): return x
def counted(): return defaultdict(lambda: 3, {1: 2})
class Wrong(Exception): pass
def wrong(): raise Wrong
async def double(x):
    await asyncio.sleep(0)
    return 2 * x
async def fail(): raise ValueError('no')
async def count(most):
    for at in range(most): yield at
class Session:
    async def __aenter__(self): return self
    async def __aexit__(self, *raised): self.closed = True
    async def ask(self): return 'answer'
"""
USES = r"""
assert point().x == 1 and point() == (1, 2) and point()[1] == 2 and point() == Point(1, 2)
assert point()._asdict() == {'x': 1, 'y': 2} and point()._replace(x=5) == (5, 2)
assert repr(point()) == 'Point(x=1, y=2)' and {point(): 3}[(1, 2)] == 3 and ORIGIN.y == 0
assert isinstance(point(), Point) and isinstance(point(), tuple) and not isinstance((1, 2), Point)
assert Item(3, 4).index == 3 and Item(3, 4).count == 4
assert point().count(2) == 1 and Bag().count == 7
import copy; p = copy.deepcopy(point()); assert p == (1, 2) and p.x == 1 and copy.copy(p) == p
import copy; s = Stack([[1]]); t = copy.deepcopy(s); s[0].append(2); s.push(3); assert t == [[1]]
import solution; assert solution.point().x == 1 and not hasattr(solution, 'nothing')
from solution import Stack as Pile, ORIGIN; assert Pile([1]).peek() == 1 and ORIGIN == (0, 0)
x, y = point(); assert (x, y) == (1, 2) and '%d %d' % point() == '1 2'
assert nodes()[0].left.value == 1 and nodes()[0].depth() == 2 and nodes()[1] == (3, None)
assert nodes()[0] == (2, (1, None)) and max(nodes(), key=lambda node: node.value).value == 3
assert nodes()[0] + nodes()[1] == (5, None) and [n.value for n in sorted(nodes())] == [2, 3]
assert red().name == 'RED' and red() == 1 and red() + 1 == 2 and 1 + red() == 2
assert red() is Colour.RED and red() is not Colour.BLUE
assert pow(Colour.BLUE, 3, 5) == 3 and divmod(7, Colour.BLUE) == (3, 1)
assert mood().value == 'good' and mood() == 'good' and mood().upper() == 'GOOD'
assert state() is State.OPEN and state().name == 'OPEN' and state() is not None
c = Cache(1); c.put(1, 5); c.put(2, 6); assert c.get(1) == -1 and c[2] == 6 and c == {2: 6}
s = Stack(); s.push(1); s.append(2); assert s == [1, 2] and s.peek() == 2 and len(s) == 2 and 1 in s
s = Stack([3, 1]); s[0] = 4; assert isinstance(s, list) and sorted(s) == [1, 4]
s = Stack([3, 1]); del s[0]; assert s + [5] == [1, 5] and s * 2 == [1, 1]
s = Stack([3]); assert s == Stack([3]) and s != Stack([4]) and s < [4] and s.index(3) == 0
s = Stack([3]); assert same(s) is s and same([s])[0] is s and s.copy() == [3]
assert [0] + Stack([1]) == [0, 1] and list(reversed(Stack([1, 2]))) == [2, 1] and not Stack()
d = Letters(a=1); assert d['a'] == 1 and d['b'] == 'B' and 'b' not in d and {**d} == {'a': 1}
t = Tags({1}); assert t | {2} == {1, 2} == {2} | t and t & Tags({3}) == set() and t - {1} == set()
t = Tags({1}); t.add(2); assert t == {1, 2} and t.issuperset({1}) and isinstance(t, set)
d = counted(); assert d[1] == 2 and d[4] == 3 and dict(d) == {1: 2, 4: 3}
t = Tags({1, 2}); assert t.difference({1}) == {2} and t.union([3]) == {1, 2, 3}
s = Stack([1]); s += [2]; s.push(3); assert s == [1, 2, 3]
assert str(Text('a')) == 'a' == f"{Text('a')}"
assert -Vector(1) == (-1,) and abs(Vector(-2)) == 2
p = Permission.READ | Permission.WRITE; assert p == 6 and Permission.READ in p and (4).real == 4
assert chain(100).rest.value == 98 and chain(3) == (2, (1, (0, None)))
m = Money(150); m += Money(50); assert m.cents == 200 and f'{m:.1f}' == '2.0'
from itertools import islice; s = squares(); assert list(islice(s, 2)) == [0, 1] and next(s) == 4
from itertools import islice; s = squares(); assert list(islice(s, 3)) == [0, 1, 4] != next(s) == 9
assert squares.__doc__ == 'All of them.' and silent.__doc__ is None
import copy; s = Stack([1]); t = copy.copy(s); t.push(2); assert s == [1] and t == [1, 2]
import copy; p = copy.deepcopy([point()]); assert p == [(1, 2)] and same(p[0]).y == p[0].y == 2
import json; assert json.dumps([Letters(a=Stack([point()]))]) == '[{"a": [[1, 2]]}]'
"""
FALSE = r"""
assert point() == (1, 3)
assert point().x == 2
assert point().z == 1
assert red() is Colour.BLUE
assert state() is None
assert Stack([1]) == [2]
assert Stack([1]) == (1,)
assert 3 in Stack([1])
assert counted() == {}
from solution import nothing
import asyncio; assert asyncio.run(double(2)) == 5
import asyncio; asyncio.run(fail())
"""
AWAITING = """
assert asyncio.run(double(2)) == 4
assert asyncio.new_event_loop().run_until_complete(double(2)) == 4

async def main(): return await asyncio.gather(double(1), asyncio.create_task(double(2)))
assert asyncio.run(main()) == [2, 4]

async def main(): return [x async for x in count(2)]
assert asyncio.run(main()) == [0, 1]

async def main():
    async with Session() as session: return session, await session.ask()
session, answer = asyncio.run(main())
assert answer == 'answer' and session.closed

try: asyncio.run(fail())
except ValueError as error: assert str(error) == 'no'
"""
METHODS = """
import unittest
class T(unittest.IsolatedAsyncioTestCase):
    async def test_awaited(self):
        self.assertEqual(await double(3), 6)
        with self.assertRaises(ValueError): await fail()
        from solution import Wrong
        with self.assertRaises(Wrong): wrong()
    def test_equal(self):
        self.assertIsInstance(point(), tuple)
        self.assertEqual(point(), (1, 2))
        self.assertTupleEqual(point(), (1, 2))
        self.assertListEqual(Stack([1]), [1])
        self.assertSetEqual(Tags({1}), {1})
        self.assertDictEqual(Cache(2), {})
        self.assertIs(red(), Colour.RED)
"""


def test_what_a_programs_class_adds_to_a_built_in_type_is_there_for_a_test(box: "Box") -> None:
    lines = [line for line in (USES + FALSE).splitlines() if line]
    tests: list[AnyTest] = [AssertTest(line, f"z = 1\n{line}") for line in lines]
    tests += [AssertTest(use, f"import asyncio\n{use}") for use in AWAITING.split("\n\n")]
    tests.append(UnittestTest("methods", METHODS))
    limits = replace(LIMITS, cpu_s=2.0)
    item = ExecuteItem("i", (Program("c", PROGRAM),), tuple(tests), limits=limits)
    for outcome in box.matrix(item):
        wrong = outcome.test_id in FALSE.splitlines()
        assert (outcome.verdict is not Verdict.PASS) is wrong, outcome
        assert outcome.judge is JudgedAt.INSIDE, outcome


LYING = """
import sys
class Agreeing:
    def __eq__(self, other): return True
    def __bool__(self): return True
yes = lambda *given: True
words = ('eq', 'ne', 'lt', 'ge', 'contains', 'len', 'bool', 'hash', 'instancecheck', 'sub')
lies = {f'__{word}__': yes for word in words}
lies |= dict(startswith=yes, endswith=yes, isdigit=yes, issuperset=yes, count=yes)
lies |= dict(__getitem__=lambda *given: Agreeing(), __iter__=lambda self: iter([3, 4]))
below = lambda base, *given: type('Lying', (base,), lies)(*given)
def text(): return below(str, 'no')
def pair(): return below(tuple, (1, 2))
def number(): return below(int, 7)
def listed(): return below(list, [1, 2])
def members(): return below(set, {1, 2})
def table(): return below(dict, {1: 2})
"""
CLAIMS_TO_BE_A_LIST = """
import sys
exposure = sys.modules['roundsmith.sandbox.exposure']
class Holder:
    def __contains__(self, key): return True
    def __len__(self): return 3
held = Holder()
exposure._changing = lambda value: 'list' if value is held else ''
exposure._OURS['own'] = lambda value: Holder()
def f(): return held
"""


@pytest.mark.parametrize(
    "use",
    [
        "text() == 'abc'",
        "text().startswith('abc')",
        "text().isdigit()",
        "pair() == (3, 4)",
        "(3, 4) == pair()",
        "3 in pair()",
        "pair()[0] == 3",
        "list(pair()) == [3, 4]",
        "pair().count(3)",
        "number() == 3",
        "number() < 3",
        "abs(number() - number()) == 1",
        "listed() == [3, 4]",
        "[3, 4] == listed()",
        "3 in listed()",
        "len(listed()) == 1",
        "listed()[0] == 3",
        "listed().count(3)",
        "list(listed()) == [3, 4]",
        "members() == {3}",
        "3 in members()",
        "members().issuperset({3})",
        "table() == {3: 4}",
        "3 in table()",
        "table()[3] == 4",
    ],
)
def test_case_65_a_class_below_a_built_in_type_can_not_answer_for_its_value(
    box: "Box", use: str
) -> None:
    outcome = box.check(LYING, f"x = 1\nassert {use}")
    assert outcome.verdict in (Verdict.FAIL, Verdict.ERROR), outcome
    assert outcome.judge is JudgedAt.INSIDE, outcome


@pytest.mark.parametrize("use", ["3 in f()", "len(f()) == 3", "f() == [3]"])
def test_case_65_what_claims_to_be_a_list_must_be_one(box: "Box", use: str) -> None:
    outcome = box.check(CLAIMS_TO_BE_A_LIST, f"x = f()\nassert isinstance(x, list) and {use}")
    assert outcome.verdict is Verdict.TAMPERED, outcome
