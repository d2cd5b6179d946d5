"""Programs that speak to the tester by hand, of lists, dicts and sets which both hold as one thing
(case 102).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import JudgedAt
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import LIMITS, OF_THE_TESTER

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

pytestmark = OF_THE_TESTER

FORGES = """
import sys
codec = sys.modules['roundsmith.sandbox.codec']
Node, O, L = codec.Node, codec.Opaque, codec.Lowered
frame = sys._getframe()
while 'Solver' not in str(type(frame.f_locals.get('self'))): frame = frame.f_back
solver, calls = frame.f_locals['self'], []
mirror = solver._exposure._mirror
def said(result=None): return (-1, result, (None,) * num_args, ())
def new(*members): return Node('l', members)
def forged(body):
    global num_args
    num_args = len(mirror.read(body)[2])
    calls.append(1)
    first, gone, changes, hashes, *what = answer(mirror._held.next)
    return codec.encode((first, *what, gone, changes, hashes), 2 ** 22, 500)
solver._works[b'D'] = forged
def f(x): pass
"""
GIVES = "z = 1\nx = [3, 1]\nf(x)\nassert True"
GIVES_A_DICT = GIVES.replace("[3, 1]", "{3: 1}")
GIVES_A_SET = GIVES.replace("[3, 1]", "{3, 1}")
GIVES_MANY = GIVES.replace("[3, 1]", "[0] * 1000")
DEEP = "made = None\nfor at in range(200): made = (made,)\n"
NOT_ONE = [
    "n, (), ((n, ((0, 0),)),), (), said()",
    "n, (), ((-1, ((0, 0),)),), (), said()",
    "n, (), ((False, ((0, 0),)),), (), said()",
    "n, (), (('0', ((0, 0),)),), (), said()",
    "n, (), ((0, ((0, 1),)), (0, ((0, 1),))), (), said()",
    "n, (), ((0, ((0, 3),)),), (), said()",
    "n, (), ((0, ((-1, 1),)),), (), said()",
    "n, (), ((0, ((0, -1),)),), (), said()",
    "n, (), ((0, ((False, True),)),), (), said()",
    "n, (), ((0, ((0.0, 1),)),), (), said()",
    "n, (), ((0, ((0, 1, 1),)),), (), said()",
    "n, (), ((0, ((0, new(1)),)),), (), said()",
    "n, (), ((0, 5),), (), said()",
    "n, (), 5, (), said()",
    "n, (), (), (), said(O(f'@{n}'))",
    "n, (), (), (), said(O('@-1'))",
    "n, (), (), (), said(O('@'))",
    "n, (), (), (), said(O('@x'))",
    "n, (), (), (), said(O('@\\u0660'))",
    "n, (), (), (), said(O('@' + '9' * 5000))",
    "n, (n,), (), (), said()",
    "n, (0, 0), (), (), said()",
    "n, ('0',), (), (), said()",
    "0, (), (), (), said()",
    "n + 1, (), (), (), said()",
    "str(n), (), (), (), said()",
    "n, (), (), (('#0',),), said()",
    "n, (), (), (('#0', '1'),), said()",
    "n, (), (), ((5, 1),), said()",
    "n, (), (), (), 5",
    "n, (), (), (), new()",
    "n, (), (), (), ()",
    "n, (), (), (), (-2, None, (None,), ())",
    "n, (), (), (), (1, None, (None,), ())",
    "n, (), (), (), (-1, None, (None, None), ())",
    "n, (), (), (), (-1, None, (), (None,) * 3)",
    "n, (), (), (), (-1, None, new(None), ())",
    "n, (), (), (), said(), 1",
    "n, (), (), (), said(L('#0', new(1)))",
    "n, (), (), (), said(Node('S', (new(),)))",
    "n, (), (), (), said(Node('S', (1, True)))",
    "n, (), (), (), said(Node('m', ((new(), 1),)))",
    "n, (), (), (), said(Node('m', ((1, 1), (1.0, 2))))",
    "n, (), (), (), said(Node('Z', (new(),)))",
    "n, (), (), (), said(Node('S', (O('#0'),)))",
    "n, (), (), (), said(Node('S', ((1, O('#0')),)))",
    "n, (), (), (), said(Node('Z', (O('#0'),)))",
    "n, (), (), (), said(made)",
]
NOT_ONE_IN_A_DICT = [
    "n, (), ((0, (new(5),)),), (), said()",
    "n, (), ((0, (new(5, 1, 5, 2),)),), (), said()",
    "n, (), ((0, ((0, 1), new(3, 2))),), (), said()",
    "n, (), ((0, ((0, 1), (0, 1))),), (), said()",
    "n, (), ((0, ((1, new(2)),)),), (), said()",
    "n, (), ((0, ((-1, new(2)),)),), (), said()",
    "n, (), ((0, (('0', new(2)),)),), (), said()",
    "n, (), ((0, ((0, new(2, 3)),)),), (), said()",
    "n, (), ((0, ((0, new(2)), (0, new(3)))),), (), said()",
    "n, (), ((0, ((0, Node('t', (2,))),)),), (), said()",
    "n, (), ((0, (new(new(), 2),)),), (), said()",
    "n, (), ((0, (new(O('#0'), 2),)),), (), said()",
    "n, (), ((0, (new(O('@0'), 2),)),), (), said()",
]
NOT_ONE_IN_A_SET = [
    "n, (), ((0, ((0, 1), (0, 1))),), (), said()",
    "n, (), ((0, (new(5, 5.0),)),), (), said()",
    "n, (), ((0, (new(new()),)),), (), said()",
    "n, (), ((0, (new(O('@0')),)),), (), said()",
    "n, (), ((0, (new(O('#0')),)),), (), said()",
]
ATTACKS = [
    (answer, test)
    for test, answers in (
        (GIVES, NOT_ONE),
        (GIVES_A_DICT, NOT_ONE_IN_A_DICT),
        (GIVES_A_SET, NOT_ONE_IN_A_SET),
        (GIVES_MANY, ["n, (), ((0, ((0, 1000),) * 1100),), (), said()"]),
    )
    for answer in answers
]


@pytest.mark.parametrize(("answer", "test"), ATTACKS)
def test_case_102_what_is_no_message_about_what_both_hold_is_tampering(
    box: "Box", answer: str, test: str
) -> None:
    source = f"{FORGES}{DEEP}def answer(n): return {answer}\n"
    outcome = box.check(source, test)
    assert (outcome.verdict, outcome.judge) == (Verdict.TAMPERED, JudgedAt.INSIDE), outcome


def test_case_102_what_is_forged_here_is_a_message_when_it_is_right(box: "Box") -> None:
    answer = "n, (), ((0, ((1, 1), new(7, new()), (0, 1))),), (), said(O('@0'))"
    test = "z = 1\nx = [3, 1]\nassert f(x) is x and x == [1, 7, [], 3]"
    outcome = box.check(f"{FORGES}def answer(n): return {answer}\n", test)
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize(
    ("quiet", "test"),
    [
        (0, "expected = [3, 1]\nf(1)"),
        (1, "expected = [3, 1]\nexpected in f\nf(1)"),
        (1, "expected = [3, 1]\ntry: f[expected]\nexcept Exception: pass\nf(1)"),
        (2, "given = [3, 1]\nf(given)\ndel given\nf(1)\nexpected = [3, 1]\nf(1)"),
    ],
)
def test_case_102_a_list_that_the_program_was_not_given_is_not_its_to_change(
    box: "Box", quiet: int, test: str
) -> None:
    changes = f"((0, (new(9),)),) if len(calls) > {quiet} else ()"
    source = f"{FORGES}def answer(n): return n, (), {changes}, (), said()\n"
    outcome = box.check(source, f"z = 1\n{test}\nassert True")
    assert (outcome.verdict, outcome.judge) == (Verdict.TAMPERED, JudgedAt.INSIDE), outcome


@pytest.mark.parametrize("test", ["f(x)\nf(1)", "f(x)\nx.append(1)\nf(1)"])
def test_case_102_what_is_let_go_is_not_changed_any_more(box: "Box", test: str) -> None:
    source = (
        f"{FORGES}def answer(n):\n    if len(calls) == 1: return n, (0,), (), (), said()\n"
        "    return n, (), ((0, (new(9),)),), (), said()\n"
    )
    outcome = box.check(source, f"x = [3]\n{test}\nassert True")
    assert (outcome.verdict, outcome.judge) == (Verdict.TAMPERED, JudgedAt.INSIDE), outcome


AGREES = """
class Agreeing:
    def __eq__(self, other): return True
    def __hash__(self): return hash(1)
    def __lt__(self, other): return True
    def __bool__(self): return True
