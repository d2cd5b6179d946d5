"""Programs that do what they should, which isolation must not hinder."""

from typing import TYPE_CHECKING

import pytest

from roundsmith.verdicts import Verdict

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box


@pytest.mark.parametrize(
    ("program", "statements"),
    [
        (
            "class A:\n    def __init__(self, x): self.x = x\n"
            "    def double(self): return 2 * self.x\n",
            "a = A(4)\nassert a.double() == 8 and a.x == 4",
        ),
        (
            "def f(n):\n    for i in range(n): yield i\n",
            "assert list(f(3)) == [0, 1, 2]\nassert sum(f(4)) == 6",
        ),
        (
            "from collections import Counter\ndef f(x): return Counter(x)\n",
            "x = f('aab')\nassert x == {'a': 2, 'b': 1}",
        ),
        ("def f(x):\n    x.sort()\n", "x = [3, 1]\nf(x)\nassert x == [1, 3]"),
        ("def f(x):\n    return x\n", "x = [1]\nassert f(x) is x"),
        ("def f(g, x):\n    return g(x)\n", "assert f(lambda x: x + 1, 1) == 2"),
        ("def g(x): return x + 1\ndef f(h, x): return h(x)\n", "assert f(g, 1) == 2"),
        (
            "import math\ndef f(x): return math.sqrt(x)\n",
            "assert math.isclose(f(2), 1.41421356, rel_tol=1e-6)",
        ),
        ("def sum(a, b): return a * b\n", "x = sum(2, 3)\nassert x == 6"),
        (
            "def f(x):\n    raise ValueError('no')\n",
            "try:\n    f(1)\n    assert False\nexcept ValueError as e:\n    assert str(e) == 'no'",
        ),
        ("import re\ndef f(x): return re.match('a', x)\n", "assert f('ab')\nassert not f('b')"),
        ("import re\ndef f(x): return re.match('a', x)\n", "assert f('ab')"),
        ("LIMIT = 3\ndef f(): return LIMIT\n", "assert f() == LIMIT"),
        (
            "def f(x): return x\n",
            "METADATA = {}\ndef check(candidate):\n"
            "    assert candidate((1, 2)) == (1, 2), 'no'\n"
            "    assert candidate(1j) == 1j\ncheck(f)",
        ),
    ],
)
def test_honest_programs_pass_tests_of_every_kind(
    box: "Box", program: str, statements: str
) -> None:
    outcome = box.check(program, statements)
    assert outcome.verdict is Verdict.PASS, outcome
