"""The table of docs/executor.md and the tests agree."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LISTED = 83
"""Cases that the list began with; later ones are found here."""
PLACES = {"T2", "T1", "pod"}


def rows(text: str) -> dict[int, list[str]]:
    """Cells of each case's row, by its number."""
    found = re.findall(r"^\| (\d+) \| (.+) \|$", text, re.MULTILINE)
    assert len({number for number, _ in found}) == len(found), "a case has two rows"
    return {int(number): [cell.strip() for cell in cells.split(" | ")] for number, cells in found}


@cache
def cases_tested() -> dict[int, set[str]]:
    """The test functions that are named by the number of a case."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ""
            if number := re.match(r"test_case_(\d+)_", name):
                found[int(number[1])].add(name)
    return found


def test_every_case_has_a_row_with_its_tests_and_every_test_of_a_case_is_in_its_row() -> None:
    table = rows((ROOT / "docs" / "executor.md").read_text(encoding="utf-8"))
    assert sorted(table) == list(range(1, max(table) + 1))
    assert max(table) > LISTED
    named = {number: set(re.findall(r"`(test_\w+)`", cells[3])) for number, cells in table.items()}
    assert named == cases_tested()


def test_a_row_says_by_what_and_where_a_case_is_held_or_what_is_missing() -> None:
    for number, cells in rows((ROOT / "docs" / "executor.md").read_text(encoding="utf-8")).items():
        assert len(cells) == 4, number
        assert all(cells), number
        places = set(re.split(r"[ ;,:]+", cells[2]))
        assert places >= PLACES or re.search(r"in part|layer|^(T2|T1 T2|pod)\b", cells[2]), number


def test_what_is_held_in_part_is_explained_below_the_table() -> None:
    text = (ROOT / "docs" / "executor.md").read_text(encoding="utf-8")
    (explained,) = re.findall(r"Not held whole, and why: (.+?)\n\n", text, re.DOTALL)
    numbers = {int(number) for number in re.findall(r"\b(\d+)\b", explained)}
    assert numbers == {n for n, cells in rows(text).items() if "in part" in cells[2]}
