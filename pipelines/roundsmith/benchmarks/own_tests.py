"""The three kinds of test in a user's own row, checked and made into the executor's tests."""

import ast
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from roundsmith.benchmarks.heads import parse
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.types import AssertTest, CallTest, StdioTest, Test, Value


class OwnTest(BaseModel):
    """`assert`, or `call` with `expect`, or `stdin` with `stdout`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    statement: str | None = Field(default=None, alias="assert")
    call: str | None = None
    expect: str | None = None
    tolerance: Annotated[float, Field(ge=0)] | None = None
    stdin: str | None = None
    stdout: str | None = None


KINDS = (
    {"assert"},
    {"call", "expect"},
    {"call", "expect", "tolerance"},
    {"stdin", "stdout"},
)


def own_tests(tests: Sequence[OwnTest | str], entry_point: str) -> tuple[Test, ...]:
    """The tests in order, with ids t0, t1, ...; raises BadField for one that can judge nothing."""
    made = tuple(_made(test, entry_point, i) for i, test in enumerate(tests))
    scripts = sum(isinstance(test, StdioTest) for test in made)
    if scripts not in (0, len(made)):
        raise BadField("tests", "stdin/stdout beside other kinds", "a task of one of the two")
    return made


def is_script(tests: Sequence[OwnTest | str]) -> bool:
    """Whether a row's tests run the program as a script."""
    return any(isinstance(test, OwnTest) and test.stdin is not None for test in tests)


def assert_sources(tests: Sequence[OwnTest | str]) -> list[str]:
    """The Python of the tests that are statements."""
    statements = [test if isinstance(test, str) else test.statement for test in tests]
    return [statement for statement in statements if statement is not None]


def _made(test: OwnTest | str, entry_point: str, at: int) -> Test:
    field, test_id = f"tests.{at}", f"t{at}"
    if isinstance(test, str):
        return _assert(test, entry_point, field, test_id)
    given = {name for name, value in test.model_dump(by_alias=True).items() if value is not None}
    if given not in KINDS:
        raise BadField(
            field, f"the fields {sorted(given)}", "assert, or call and expect, or stdin and stdout"
        )
    if test.statement is not None:
        return _assert(test.statement, entry_point, field, test_id)
    if test.call is not None and test.expect is not None:
        return _call(test.call, test.expect, test.tolerance, entry_point, field, test_id)
    return StdioTest(test_id, test.stdin or "", test.stdout or "")


def _assert(source: str, entry_point: str, field: str, test_id: str) -> Test:
    nodes = list(ast.walk(parse(source, field)))
    if not any(isinstance(node, ast.Assert) for node in nodes):
        raise BadField(field, shown(source), "an assert statement; without one any program passes")
    if not any(isinstance(node, ast.Name) and node.id == entry_point for node in nodes):
        raise BadField(field, shown(source), f"a use of {entry_point}, which the program defines")
    return AssertTest(test_id, source.strip())


def _call(
    call: str, expect: str, tolerance: float | None, name: str, field: str, test_id: str
) -> Test:
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
        tolerance,
    )


def _literal(value: ast.expr | str, field: str) -> Value:
    try:
        return ast.literal_eval(value.strip() if isinstance(value, str) else value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        text = value if isinstance(value, str) else ast.unparse(value)
        raise BadField(field, shown(text), "a Python literal (use an assert for more)") from error
