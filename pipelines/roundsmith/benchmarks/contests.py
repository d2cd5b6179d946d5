"""What the benchmarks made of programming contests share: tests of scripts, and tests that call a
function or a method of `Solution`.

A call's result is right when it equals the expected value by Python's `==`, a tuple counted as the
list that JSON has for it (LiveCodeBench and APPS both do so; of APPS those inside it too).
"""

import ast
import json
from collections.abc import Sequence
from typing import Any

from roundsmith.benchmarks.heads import Def, parse
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.types import AssertTest, Limits, OwnLimits

SOLUTION = "Solution"
THREAD_STACK_BYTES = 2**29
"""The largest stack that programs of contests usually ask for; all of it counts as memory."""
_CALL = """
try:
    target = Solution().{name}
except NameError:
    target = {name}
got = target(*{args!r})
{plain}
want = {expected!r}
assert got == want{other}, f"expected {{want!r}}, got {{got!r}}"
"""
_OUTERMOST = "got = list(got) if isinstance(got, tuple) else got"
_AT_ANY_DEPTH = """
def plain(value):
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value
got = plain(got)
"""


def script_limits(cpu_s: float) -> OwnLimits:
    """The limits of a script's test. Many that recurse deeply run `main` in a thread, whose stack
    they choose, so there may be one besides the first.
    """
    return OwnLimits(cpu_s, Limits().memory_bytes + THREAD_STACK_BYTES, processes=2)


def call_test(
    test_id: str, name: str, args: Sequence[Any], expected: Any, limits: OwnLimits, unwrap: bool
) -> AssertTest:
    """A test that calls the function, or the method of `Solution`. With `unwrap` an expected list
    of one is also right as that one, as APPS writes it, and tuples count as lists at any depth.
    """
    one = unwrap and isinstance(expected, list) and len(expected) == 1
    other = " or got == want[0]" if one else ""
    plain = _AT_ANY_DEPTH if unwrap else _OUTERMOST
    source = _CALL.format(name=name, args=list(args), expected=expected, other=other, plain=plain)
    return AssertTest(test_id, source, limits)


def starter_head(starter: str, field: str) -> tuple[str, str]:
    """The head and the name of the function or method that starter code ends with. Raises
    BadField.
    """
    head = starter.rstrip()
    inner = len(head.splitlines()[-1]) - len(head.splitlines()[-1].lstrip()) + 4
    tree = parse(f"{head}\n{' ' * inner}pass\n", field, "code that ends with a def line")
    last = tree.body[-1]
    if isinstance(last, ast.ClassDef):
        last = last.body[-1]
    if not isinstance(last, Def):
        raise BadField(field, shown(starter), "code that ends with a def line")
    return head, last.name


def function_name(name: Any, field: str) -> str:
    """The name of a function as a row gives it; empty where it gives none. Raises BadField."""
    if name is None or name == "":
        return ""
    if not isinstance(name, str) or not name.isidentifier():
        raise BadField(field, shown(name), "the name of a function")
    return name


def decoded(text: str, field: str, expected: str) -> Any:
    """A field that holds JSON as text. Raises BadField."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadField(field, f"{shown(text, 60)} ({error})", expected) from error
