"""From a test to the question that a solver is asked, and from its answer to a verdict."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from roundsmith.errors import ConfigError
from roundsmith.executor.asserts import SplitAssert, needs_one_process, split
from roundsmith.executor.judge import Rule, Tolerance, equal, text, truth
from roundsmith.executor.numbers import holds_parts
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


class NotSplittable(Exception):
    """The answer is no plain value, so the statements must run beside the solver."""


Judgement = tuple[Verdict, str]

_READ_ANYWAY = 2**14
_BESIDE_EXPECTED_BYTES = 2**16
_MOST_NAMES_BYTES = 2**16
# How much longer one encoding may be than another that Python calls equal (1e300 as an int).
_LONGEST_RATIO = 200
_KEPT_SOURCES, _KEPT_CHARACTERS = 4096, 2**12

CALL, CALLS, TESTER, INSIDE, SCRIPT = b"C", b"M", b"T", b"X", b""


@dataclass(frozen=True, slots=True)
class Question:
    """One cell as the sandbox sees it: the kind and body of the frame, and who reads the answer."""

    test: Test
    kind: bytes
    body: bytes
    judged_at: JudgedAt
    judge: Callable[[bytes], Judgement]

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


def question(test: Test) -> Question:
    """The question of a test. Raises ConfigError when a value of the test is over the codec's
    limits, or when it can not be judged as it says.
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
            return _assert_question(test)
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


def _assert_question(test: AssertTest) -> Question:
    source = test.source
    try:
        asked = _kept_asked(source) if len(source) <= _KEPT_CHARACTERS else _asked(source)
    except CodecError as error:
        raise _too_large(test, error) from error
    if asked is None:
        return beside(test)
    kind, body, expected, parts, whole = asked
    if kind == CALLS:
        return Question(
            test,
            kind,
            body,
            JudgedAt.OUTSIDE,
            lambda found: _compare_asserts(found, expected, parts, whole),
        )
    return Question(
        test,
        kind,
        body,
        JudgedAt.OUTSIDE,
        lambda answer: _compare_assert(answer, expected[0], parts[0]),
    )


Asked = tuple[bytes, bytes, tuple[bytes, ...], tuple[SplitAssert, ...], bytes | None]
"""Kind and body of the frame, what is expected of each call, the splits, and the answer to all
calls that has just that.
"""


def _asked(source: str) -> Asked | None:
    """What the asserts of a source come to; None where they are not split. Raises CodecError."""
    parts = split(source)
    if not parts:
        return None
    expected = tuple(encode(part.expected) for part in parts)
    calls = [(part.entry_point, part.args, part.kwargs) for part in parts]
    if len(parts) > 1:
        return CALLS, pack_calls(calls), expected, parts, _as_expected(expected, parts)
    return CALL, pack_calls(calls[0]), expected, parts, None


def _as_expected(expected: tuple[bytes, ...], parts: tuple[SplitAssert, ...]) -> bytes | None:
    """None where the truth of one is asked, or where all are too large together."""
    if any(part.truth is not None for part in parts):
        return None
    try:
        return encode(list(expected))
    except CodecError:
        return None


_kept_asked = lru_cache(maxsize=_KEPT_SOURCES)(_asked)
"""A round asks the tests of its tasks of program after program, in item after item."""


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
    if len(answer) != len(expected) and len(answer) > _READ_ANYWAY:
        return Verdict.FAIL, _too_long(answer, expected)
    seen, wanted = nodes(answer), nodes(expected)
    if equal(seen, wanted, Rule.STRICT, Tolerance(test.tolerance, test.relative_tolerance)):
        return Verdict.PASS, ""
    return Verdict.FAIL, f"expected {text(wanted)}, got {text(seen)}"


def _compare_asserts(
    answer: bytes,
    expected: tuple[bytes, ...],
    parts: tuple[SplitAssert, ...],
    whole: bytes | None,
) -> Judgement:
    """The first assert that does not hold decides. All calls are made before one is compared."""
    if answer == whole:  # as that of a right program nearly always is
        return Verdict.PASS, ""
    found = nodes(answer)
    if found.tag == "O":  # together too large
        raise NotSplittable
    answers = _members(found)
    if [node.tag for node in answers] != ["b"] * len(parts):
        raise CodecError("expected one answer for each call")
    for node, wanted, part in zip(answers, expected, parts, strict=True):
        judged = _compare_assert(node.content, wanted, part)
        if judged[0] is not Verdict.PASS:
            return judged
    return Verdict.PASS, ""


def _compare_assert(answer: bytes, expected: bytes, parts: SplitAssert) -> Judgement:
    # A literal holds no NaN, so what is the same is equal.
    if parts.truth is None and answer == expected:
        return Verdict.PASS, ""
    if parts.truth is None and len(answer) > _READ_ANYWAY + _LONGEST_RATIO * len(expected):
        return Verdict.FAIL, _too_long(answer, expected)
    seen, wanted = nodes(answer), nodes(expected)
    if holds_parts(seen):
        raise NotSplittable
    if parts.truth is None:
        if equal(seen, wanted, Rule.PYTHON):
            return Verdict.PASS, ""
        return Verdict.FAIL, f"expected {text(wanted)}, got {text(seen)}"
    held = truth(seen)
    if held is None:
        raise NotSplittable
    if held is parts.truth:
        return Verdict.PASS, ""
    return Verdict.FAIL, f"expected a value that is {parts.truth}, got {text(seen)}"


def _too_long(answer: bytes, expected: bytes) -> str:
    return f"expected {text(nodes(expected))}, got a value of {len(answer)} bytes"


def _passed(answer: bytes) -> Judgement:
    return Verdict.PASS, ""


def _methods(answer: bytes) -> Judgement:
    """What a tester says of the methods that ran: (name, whether it was skipped), none failed."""
    ran = []
    for method in _members(nodes(answer, _MOST_NAMES_BYTES)):
        match method:
            case Node("t", (Node("s", name), Node("T" | "F", skipped))):
                ran += [] if skipped else [name]
            case _:
                raise CodecError("expected the names of methods")
    if not ran:
        return Verdict.ERROR, "no method of a unittest.TestCase ran, expected at least one"
    return Verdict.PASS, f"passed: {', '.join(ran)}"


def _members(node: Node) -> tuple[Node, ...]:
    if node.tag != "l":
        raise CodecError("expected a list")
    members: tuple[Node, ...] = node.content
    return members


def _compare_output(printed: bytes, test: StdioTest) -> Judgement:
    told = difference(printed, test)
    return (Verdict.FAIL, told) if told else (Verdict.PASS, "")
