"""Runs the `unittest.TestCase` classes that a test defines, and says how each method ended."""

import sys
import warnings
from collections.abc import Iterator
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from roundsmith.sandbox.failures import SolverFailure, classify, describe, raised_in

if TYPE_CHECKING:
    import unittest

_DETAIL_CHARACTERS = 1500
_OURS, _MODULE = "unittest", "test"
ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
)


def run(namespace: dict[str, Any], test_file: str) -> list[tuple[str, bool]]:
    """(name, whether it was skipped) of every method, in the order of their names.

    Raises SolverFailure of the first method that did not pass, with what is known of all.
    """
    # Few runs need it, and a zygote without it is the smaller.
    import unittest

    class Methods(_Methods, unittest.TestResult):
        pass

    found = Methods(test_file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unittest.TestSuite(_suites(namespace)).run(found)
    if found.failed:
        kind = next(iter(found.failed.values()))[0]
        told = [f"{name}: {detail}" for name, (_, detail) in found.failed.items()]
        passed = [name for name, skipped in found.ran if not skipped]
        told += [f"passed: {', '.join(passed)}"] if passed else []
        raise SolverFailure(kind, "; ".join(told)[:_DETAIL_CHARACTERS])
    return found.ran


def compare_sets_here() -> None:
    """Has `assertSetEqual` in this process compare sets only, here: unittest's own shows the first
    object the second one, so that it may answer how they differ.
    """
    import unittest

    def compare(case: Any, first: Any, second: Any, msg: Any = None) -> None:
        sets = isinstance(first, set | frozenset) and isinstance(second, set | frozenset)
        if not sets or frozenset(first) != frozenset(second):
            case.fail(case._formatMessage(msg, f"{first!r} and {second!r} are no equal sets"))

    setattr(unittest.TestCase, "assertSetEqual", compare)  # noqa: B010


def _suites(namespace: dict[str, Any]) -> Iterator["unittest.TestSuite"]:
    import unittest

    loader = unittest.TestLoader()
    classes = [value for value in namespace.values() if isinstance(value, type)]
    # Where unittest looks for `setUpModule` and `tearDownModule`.
    sys.modules[_MODULE] = module = ModuleType(_MODULE)
    vars(module).update(namespace)
    for case in dict.fromkeys(classes):
        if issubclass(case, unittest.TestCase) and not case.__module__.startswith(_OURS):
            case.__module__ = _MODULE
            yield loader.loadTestsFromTestCase(case)


class _Methods:
    """What became of each method; of one that failed several times, by subtests, the first."""

    def __init__(self, test_file: str) -> None:
        super().__init__()
        self.shouldStop = False
        self._test_file = test_file
        self.ran: list[tuple[str, bool]] = []
        self.failed: dict[str, tuple[str, str]] = {}

    def addSuccess(self, test: "unittest.TestCase") -> None:
        self.ran.append((_name(test), False))

    def addExpectedFailure(self, test: "unittest.TestCase", err: ExcInfo) -> None:
        self.ran.append((_name(test), False))

    def addSkip(self, test: "unittest.TestCase", reason: str) -> None:
        self.ran.append((_name(test), True))

    def addUnexpectedSuccess(self, test: "unittest.TestCase") -> None:
        self._add(test, "FAIL", "passed, expected a failure")

    def addFailure(self, test: "unittest.TestCase", err: ExcInfo) -> None:
        self._failed(test, err)

    def addError(self, test: "unittest.TestCase", err: ExcInfo) -> None:
        self._failed(test, err)

    def addSubTest(
        self, test: "unittest.TestCase", subtest: "unittest.TestCase", err: ExcInfo | None
    ) -> None:
        if err is not None:
            self._failed(test, err)

    def _failed(self, test: "unittest.TestCase", err: ExcInfo) -> None:
        error = err[1]
        if not isinstance(error, BaseException):
            return
        if isinstance(error, SolverFailure):
            # The solver is gone, or the test needs another way: nothing after it says anything.
            self.shouldStop = True
        kind, detail = classify(error, self._test_file)
        if isinstance(error, AssertionError) and _OURS in raised_in(error):
            kind, detail = "FAIL", describe(error)
        self._add(test, kind, detail)

    def _add(self, test: "unittest.TestCase", kind: str, detail: str) -> None:
        self.failed.setdefault(_name(test), (kind, f"{kind} {detail}".rstrip()))


def _name(test: "unittest.TestCase") -> str:
    """`Class.method`; a fixture that failed is no test and has its own words."""
    method = getattr(test, "_testMethodName", None)
    return f"{type(test).__name__}.{method}" if method else str(test)[:80]
