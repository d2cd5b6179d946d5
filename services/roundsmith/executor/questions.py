"""From a test to the question that a solver is asked, and from its answer to a verdict."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from roundsmith.errors import ConfigError
from roundsmith.executor.asked_asserts import (
    CALL,
    READ_ANYWAY,
    Judgement,
    asked_by,
    members_of,
    too_long,
)
from roundsmith.executor.asserts import needs_one_process
from roundsmith.executor.judge import Rule, Tolerance, equal, text
from roundsmith.executor.outputs import difference
from roundsmith.sandbox.calls import pack_calls
from roundsmith.sandbox.codec import CodecError, Node, encode, nodes
from roundsmith.sandbox.tester import ASSERT, UNITTEST
from roundsmith.types import (
    AssertTest,
    CallTest,
    JudgedAt,
    OutputRule,
    StdioTest,
    Test,
    UnittestTest,
)
from roundsmith.verdicts import Verdict

_BESIDE_EXPECTED_BYTES = 2**16
_MOST_NAMES_BYTES = 2**16

TESTER, INSIDE, SCRIPT = b"T", b"X", b""


@dataclass(frozen=True, slots=True)
class Question:
    """One cell as the sandbox sees it: the kind and body of the frame, and who reads the answer."""

    test: Test
    kind: bytes
    body: bytes
    judged_at: JudgedAt
    judge: Callable[[bytes], Judgement]
    right: bytes | None = None
    """An answer that `judge` passes, so that nothing has to be read of one that is the same byte by
    byte; None where none is known beforehand.
    """

    @property
    def stdin(self) -> bytes:
        """What a script reads."""
        return (
            self.test.stdin.encode("utf-8", "surrogatepass")
            if isinstance(self.test, StdioTest)
            else b""
        )

    @property
    def output_bytes(self) -> int:
        """What a script must be allowed to print: what is expected of it, and some beside."""
        if not isinstance(self.test, StdioTest):
            return 0
        return len(self.test.stdout.encode("utf-8", "surrogatepass")) + _BESIDE_EXPECTED_BYTES


def question(test: Test, setups: Collection[str] = ("",)) -> Question:
    """The question of a test to programs that each have one of the setups. Raises ConfigError when
    a value of the test is over the codec's limits, or when it can not be judged as it says.
    """
    match test:
        case CallTest():
            _check_tolerances(test)
            body = _call(test)
            expected = _encoded(test, test.expected)
            return Question(
                test, CALL, body, JudgedAt.OUTSIDE, lambda answer: _compare(answer, expected, test)
            )
        case StdioTest():
            _check_tolerances(test)
            return Question(
                test, SCRIPT, b"", JudgedAt.OUTSIDE, lambda answer: _compare_output(answer, test)
            )
        case AssertTest():
            return _assert_question(test, setups)
        case UnittestTest():
            return inside(test) if needs_one_process(test.source) else beside(test)


def beside(test: Test) -> Question:
    """Statements or classes, run in a tester that reaches the solver by calls."""
    return _whole(test, TESTER, JudgedAt.INSIDE)


def inside(test: Test) -> Question:
    """The same, run in the solver's own process: weaker, for what can not cross.

    A program that attacks its own process can make such a test pass.
    """
    return _whole(test, INSIDE, JudgedAt.SAME_PROCESS)


def _whole(test: Test, kind: bytes, judged_at: JudgedAt) -> Question:
    assert isinstance(test, AssertTest | UnittestTest)
    classes = isinstance(test, UnittestTest)
    body = encode((UNITTEST if classes else ASSERT, test.source), 2**31)
    return Question(test, kind, body, judged_at, _methods if classes else _passed)


def _check_tolerances(test: CallTest | StdioTest) -> None:
    tolerances = [t for t in (test.tolerance, test.relative_tolerance) if t is not None]
    if not all(t >= 0 and math.isfinite(t) for t in tolerances):
        raise ConfigError(
            f"test {test.test_id}: tolerances {tolerances}, expected finite ones of at least 0"
        )
    if tolerances and isinstance(test, StdioTest) and test.rule is not OutputRule.TOKENS:
        raise ConfigError(
            f"test {test.test_id}: a tolerance with the rule {test.rule}, expected the rule "
            f"{OutputRule.TOKENS}: numbers are compared word by word"
        )


def _assert_question(test: AssertTest, setups: Collection[str]) -> Question:
    try:
        asked = asked_by(test.source)
    except CodecError as error:
        raise _too_large(test, error) from error
    if asked is None or not asked.means_python(setups):
        return beside(test)
    return Question(test, asked.kind, asked.body, JudgedAt.OUTSIDE, asked.judge, asked.whole)


def _call(test: CallTest) -> bytes:
    try:
        return pack_calls((test.entry_point, tuple(test.args), dict(test.kwargs)))
    except CodecError as error:
        raise _too_large(test, error) from error


def _encoded(test: Test, value: object) -> bytes:
    try:
        return encode(value)
    except CodecError as error:
        raise _too_large(test, error) from error


def _too_large(test: Test, error: CodecError) -> ConfigError:
    return ConfigError(f"test {test.test_id}: {error}: make its values smaller")


def _compare(answer: bytes, expected: bytes, test: CallTest) -> Judgement:
    if answer == expected:
        return Verdict.PASS, ""
    # Equal values have encodings of one length, so a flood is never read.
    if len(answer) != len(expected) and len(answer) > READ_ANYWAY:
        return Verdict.FAIL, too_long(answer, expected)
    seen, wanted = nodes(answer), nodes(expected)
    if equal(seen, wanted, Rule.STRICT, Tolerance(test.tolerance, test.relative_tolerance)):
        return Verdict.PASS, ""
    return Verdict.FAIL, f"expected {text(wanted)}, got {text(seen)}"


def _passed(answer: bytes) -> Judgement:
    return Verdict.PASS, ""


def _methods(answer: bytes) -> Judgement:
    """What a tester says of the methods that ran: (name, whether it was skipped), none failed."""
    ran = []
    for method in members_of(nodes(answer, _MOST_NAMES_BYTES)):
        match method:
            case Node("t", (Node("s", name), Node("T" | "F", skipped))):
                ran += [] if skipped else [name]
            case _:
                raise CodecError("expected the names of methods")
    if not ran:
        return Verdict.ERROR, "no method of a unittest.TestCase ran, expected at least one"
    return Verdict.PASS, f"passed: {', '.join(ran)}"


def _compare_output(printed: bytes, test: StdioTest) -> Judgement:
    told = difference(printed, test)
    return (Verdict.FAIL, told) if told else (Verdict.PASS, "")
