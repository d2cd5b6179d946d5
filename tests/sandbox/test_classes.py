"""unittest classes: run beside the program, each method told, nothing to be won by patching."""

from typing import TYPE_CHECKING

import pytest

from roundsmith.types import JudgedAt, UnittestTest
from roundsmith.verdicts import Verdict

pytestmark = pytest.mark.places("T2", "pod")

if TYPE_CHECKING:
    from roundsmith.types import Outcome
    from tests.sandbox.conftest import Box

CLASSES = """
import unittest

class TestDouble(unittest.TestCase):
    def setUp(self):
        self.two = double(1)

    def test_two(self):
        self.assertEqual(self.two, 2)

    def test_many(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertEqual(double(n), 2 * n)

    def test_refusal(self):
        with self.assertRaises(TypeError):
            double(None)

class TestNothing(unittest.TestCase):
    @unittest.skip('not now')
    def test_later(self):
        self.fail()
"""
HONEST = "def double(n):\n    return 2 * n\n"


def outcome(box: "Box", program: str, source: str = CLASSES) -> "Outcome":
    return box.run(program, UnittestTest("t", source))


def test_classes_pass_when_every_method_does_and_their_names_are_told(box: "Box") -> None:
    found = outcome(box, HONEST)
    assert (found.verdict, found.judge) == (Verdict.PASS, JudgedAt.INSIDE), found.detail
    names = ("TestDouble.test_many", "TestDouble.test_refusal", "TestDouble.test_two")
    assert found.detail == f"passed: {', '.join(names)}"


def test_what_each_method_said_is_told_when_one_fails(box: "Box") -> None:
    found = outcome(box, "def double(n):\n    return n + 1 if n != 0 else 0\n")
    assert found.verdict is Verdict.FAIL
    assert "TestDouble.test_many: FAIL AssertionError: 3 != 4" in found.detail
    assert "passed: TestDouble.test_refusal, TestDouble.test_two" in found.detail


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("raise ValueError('no')", Verdict.ERROR),
        ("raise AssertionError('mine')", Verdict.ERROR),
        ("bytearray(2**40)", Verdict.MEMORY),
        ("while True: pass", Verdict.CPU_TIMEOUT),
        ("import os; os._exit(0)", Verdict.EXITED_EARLY),
        ("open('/etc/x', 'w')", Verdict.DENIED),
    ],
)
def test_a_method_that_does_not_end_well_gives_its_own_verdict(
    box: "Box", body: str, verdict: Verdict
) -> None:
    assert outcome(box, f"def double(n):\n    {body}\n").verdict is verdict


@pytest.mark.parametrize(
    "attack",
    [
        "import unittest\nunittest.TestCase.assertEqual = lambda *a, **k: None",
        "import unittest\nunittest.TestResult.addFailure = lambda *a: None",
        "import unittest\nunittest.TestCase.run = lambda self, result: result.addSuccess(self)",
        "import unittest\nunittest.TestSuite.run = lambda self, result: result",
        "import sys\ns = sys.modules['roundsmith.sandbox.solver']\n"
        "s.tester.run_in = lambda *a: [('TestDouble.test_two', False)]",
        "class E:\n    __eq__ = lambda *a: True\n    __ne__ = lambda *a: False\n"
        "def double(n): return E()\nraise SystemExit",
        "import sys\nsys.exit(0)",
    ],
)
def test_a_program_that_patches_unittest_in_its_process_does_not_pass(
    box: "Box", attack: str
) -> None:
    wrong = f"def double(n):\n    return 7\n{attack}\n"
    assert outcome(box, wrong).verdict is not Verdict.PASS


@pytest.mark.parametrize(
    "source",
    [
        "x = double(1)\n",
        "import unittest\nclass T(unittest.TestCase):\n    def helper(self): double(1)\n",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.skipTest('no')\n"
        "x = double(1)\n",
    ],
)
def test_classes_of_which_no_method_ran_show_nothing(box: "Box", source: str) -> None:
    found = outcome(box, HONEST, source)
    assert found.verdict is Verdict.ERROR
    assert "no method" in found.detail


FILES = """
import os, unittest
class TestFile(unittest.TestCase):
    def test_it_writes(self):
        write('here.txt')
        self.assertTrue(os.path.exists('here.txt'))
"""


def test_classes_that_look_at_the_programs_files_run_in_its_process_and_say_so(
    box: "Box",
) -> None:
    found = outcome(box, "def write(name):\n    open(name, 'w').close()\n", FILES)
    assert (found.verdict, found.judge) == (Verdict.PASS, JudgedAt.SAME_PROCESS), found.detail
    lazy = outcome(box, "def write(name):\n    pass\n", FILES)
    assert (lazy.verdict, lazy.judge) == (Verdict.FAIL, JudgedAt.SAME_PROCESS)


TOLD = """
import unittest
class TestTold(unittest.TestCase):
    def test_it_is_told(self):
        with self.{expects}:
            tell()
"""


@pytest.mark.parametrize(
    ("expects", "tells"),
    [
        ("assertWarns(UserWarning)", "import warnings; warnings.warn('late', UserWarning)"),
        ("assertWarnsRegex(UserWarning, 'late')", "import warnings; warnings.warn('late')"),
        ("assertLogs(level='INFO')", "import logging; logging.getLogger('x').info('late')"),
    ],
)
def test_classes_that_expect_warnings_or_logs_of_the_program_run_in_its_process(
    box: "Box", expects: str, tells: str
) -> None:
    source = TOLD.format(expects=expects)
    found = outcome(box, f"def tell():\n    {tells}\n", source)
    assert (found.verdict, found.judge) == (Verdict.PASS, JudgedAt.SAME_PROCESS), found.detail
    assert outcome(box, "def tell(): pass\n", source).verdict is Verdict.FAIL


OF_A_MODULE = """
import unittest
ready = False
def setUpModule():
    global ready
    ready = double(1) == 2
def tearDownModule():
    assert double(3) == 6
class TestReady(unittest.TestCase):
    def test_it_is_ready(self):
        self.assertTrue(ready)
"""


@pytest.mark.parametrize("beside", ["", "import os\n"])
def test_what_a_test_does_for_all_its_classes_is_done_and_counts(box: "Box", beside: str) -> None:
    judge = JudgedAt.SAME_PROCESS if beside else JudgedAt.INSIDE
    program = "def setUpModule(): raise ValueError('of the program')\n" + HONEST
    found = outcome(box, program, beside + OF_A_MODULE)
    assert (found.verdict, found.judge) == (Verdict.PASS, judge), found.detail
    late = outcome(box, "def double(n): return 2 if n == 1 else 0\n", beside + OF_A_MODULE)
    assert (late.verdict, late.judge) == (Verdict.FAIL, judge), late.detail
    assert "tearDownModule" in late.detail