agreeing = Agreeing()
def f(x):
    if isinstance(x, list): x[:] = [agreeing, [agreeing]]
    elif isinstance(x, set):
        x.clear()
        x.add(agreeing)
    else:
        x.clear()
        x[agreeing] = 1
"""


@pytest.mark.parametrize(
    "test",
    [
        "x = []\nf(x)\nassert x == [1, [1]]",
        "x = []\nf(x)\nassert x.count(1) == 2 or 1 in x or x.index(1) == 0",
        "x = []\nf(x)\nassert x[1] == [1]",
        "x = []\nf(x)\nassert sorted(x[1] + [1])[0] == 1 and x[0] == 1",
        "x = set()\nf(x)\nassert x == {1}",
        "x = set()\nf(x)\nassert 1 in x or x & {1} or x >= {1}",
        "x = {}\nf(x)\nassert x == {1: 1}",
        "x = {}\nf(x)\nassert x.get(1) == 1",
        "x = {1: 1}\nf(x)\nassert 1 in x",
    ],
)
def test_case_102_members_of_what_both_hold_agree_to_nothing(box: "Box", test: str) -> None:
    outcome = box.check(AGREES, f"z = 1\n{test}")
    assert outcome.verdict in (Verdict.FAIL, Verdict.ERROR), outcome
    assert outcome.judge is JudgedAt.INSIDE, outcome


CHANGES_AS_IT_IS_ASKED = """
class Key:
    def __init__(self, x): self.x = x
    def __hash__(self):
        d[len(d)] = 1
        s.append(1)
        return self.x
    def __eq__(self, other):
        d.clear()
        s.clear()
        return isinstance(other, Key) and self.x == other.x
