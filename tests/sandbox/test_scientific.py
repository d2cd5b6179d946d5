"""The profile `scientific`: numpy and pandas in every child, their values across processes, and
nothing else of the folder that they lie in.
"""

import os
from typing import TYPE_CHECKING

import numpy
import pytest

from roundsmith.errors import UnknownName
from roundsmith.sandbox import packages
from roundsmith.types import (
    AssertTest,
    CallTest,
    ExecuteItem,
    JudgedAt,
    Limits,
    Program,
    UnittestTest,
)
from roundsmith.types import Test as AnyTest
from roundsmith.verdicts import Verdict

if TYPE_CHECKING:
    from roundsmith.types import Outcome
    from tests.sandbox.conftest import Box

JUDGED_ALIKE = pytest.mark.places("T2")
LIMITS = Limits(cpu_s=2.0, memory_bytes=256 * 2**20)
HEAD = "import numpy as np\nimport pandas as pd\n"


def test_a_module_of_one_file_is_found_as_its_file_even_when_it_poses_as_a_package() -> None:
    six = pytest.importorskip("six")
    assert six.__path__ == []  # what importing it does to its spec
    assert packages.find()["six"] == os.path.realpath(six.__file__)


@pytest.fixture
def sci(box: "Box") -> "Box":
    """The sandbox, where the interpreter beside it has the packages."""
    if why := box.capabilities.missing_profiles.get("scientific"):
        pytest.skip(f"{box.place}: {why}")
    return box


def outcome(box: "Box", program: str, test: AnyTest, profile: str = "scientific") -> "Outcome":
    programs = (Program("c", HEAD + program),)
    (found,) = box.matrix(ExecuteItem("i", programs, (test,), limits=LIMITS, profile=profile))
    return found


def checked(box: "Box", program: str, statements: str) -> "Outcome":
    return outcome(box, program, AssertTest("t", HEAD + statements))


@JUDGED_ALIKE
@pytest.mark.parametrize(
    ("program", "statements"),
    [
        ("def f(x): return x * 2\n", "np.testing.assert_array_equal(f(np.arange(3)), [0, 2, 4])"),
        ("def f(x): return x.T\n", "assert f(np.zeros((2, 3))).shape == (3, 2)"),
        ("def f(x): return x.mean()\n", "assert isinstance(f(np.array([1, 2])), np.float64)"),
        ("def f(x): x *= 2\n", "x = np.array([1, 2])\nf(x)\nassert x.tolist() == [2, 4]"),
        ("def f(x): return x\n", "x = np.array(['a', None], object)\nassert (f(x) == x).all()"),
        ("def f(x): x['b'] = x.a * 2\n", "d = pd.DataFrame({'a': [1]})\nf(d)\nassert d.b[0] == 2"),
        (
            "def f(d): return d.groupby('k').sum()\n",
            "d = pd.DataFrame({'k': ['x', 'y', 'x'], 'a': [1, 2, 3]})\n"
            "want = pd.DataFrame({'a': [4, 2]}, index=pd.Index(['x', 'y'], name='k'))\n"
            "pd.testing.assert_frame_equal(f(d), want)",
        ),
        (
            "def f(n): return pd.Series(range(n), pd.date_range('2020', periods=n), name='s')\n",
            "want = pd.Series([0, 1], pd.date_range('2020', periods=2), name='s')\n"
            "pd.testing.assert_series_equal(f(2), want)",
        ),
        (
            "def f(): return pd.Timestamp('2020-01-02'), pd.NaT, np.datetime64('2020-01-01')\n",
            "a, b, c = f()\nassert a.day == 2 and b is pd.NaT and c == np.datetime64('2020-01-01')",
        ),
    ],
)
def test_values_of_numpy_and_pandas_cross_to_a_test_and_back(
    sci: "Box", program: str, statements: str
) -> None:
    found = checked(sci, program, statements)
    assert (found.verdict, found.judge) == (Verdict.PASS, JudgedAt.INSIDE), found


