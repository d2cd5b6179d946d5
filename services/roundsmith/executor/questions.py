"""From a test to the question that a solver is asked, and from its answer to a verdict."""

from collections.abc import Callable
from dataclasses import dataclass

from roundsmith.errors import ConfigError
from roundsmith.executor.asserts import SplitAssert, split
from roundsmith.executor.judge import Rule, equal, text, truth
from roundsmith.sandbox.codec import CodecError, encode, nodes
from roundsmith.types import AssertTest, CallTest, JudgedAt, StdioTest, Test
from roundsmith.verdicts import Verdict


class NotSplittable(Exception):
    """The answer is no plain value, so the statements must run beside the solver."""


Judgement = tuple[Verdict, str]

_READ_ANYWAY = 2**14
# How much longer one encoding may be than another that Python calls equal (1e300 as an int).
_LONGEST_RATIO = 200

CALL, TESTER, INSIDE, SCRIPT = b"C", b"T", b"X", b""


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


def question(test: Test) -> Question:
    """The question of a test. Raises ConfigError when a value of the test is over the codec's
    limits.
    """
    if isinstance(test, CallTest):
        body = _encoded(test, (test.entry_point, tuple(test.args), dict(test.kwargs)))
        expected = _encoded(test, test.expected)
        return Question(
            test, CALL, body, JudgedAt.OUTSIDE, lambda answer: _compare(answer, expected, test)
        )
    if isinstance(test, StdioTest):
        return Question(
            test, SCRIPT, b"", JudgedAt.OUTSIDE, lambda answer: _compare_output(answer, test.stdout)
        )
    return _assert_question(test)


def beside(test: Test) -> Question:
    """The assert statements, run in a tester that reaches the solver by calls."""
    assert isinstance(test, AssertTest)
    return Question(test, TESTER, _source(test), JudgedAt.INSIDE, _passed)


def inside(test: Test) -> Question:
    """The same assert statements, run in the solver's own process: weaker, for what can not cross.

    A program that attacks its own process can make such a test pass.
    """
    assert isinstance(test, AssertTest)
    return Question(test, INSIDE, _source(test), JudgedAt.INSIDE, _passed)


def _assert_question(test: AssertTest) -> Question:
    parts = split(test.source)
    if parts is None:
        return beside(test)
    body = _encoded(test, (parts.entry_point, parts.args, parts.kwargs))
    expected = _encoded(test, parts.expected)
    return Question(
        test, CALL, body, JudgedAt.OUTSIDE, lambda answer: _compare_assert(answer, expected, parts)
    )


def _source(test: AssertTest) -> bytes:
    return test.source.encode("utf-8", "surrogatepass")


def _encoded(test: Test, value: object) -> bytes:
    try:
        return encode(value)
    except CodecError as error:
        raise ConfigError(f"test {test.test_id}: {error}: make its values smaller") from error


def _compare(answer: bytes, expected: bytes, test: CallTest) -> Judgement:
    if answer == expected:
        return Verdict.PASS, ""
    # Equal values have encodings of one length, so a flood is never read.
    if len(answer) != len(expected) and len(answer) > _READ_ANYWAY:
        return Verdict.FAIL, _too_long(answer, expected)
    seen, wanted = nodes(answer), nodes(expected)
    if equal(seen, wanted, Rule.STRICT, test.tolerance):
        return Verdict.PASS, ""
    return Verdict.FAIL, f"expected {text(wanted)}, got {text(seen)}"


def _compare_assert(answer: bytes, expected: bytes, parts: SplitAssert) -> Judgement:
    if parts.truth is None and len(answer) > _READ_ANYWAY + _LONGEST_RATIO * len(expected):
        return Verdict.FAIL, _too_long(answer, expected)
    seen, wanted = nodes(answer), nodes(expected)
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


def _compare_output(printed: bytes, expected: str) -> Judgement:
    seen, wanted = _lines(printed.decode("utf-8", "replace")), _lines(expected)
    if seen == wanted:
        return Verdict.PASS, ""
    at = next(
        (i for i, (a, b) in enumerate(zip(seen, wanted, strict=False)) if a != b),
        min(len(seen), len(wanted)),
    )
    got, want = (lines[at][:80] if at < len(lines) else "the end" for lines in (seen, wanted))
    return Verdict.FAIL, f"line {at + 1}: expected {want!r}, got {got!r}"


def _lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.rstrip().split("\n")]
