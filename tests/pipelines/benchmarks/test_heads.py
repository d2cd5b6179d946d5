"""Heads and indentation: what moves, what stays, and that nothing changes its meaning."""

import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.benchmarks.heads import arrange
from roundsmith.benchmarks.problems import BadField
from roundsmith.benchmarks.reindent import reindent

NOTHING = frozenset[str]()


def test_imports_and_constants_stay_and_helpers_move() -> None:
    code = (
        "import math\nR = 3\ndef helper(x):\n    return x\n\n"
        "# the answer\ndef f(x):\n    return helper(x) + R\nS = 1\n"
    )
    found = arrange(code, "f", NOTHING, "code")
    assert found.head == "import math\nR = 3\n# the answer\ndef f(x):"
    assert found.reference == (
        "import math\nR = 3\n# the answer\ndef f(x):\n    return helper(x) + R\n\n"
        "def helper(x):\n    return x\n\nS = 1\n"
    )


def test_what_runs_at_import_keeps_what_it_uses() -> None:
    code = (
        "def table():\n    return [1]\ndef deco(f):\n    return f\ndef lost(): pass\n"
        "T = table()\nclass A: pass\nclass B(A): pass\n@deco\ndef f(b=B()):\n    return T\n"
    )
    found = arrange(code, "f", frozenset({"B", "deco"}), "code")
    assert "def lost" not in found.head
    assert all(name in found.head for name in ("def table", "def deco", "class A", "class B"))
    exec(compile(found.reference, "reference", "exec"), {})


def test_a_signature_may_span_lines_and_a_body_may_share_its_line() -> None:
    long = "def f(\n    a: dict[str, int] = {1: 2},\n    b=lambda: 3,\n) -> 'x: y':\n    return a\n"
    assert arrange(long, "f", NOTHING, "code").head == long.rsplit("\n", 2)[0]
    assert arrange("def f(x): return x\n", "f", NOTHING, "code").reference == (
        "def f(x):\n    return x\n"
    )


def test_the_entry_points_docstring_is_left_out_unless_it_is_all_there_is() -> None:
    told = 'def f(x):\n    """Say\n    so."""\n    return x\n'
    assert arrange(told, "f", NOTHING, "code").reference == "def f(x):\n    return x\n"
    empty = 'def f(x):\n    """Nothing."""\n'
    assert arrange(empty, "f", NOTHING, "code").reference == empty


def test_the_last_definition_of_a_name_is_the_one() -> None:
    found = arrange("def f(x):\n    return 1\ndef f(y):\n    return 2\n", "f", frozenset("f"), "c")
    assert found.head.endswith("def f(y):")


def test_a_program_without_the_function_is_refused() -> None:
    with pytest.raises(BadField, match=r"functions \['g'\], expected a top-level function 'f'"):
        arrange("def g(): pass", "f", NOTHING, "code")


def test_tabs_and_odd_widths_become_four_spaces() -> None:
    code = "def f(x):\n\tif x:\n\t\t# why\n\t\ty = [1,\n\t\t     2]\n\treturn '''a\n\tb'''\n"
    assert reindent(code) == (
        "def f(x):\n    if x:\n        # why\n        y = [1,\n             2]\n"
        "    return '''a\n\tb'''\n"
    )


def test_what_does_not_parse_is_left_alone() -> None:
    assert reindent("def f(:\n\tpass") == "def f(:\n\tpass"


BLOCKS = st.recursive(
    st.sampled_from(
        ["x = 1", "y = '''a\n  b'''", "z = (1,\n2)", "pass  # why", "f'''{x}\n {x}'''"]
    ).map(lambda line: [line]),
    lambda inner: st.tuples(st.sampled_from([" ", "   ", "\t", "      "]), inner, inner).map(
        lambda p: ["if x:", *(p[0] + line for line in "\n".join(p[1]).split("\n")), *p[2]]
    ),
    max_leaves=8,
)


@given(BLOCKS)
def test_reindenting_never_changes_the_program(lines: list[str]) -> None:
    source = "\n".join(lines) + "\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.dump(ast.parse(source))
        except SyntaxError:
            return
    moved = reindent(source)
    assert ast.dump(ast.parse(moved)) == tree
    assert reindent(moved) == moved