@JUDGED_ALIKE
@pytest.mark.parametrize(
    ("program", "statements"),
    [
        ("def f(x): return x + 1\n", "np.testing.assert_array_equal(f(np.arange(3)), [0, 1, 2])"),
        ("def f(x): return x.tolist()\n", "assert f(np.zeros(3)).shape == (3,)"),
        ("def f(x): pass\n", "x = np.array([1])\nf(x)\nassert x[0] == 2"),
        ("class L:\n    __eq__ = lambda *a: True\ndef f(x): return L()\n", "assert f(1) == 2"),
        (
            "class L(np.ndarray):\n    __eq__ = lambda *a: np.True_\n"
            "def f(x): return np.zeros(2).view(L)\n",
            "x = f(1)\nassert np.array_equal(x, [1, 2])",
        ),
    ],
)
def test_wrong_values_do_not_pass(sci: "Box", program: str, statements: str) -> None:
    assert checked(sci, program, statements).verdict is not Verdict.PASS


@JUDGED_ALIKE
def test_scalars_are_compared_outside_by_value_for_an_assert_and_by_type_for_a_call(
    sci: "Box",
) -> None:
    program = "def f(x): return [np.int64(x)]\n"
    by_value = outcome(sci, program, AssertTest("t", "assert f(3) == [3]"))
    assert (by_value.verdict, by_value.judge) == (Verdict.PASS, JudgedAt.OUTSIDE)
    assert outcome(sci, program, AssertTest("t", "assert f(3) == [4]")).verdict is Verdict.FAIL
    by_type = outcome(sci, program, CallTest("t", "f", (3,), [3]))
    assert (by_type.verdict, by_type.detail) == (Verdict.FAIL, "expected [3], got [numpy's 3]")


@JUDGED_ALIKE
@pytest.mark.parametrize("kind", ["float32", "float16", "complex64"])
def test_a_number_of_less_precision_is_compared_as_numpy_does(sci: "Box", kind: str) -> None:
    program = f"def f(x): return [np.{kind}(x)]\n"
    alike = getattr(numpy, kind)(0.1) == 0.1  # from numpy 2 on
    found = outcome(sci, program, AssertTest("t", "assert f(0.1) == [0.1]"))
    assert found.verdict is (Verdict.PASS if alike else Verdict.FAIL), found
    assert found.judge is JudgedAt.INSIDE
    assert outcome(sci, program, AssertTest("t", "assert f(0.2) == [0.1]")).verdict is Verdict.FAIL


@JUDGED_ALIKE
@pytest.mark.parametrize(
    "statement",
    [
        "np.testing.assert_allclose(f(), 2.0)",
        "np.testing.assert_array_equal(f(), np.array([2.0]))",
        "pd.testing.assert_series_equal(pd.Series(f()), pd.Series([2.0]))",
        "pd.testing.assert_frame_equal(pd.DataFrame(f()), pd.DataFrame([2.0]))",
    ],
)
def test_what_numpy_or_pandas_finds_unequal_for_a_test_is_its_failure(
    sci: "Box", statement: str
) -> None:
    assert checked(sci, "def f(): return np.array([1.0])\n", statement).verdict is Verdict.FAIL
    own = checked(sci, "def f(): np.testing.assert_equal(1, 2)\n", statement)
    assert own.verdict is Verdict.ERROR, own.detail


@JUDGED_ALIKE
def test_a_seed_for_numpy_is_given_to_the_program_too(sci: "Box") -> None:
    statements = "np.random.seed(7)\nfirst = f()\nnp.random.seed(7)\nassert f() == first"
    found = checked(sci, "def f(): return int(np.random.randint(10 ** 9))\n", statements)
    assert (found.verdict, found.judge) == (Verdict.PASS, JudgedAt.INSIDE), found


@JUDGED_ALIKE
def test_unittest_classes_see_arrays(sci: "Box") -> None:
    classes = (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertTrue((f(np.arange(2)) == np.array([0, 2])).all())\n"
    )
    found = outcome(sci, "def f(x): return 2 * x\n", UnittestTest("t", HEAD + classes))
    assert (found.verdict, found.judge) == (Verdict.PASS, JudgedAt.INSIDE), found