d, s = {}, []
def both(): return d, s
def put(x): d[Key(x)] = x
def num(): return len(d) + len(s)
def empty():
    d.clear()
    s.clear()
"""


@pytest.mark.parametrize(
    "test",
    [
        "put(1)\nput(2)\nassert d",
        "k = Key(1)\nd[k] = 1\nd[k] = 2\nput(1)\nd[1] = k",
        "for at in range(40): d[Key(1)] = at",
    ],
)
def test_keys_whose_own_methods_change_what_both_hold_leave_it_whole(box: "Box", test: str) -> None:
    after = "empty()\nassert d == {} and s == []\ns.append(7)\nassert num() == 1 == len(s)"
    outcome = box.check(CHANGES_AS_IT_IS_ASKED, f"d, s = both()\n{test}\n{after}")
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome


def test_case_102_what_both_hold_for_too_long_is_no_verdict(box: "Box") -> None:
    source = "held = []\ndef keep(x): held.append(x)\ndef f(x): return x\n"
    test = "x = {at: at for at in range(50000)}\nkeep(x)\nfor at in range(9999): f(at)"
    outcome = box.check(source, test, replace(LIMITS, cpu_s=10.0))
    assert (outcome.verdict, outcome.judge) == (Verdict.ERROR, JudgedAt.INSIDE), outcome
    assert outcome.near_limit, "no recipe learns from it"


def test_a_function_that_is_put_into_what_the_program_holds_has_the_test_run_there(
    box: "Box",
) -> None:
    source = "handlers = []\ndef emit(x): return [handler(x) for handler in handlers]\n"
    test = "z = 1\nhandlers.append(lambda x: x + 1)\nassert emit(3) == [4]"
    outcome = box.check(source, test)
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.SAME_PROCESS), outcome


def test_case_102_what_the_program_does_not_hold_takes_what_is_the_tests_own(box: "Box") -> None:
    source = "def f(): return []\n"
    test = "x = f()\nx.append(lambda: 5)\nf()\nassert x[0]() == 5"
    outcome = box.check(source, test)
    assert (outcome.verdict, outcome.judge) == (Verdict.PASS, JudgedAt.INSIDE), outcome
