"""Programs and tests that aim at the code around them: compiler, parser, judge, messages (cases 90
to 94).
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import (
    AssertTest,
    CallTest,
    ExecuteItem,
    JudgedAt,
    Outcome,
    Program,
    UnittestTest,
)
from roundsmith.verdicts import Verdict
from roundsmith.wire import from_message, to_message
from tests.sandbox.conftest import LIMITS, PATIENCE_S

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box


@pytest.mark.parametrize(
    "body",
    [
        "return 1 << 2 ** 22",
        "return {float(at) for at in range(20000)}",
        "return [{(at, str(at)): at for at in range(3000)}]",
        "return {2 ** 61 * at - at for at in range(800)}",
        "return [1e300] * 40000",
        "return '\\ud800' * 300000",
        "x = ()\n    for _ in range(50): x = (x, 1)\n    return x",
    ],
)
def test_case_90_an_answer_that_is_dear_to_compare_holds_nobody_up(box: "Box", body: str) -> None:
    programs = (Program("dear", f"def f():\n    {body}\n"), Program("cheap", "def f(): return 1\n"))
    for test in (CallTest("t", "f", (), 1), AssertTest("t", "assert f() == 1")):
        outcomes = box.matrix(ExecuteItem("i", programs, (test,), limits=LIMITS))
        verdicts = {o.code_id: o.verdict for o in outcomes}
        assert verdicts == {"dear": Verdict.FAIL, "cheap": Verdict.PASS}
        assert all(len(o.detail) < 400 for o in outcomes)


COLLIDING = """
import struct, sys
solver = sys.modules['roundsmith.sandbox.solver']
encode, head = solver.encode, lambda tag, count: tag + struct.pack('!I', count)
keys = (at * (2 ** 61 - 1) for at in range(1, 60001))
dear = head(b'm', 60000) + b''.join(encode(key) + b'N' for key in keys)
"""
"""A dict whose keys have one hash, of nearly a MiB: to make it takes half a minute."""


def test_case_90_a_failure_that_is_dear_to_read_holds_nobody_up(box: "Box") -> None:
    dear = f"{COLLIDING}solver.encode = lambda value: head(b't', 2) + encode('ERROR') + dear\n"
    programs = (
        Program("dear", f"{dear}def f(): raise ValueError\n"),
        Program("cheap", "def f(): return 1\n"),
    )
    limits, began = replace(LIMITS, cpu_s=2.0), time.monotonic()
    tests = tuple(CallTest(f"t{at}", "f", (), 1) for at in range(8))
    outcomes = box.matrix(ExecuteItem("i", programs, tests, limits=limits))
    verdicts = {(o.code_id, o.verdict) for o in outcomes}
    assert verdicts == {("dear", Verdict.TAMPERED), ("cheap", Verdict.PASS)}
    assert time.monotonic() - began < PATIENCE_S


@pytest.mark.parametrize("said", ["dear", "encode(5)", "encode([5])", "encode([('t', 1)])"])
def test_case_90_what_is_no_list_of_methods_is_tampering_and_fails_no_other_program(
    box: "Box", said: str
) -> None:
    methods = "import sys, unittest\nclass T(unittest.TestCase):\n    def test_f(self): f()\n"
    programs = (
        Program("odd", f"{COLLIDING}solver.encode = lambda value: {said}\ndef f(): pass\n"),
        Program("even", "def f(): pass\n"),
    )
    limits = replace(LIMITS, cpu_s=2.0)
    item = ExecuteItem("i", programs, (UnittestTest("t", methods),), limits=limits)
    outcomes = box.matrix(item)
    verdicts = {o.code_id: (o.verdict, o.judge) for o in outcomes}
    assert verdicts == {
        "odd": (Verdict.TAMPERED, JudgedAt.SAME_PROCESS),
        "even": (Verdict.PASS, JudgedAt.SAME_PROCESS),
    }


SOURCES = {
    "nul": "def f(): return 1\0",
    "half character": "def f(): return '\ud800'",
    "cookie": "# coding: nosuch\ndef f(): return 1",
    "parentheses": "x = " + "(" * 60000 + ")" * 60000,
    "minus": "x = " + "-" * 60000 + "1",
    "attributes": "x = y" + ".a" * 60000,
    "sum": "x = " + "+".join(["1"] * 60000),
    "nested": "".join(" " * at + "if 1:\n" for at in range(99)) + " " * 99 + "1",
    "power": "x = 9 ** 9 ** 9",
    "repeat": "x = 'x' * 10 ** 12",
    "digits": "x = " + "9" * 10**5,
    "lambda": "x = " + "lambda: " * 30000 + "1",
}


@pytest.mark.parametrize("name", SOURCES)
def test_case_91_a_source_that_breaks_the_compiler_breaks_its_own_run(
    box: "Box", name: str
) -> None:
    pids = box.supervisor_pids
    outcome = box.call(SOURCES[name] + "\n", 1)
    assert outcome.verdict not in (Verdict.PASS, Verdict.INFRA_ERROR) or name == "cookie", outcome
    assert box.supervisor_pids == pids


@pytest.mark.parametrize("name", SOURCES)
def test_case_92_a_test_that_breaks_the_parser_breaks_nothing_of_the_server(
    box: "Box", name: str
) -> None:
    """The server itself parses assert tests, which a model may have written."""
    program = Program("c", "def f(x=1): return x\n")
    statements = SOURCES[name].replace("x = ", "assert f() == ")
    tests = (AssertTest("broken", statements), AssertTest("whole", "assert f() == 1"))
    outcomes = box.matrix(ExecuteItem("i", (program,), tests, limits=LIMITS))
    verdicts = {o.test_id: o.verdict for o in outcomes}
    assert verdicts["whole"] is Verdict.PASS
    assert verdicts["broken"] is not Verdict.INFRA_ERROR


def test_case_92_a_test_that_is_large_is_never_parsed_by_the_server(box: "Box") -> None:
    small, large = (f"assert f() == {'x' * size!r}" for size in (10, 70_000))
    program = Program("c", "def f(): return 'x' * 70_000")
    tests = (AssertTest("small", small), AssertTest("large", large))
    patient = replace(LIMITS, cpu_s=20.0, wall_factor=20.0)
    outcomes = box.matrix(ExecuteItem("i", (program,), tests, limits=patient))
    found = {o.test_id: (o.verdict, o.judge) for o in outcomes}
    assert found["small"] == (Verdict.FAIL, JudgedAt.OUTSIDE)
    assert found["large"] == (Verdict.PASS, JudgedAt.INSIDE)


@pytest.mark.parametrize("kind", ["PASS", "INFRA_ERROR", "CANCELLED", "FLAKY", "nosuch"])
def test_case_93_a_program_can_claim_failures_of_its_own_only(box: "Box", kind: str) -> None:
    source = f"""