def test_nothing_else_of_the_packages_folder_can_be_imported_or_read(sci: "Box") -> None:
    folder = os.path.dirname(os.path.dirname(os.path.realpath(numpy.__file__)))
    program = f"""
import os
def f():
    seen = []
    for work in (
        lambda: __import__('pydantic'),
        lambda: os.listdir({folder!r}),
        lambda: open({folder!r} + '/pydantic/__init__.py'),
    ):
        try:
            work()
        except (ImportError, OSError):
            seen.append('refused')
    return seen
"""
    found = outcome(sci, program, CallTest("t", "f", (), ["refused"] * 3))
    assert found.verdict is Verdict.PASS, found


def test_numerical_work_takes_one_thread_and_is_bounded(sci: "Box") -> None:
    """A second thread of its libraries would be refused, and so would end the program."""
    program = "def f(n): return np.linalg.svd(np.random.rand(n, n))[1].shape[0]\n"
    assert outcome(sci, program, CallTest("t", "f", (200,), 200)).verdict is Verdict.PASS
    large = "def f(n): return np.ones(n).sum()\n"
    assert outcome(sci, large, CallTest("t", "f", (2**30,), 1.0)).verdict is Verdict.MEMORY
    # The limit counts from what the zygote has mapped, packages included.
    fits = outcome(sci, large, CallTest("t", "f", (2**24,), 1.0))
    assert (fits.verdict, fits.detail) == (Verdict.FAIL, "expected 1.0, got numpy's 16777216.0")


def test_a_run_leaves_nothing_in_the_packages_for_the_next(sci: "Box") -> None:
    poison = "np.mean = lambda *a: 7\npd.DataFrame.sum = None\ndef f(): return np.mean([1])\n"
    assert outcome(sci, poison, CallTest("t", "f", (), 7)).verdict is Verdict.PASS
    clean = "def f(): return float(np.mean([1]))\n"
    assert outcome(sci, clean, CallTest("t", "f", (), 1.0)).verdict is Verdict.PASS


def test_the_packages_are_the_profiles_alone(sci: "Box") -> None:
    found = outcome(sci, "def f(): pass\n", CallTest("t", "f", (), None), "base")
    assert (found.verdict, "No module named 'numpy'" in found.detail) == (Verdict.ERROR, True)


def test_what_is_there_is_told_and_another_profile_is_not_found(box: "Box") -> None:
    found = box.capabilities
    assert "base" in found.profiles
    assert ("scientific" in found.profiles) != ("scientific" in found.missing_profiles)
    for name in ("fortran", *found.missing_profiles):
        why = found.missing_profiles.get(name, "")
        with pytest.raises(UnknownName) as refused:
            outcome(box, "", CallTest("t", "f", (), None), name)
        assert why in str(refused.value)
        assert f"expected one of {list(found.profiles)}" in str(refused.value)


POINTS_INTO_THE_TESTER = """
class Pointer:
    __array_interface__ = {'data': (8, False), 'shape': (2,), 'typestr': '<f8', 'version': 3}
class Pair(tuple):
    __array_interface__ = Pointer.__array_interface__
def f(): return Pointer()
def g(): return Pair((1, 2))
"""
WRAPS_A_RESULT = """
import numpy as np
class Wrapping:
    __array_priority__ = 1000.0
    def __array__(self, *given, **by_name): return np.array([7.0, 7.0])
    def __array_wrap__(self, *given): return np.zeros(2)
def f(): return Wrapping()
class Pair(tuple):
    def __array__(self, *given, **by_name): return np.array([3.0, 4.0])
def g(): return Pair((1, 2))
"""


@pytest.mark.parametrize(
    ("source", "use"),
    [
        (POINTS_INTO_THE_TESTER, "np.allclose(f(), [1, 2])"),
        (POINTS_INTO_THE_TESTER, "np.allclose(g(), [3, 4])"),
        (WRAPS_A_RESULT, "np.abs(np.subtract(np.array([1.0, 2.0]), f())).max() < 1e-6"),
        (WRAPS_A_RESULT, "np.abs(f()).max() < 1e-6"),
        (WRAPS_A_RESULT, "np.allclose(g(), [3, 4])"),
    ],
)
def test_case_96_numpy_hands_no_object_memory_of_the_tester_nor_a_result(
    sci: "Box", source: str, use: str
) -> None:
    found = checked(sci, source, f"assert {use}")
    assert found.verdict in (Verdict.FAIL, Verdict.ERROR), found
    assert found.judge is JudgedAt.INSIDE, found
