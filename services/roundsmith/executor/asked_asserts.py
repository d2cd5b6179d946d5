"""What the asserts of a source come to: the calls that a solver is asked, and how its answers are
judged.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from roundsmith.executor.asserts import SplitAssert, split
from roundsmith.executor.conditions import Condition
from roundsmith.executor.judge import Rule, equal, text, truth
from roundsmith.executor.numbers import holds_parts
from roundsmith.executor.setups import leaves
from roundsmith.sandbox.calls import pack_calls
from roundsmith.sandbox.codec import CodecError, Node, encode, nodes
from roundsmith.sandbox.failures import describe
from roundsmith.verdicts import Verdict


class NotSplittable(Exception):
    """The answer is no plain value, so the statements must run beside the solver."""


Judgement = tuple[Verdict, str]

CALL, CALLS = b"C", b"M"
READ_ANYWAY = 2**14
# How much longer one encoding may be than another that Python calls equal (1e300 as an int).
_LONGEST_RATIO = 200
_MOST_TOLD = 80
_KEPT_SOURCES, _KEPT_CHARACTERS = 4096, 2**12


@dataclass(frozen=True, slots=True)
class AskedAsserts:
    """Kind and body of the frame, what is expected of each call, the splits, and the answer that
    has just that, where a value is all that is expected.
    """

    kind: bytes
    body: bytes
    expected: tuple[bytes, ...]
    parts: tuple[SplitAssert, ...]
    whole: bytes | None

    def means_python(self, setups: Collection[str]) -> bool:
        """Whether what the asserts have from Python is that after each of the setups, too."""
        names = frozenset[str]().union(*(part.names for part in self.parts))
        return not names or all(leaves(setup, names) for setup in setups)

    def judge(self, answer: bytes) -> Judgement:
        """The first assert that does not hold decides. All calls are made before one is compared.
        Raises NotSplittable where a tester must say, and CodecError for what is no answer.
        """
        if answer == self.whole:  # as that of a right program nearly always is
            return Verdict.PASS, ""
        if self.kind == CALL:
            return _compared(answer, self.expected[0], self.parts[0])
        found = nodes(answer)
        if found.tag == "O":  # together too large
            raise NotSplittable
        answers = members_of(found)
        if [node.tag for node in answers] != ["b"] * len(self.parts):
            raise CodecError("expected one answer for each call")
        for node, wanted, part in zip(answers, self.expected, self.parts, strict=True):
            judged = _compared(node.content, wanted, part)
            if judged[0] is not Verdict.PASS:
                return judged
        return Verdict.PASS, ""


def asked_by(source: str) -> AskedAsserts | None:
    """What the asserts of a source come to; None where they are not split. Raises CodecError."""
    return _kept_asked(source) if len(source) <= _KEPT_CHARACTERS else _asked(source)


def _asked(source: str) -> AskedAsserts | None:
    parts = split(source)
    if not parts:
        return None
    expected = tuple(encode(part.expected) for part in parts)
    calls = [(part.entry_point, part.args, part.kwargs) for part in parts]
    whole = _as_expected(expected, parts)
    if len(parts) > 1:
        return AskedAsserts(CALLS, pack_calls(calls), expected, parts, whole)
    return AskedAsserts(CALL, pack_calls(calls[0]), expected, parts, whole)


_kept_asked = lru_cache(maxsize=_KEPT_SOURCES)(_asked)
"""A round asks the tests of its tasks of program after program, in item after item."""


def _as_expected(expected: tuple[bytes, ...], parts: tuple[SplitAssert, ...]) -> bytes | None:
    """None where one asks for something else than a value, or where all are too large together.
    Literals hold no NaN, so what is the same is equal.
    """
    if any(part.truth is not None or part.condition is not None for part in parts):
        return None
    if len(parts) == 1:
        return expected[0]
    try:
        return encode(list(expected))
    except CodecError:
        return None


def _compared(answer: bytes, expected: bytes, part: SplitAssert) -> Judgement:
    if part.condition is not None:
        return _held(answer, part, part.condition)
    if part.truth is None and answer == expected:  # a literal, as in `_as_expected`
        return Verdict.PASS, ""
    if part.truth is None and len(answer) > READ_ANYWAY + _LONGEST_RATIO * len(expected):
        return Verdict.FAIL, too_long(answer, expected)
    seen, wanted = nodes(answer), nodes(expected)
    if holds_parts(seen):
        raise NotSplittable
    if part.truth is None:
        if equal(seen, wanted, Rule.PYTHON):
            return Verdict.PASS, ""
        return Verdict.FAIL, f"expected {text(wanted)}, got {text(seen)}"
    held = truth(seen)
    if held is None:
        raise NotSplittable
    if held is part.truth:
        return Verdict.PASS, ""
    return Verdict.FAIL, f"expected a value that is {part.truth}, got {text(seen)}"


def _held(answer: bytes, part: SplitAssert, condition: Condition) -> Judgement:
    if len(answer) > READ_ANYWAY:
        raise NotSplittable
    seen = nodes(answer)
    try:
        held = condition.holds(seen)
    except (TypeError, ValueError, ArithmeticError) as error:
        return Verdict.ERROR, describe(error)
    if held is None:
        raise NotSplittable
    if held:
        return Verdict.PASS, ""
    given = [*map(repr, part.args), *(f"{name}={value!r}" for name, value in part.kwargs.items())]
    call = f"{part.entry_point}({', '.join(given)[:_MOST_TOLD]})"
    return Verdict.FAIL, f"what is asserted of {call} does not hold, got {text(seen)}"


def too_long(answer: bytes, expected: bytes) -> str:
    """How a value that is longer than what is expected can be is told."""
    return f"expected {text(nodes(expected))}, got a value of {len(answer)} bytes"


def members_of(node: Node) -> tuple[Node, ...]:
    """Those of a list. Raises CodecError for anything else."""
    if node.tag != "l":
        raise CodecError("expected a list")
    members: tuple[Node, ...] = node.content
    return members
