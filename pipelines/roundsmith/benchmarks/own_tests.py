"""The four kinds of test in a user's own row, checked and made into the executor's tests."""

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from roundsmith.benchmarks.heads import parse
from roundsmith.benchmarks.problems import BadField, BadRow, shown
from roundsmith.types import (
    AssertTest,
    CallTest,
    OutputRule,
    OwnLimits,
    StdioTest,
    Test,
    UnittestTest,
    Value,
)


class OwnTestLimits(BaseModel):
    """What a run on one test may use, where that differs from the run's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    cpu_s: Annotated[float, Field(gt=0)] | None = None
    memory_bytes: Annotated[int, Field(ge=0)] | None = None
    output_bytes: Annotated[int, Field(ge=0)] | None = None
    file_bytes: Annotated[int, Field(ge=0)] | None = None
    processes: Annotated[int, Field(ge=1)] | None = None
    wall_factor: Annotated[float, Field(ge=1)] | None = None


class OwnTest(BaseModel):
    """`assert`, which a bare text is too, or `call` with `expect`, or `unittest`, or `stdin` with
    `stdout`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    statement: str | None = Field(default=None, alias="assert")
    call: str | None = None
    expect: str | None = None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    relative_tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    unittest: str | None = None
    stdin: str | None = None
    stdout: str | None = None
    rule: Literal["lines", "tokens", "exact"] | None = None
    limits: OwnTestLimits | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_as_assert(cls, value: object) -> object:
        return {"assert": value} if isinstance(value, str) else value


_TOLERANCES = frozenset({"tolerance", "relative_tolerance"})
KINDS = {
    frozenset({"assert"}): frozenset[str](),
    frozenset({"call", "expect"}): _TOLERANCES,
    frozenset({"unittest"}): frozenset[str](),
    frozenset({"stdin", "stdout"}): _TOLERANCES | {"rule"},
}
"""What each kind needs, and what it may have besides; any may have `limits`."""


def own_tests(tests: Sequence[OwnTest], entry_point: str) -> tuple[Test, ...]:
    """The tests in order, with ids t0, t1, ...; raises BadRow with all that can judge nothing."""
    made: list[Test] = []
    bad: list[BadField] = []
    for at, test in enumerate(tests):
        try:
            made.append(_made(test, entry_point, at))
        except BadField as error:
            bad.append(error)
    if bad:
        raise BadRow(bad)
    scripts = sum(isinstance(test, StdioTest) for test in made)
    if scripts not in (0, len(made)):
        raise BadField("tests", "stdin/stdout beside other kinds", "a task of one of the two")
    return tuple(made)


def is_script(tests: Sequence[OwnTest]) -> bool:
    """Whether a row's tests run the program as a script."""
    return any(test.stdin is not None for test in tests)


def assert_sources(tests: Sequence[OwnTest]) -> list[str]:
    """The Python of the tests that are statements or classes."""
    sources = [test.statement or test.unittest for test in tests]
    return [source for source in sources if source is not None]


def _made(test: OwnTest, entry_point: str, at: int) -> Test:
    field, test_id = f"tests.{at}", f"t{at}"
    fields = test.model_dump(by_alias=True, exclude={"limits"})
    _check_kind({name for name, value in fields.items() if value is not None}, field)
    made = _of_kind(test, entry_point, field, test_id)
    if test.limits is None:
        return made
    return replace(made, limits=OwnLimits(**test.limits.model_dump()))


def _check_kind(given: set[str], field: str) -> None:
    if any(needed <= given <= needed | besides for needed, besides in KINDS.items()):
        return
    raise BadField(
        field,
        f"the fields {sorted(given)}",
        "assert, or call and expect, or unittest, or stdin and stdout",
    )


def _of_kind(test: OwnTest, entry_point: str, field: str, test_id: str) -> Test:
    if test.statement is not None:
        return _assert(test.statement, entry_point, field, test_id)
    if test.unittest is not None:
        return _unittest(test.unittest, entry_point, field, test_id)
    if test.call is not None and test.expect is not None:
        made = _call(test.call, test.expect, entry_point, field, test_id)
        return replace(made, tolerance=test.tolerance, relative_tolerance=test.relative_tolerance)
    rule = OutputRule(test.rule or OutputRule.LINES)
    if rule is not OutputRule.TOKENS and (test.tolerance, test.relative_tolerance) != (None, None):
        raise BadField(field, f"a tolerance with the rule {rule}", "the rule tokens")
    return StdioTest(
        test_id,
        test.stdin or "",
        test.stdout or "",
        rule,
        test.tolerance,
        test.relative_tolerance,
    )


def _unittest(source: str, entry_point: str, field: str, test_id: str) -> Test:
    nodes = list(ast.walk(parse(source, f"{field}.unittest")))
    classes = [node for node in nodes if isinstance(node, ast.ClassDef) and node.bases]
    if not classes:
        raise BadField(f"{field}.unittest", shown(source), "a class of unittest.TestCase")
    if not any(isinstance(node, ast.Name) and node.id == entry_point for node in nodes):
        raise BadField(f"{field}.unittest", shown(source), f"a use of {entry_point}")
    return UnittestTest(test_id, source)


def _assert(source: str, entry_point: str, field: str, test_id: str) -> Test:
    nodes = list(ast.walk(parse(source, field)))
    if not any(isinstance(node, ast.Assert) for node in nodes):
        raise BadField(field, shown(source), "an assert statement; without one any program passes")
    if not any(isinstance(node, ast.Name) and node.id == entry_point for node in nodes):
        raise BadField(field, shown(source), f"a use of {entry_point}, which the program defines")
    return AssertTest(test_id, source.strip())


def _call(call: str, expect: str, name: str, field: str, test_id: str) -> CallTest:
    body = parse(call.strip(), f"{field}.call").body
    node = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    if not (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ):
        raise BadField(f"{field}.call", shown(call), f"one call of {name}")
    kwargs = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
    if len(kwargs) < len(node.keywords) or any(isinstance(arg, ast.Starred) for arg in node.args):
        raise BadField(f"{field}.call", shown(call), "arguments written out, no * or **")
    return CallTest(
        test_id,
        name,
        tuple(_literal(arg, f"{field}.call") for arg in node.args),
        _literal(expect, f"{field}.expect"),
        {key: _literal(value, f"{field}.call") for key, value in kwargs.items()},
    )


def _literal(value: ast.expr | str, field: str) -> Value:
    try:
        return ast.literal_eval(value.strip() if isinstance(value, str) else value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        text = value if isinstance(value, str) else ast.unparse(value)
        raise BadField(field, shown(text), "a Python literal (use an assert for more)") from error
