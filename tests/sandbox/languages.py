"""How programs of other languages are run by the tests."""

import pytest

from roundsmith.types import ExecuteItem, Limits, Outcome, Program, StdioTest
from tests.sandbox.conftest import Box

LIMITS = Limits(
    cpu_s=2.0, wall_factor=20, memory_bytes=64 * 2**20, output_bytes=2**16, file_bytes=2**20
)
DOUBLE = {
    "cpp": "#include <iostream>\nint main() { long n; std::cin >> n; std::cout << 2 * n; }\n",
    "go": (
        'package main\nimport "fmt"\nfunc main() { var n int; fmt.Scan(&n); fmt.Println(2 * n) }\n'
    ),
    "java": (
        "public class Main { public static void main(String[] a) {\n"
        "  System.out.println(2 * new java.util.Scanner(System.in).nextInt()); } }\n"
    ),
    "node": "console.log(2 * parseInt(require('fs').readFileSync(0, 'utf8')));\n",
}
"""A program of each language, which doubles a number."""


def item(profile: str, source: str, *tests: StdioTest, limits: Limits = LIMITS) -> ExecuteItem:
    programs = (Program("c", source),)
    return ExecuteItem("i", programs, tests, limits=limits, profile=profile, no_cache=True)


def needs(box: Box, language: str) -> None:
    """Skips where the sandbox does not have the language."""
    if why := box.capabilities.missing_profiles.get(language):
        pytest.skip(f"{box.place}: {language}: {why}")


def ended(
    box: Box,
    language: str,
    source: str,
    stdout: str = "",
    stdin: str = "",
    limits: Limits = LIMITS,
) -> Outcome:
    """The outcome of a script that should print `stdout`."""
    needs(box, language)
    (found,) = box.matrix(item(language, source, StdioTest("t", stdin, stdout), limits=limits))
    return found