import os, struct, sys
def f():
    frame = sys._getframe()
    while 'nonce' not in frame.f_locals: frame = frame.f_back
    encode = sys.modules['roundsmith.sandbox.codec'].encode
    reply = b'E' + frame.f_locals['nonce'] + encode(({kind!r}, 'so I say'))
    os.write(3, struct.pack('!I', len(reply)) + reply)
    os._exit(0)
"""
    assert box.call(source).verdict is Verdict.TAMPERED
    assert box.call(source.replace(repr(kind), repr("MEMORY"))).verdict is Verdict.MEMORY
    assert box.call(source.replace("b'E'", "b'F'")).verdict is Verdict.TAMPERED


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('\\ud800\\0\\n' * 10 ** 5)",
        "raise type('E' * 10 ** 5, (Exception,), {})",
        "raise type('E', (Exception,), {'__str__': lambda self: os._exit(0)})",
        "raise type('E', (Exception,), {'__str__': lambda self: 7 // 0})",
        "raise type('E', (BaseException,), {'__class__': SystemExit})",
        "error = ValueError()\n    error.__cause__ = error\n    raise error",
    ],
)
def test_case_94_whatever_an_exception_says_its_outcome_can_be_sent(box: "Box", body: str) -> None:
    outcome = box.call(f"import os\ndef f():\n    {body}\n")
    assert outcome.verdict in (Verdict.ERROR, Verdict.EXITED_EARLY), outcome
    assert "\n" not in outcome.detail
    assert from_message(Outcome, to_message(outcome)).detail == outcome.detail
