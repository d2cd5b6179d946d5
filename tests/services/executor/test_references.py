"""Every reference solution of the benchmarks passes its own tests here, and a sentinel none."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roundsmith.executor.asserts import split
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import AssertTest, ExecuteItem, Limits, Outcome, Program
from roundsmith.verdicts import Verdict

DATA = Path(__file__).parents[2] / "data"
# An amicable-number sum by trial division takes seconds of CPU time on a slow machine.
LIMITS = Limits(cpu_s=20)


def humaneval() -> Iterator[ExecuteItem]:
    for line in gzip.decompress((DATA / "HumanEval.jsonl.gz").read_bytes()).splitlines():
        row = json.loads(line)
        program = Program("reference", row["prompt"] + row["canonical_solution"])
        test = AssertTest("check", f"{row['test']}\ncheck({row['entry_point']})\n")
        yield ExecuteItem(
            row["task_id"], (program, _sentinel(row["entry_point"])), (test,), limits=LIMITS
        )


def sanitized_mbpp() -> Iterator[ExecuteItem]:
    rows: list[Any] = json.loads(gzip.decompress((DATA / "sanitized-mbpp.json.gz").read_bytes()))
    for row in rows:
        program = Program("reference", row["code"], "\n".join(row["test_imports"]))
        tests = tuple(AssertTest(f"{at}", source) for at, source in enumerate(row["test_list"]))
        name = row["test_list"][0].split("(")[0].rpartition(" ")[2]
        # A test that asks for a result's truth alone is satisfied by any object.
        weak = any((parts := split(source)) and parts.truth for source in row["test_list"])
        sentinels = (_sentinel(name),) if name.isidentifier() and not weak else ()
        yield ExecuteItem(f"mbpp-{row['task_id']}", (program, *sentinels), tests, limits=LIMITS)


def _sentinel(entry_point: str) -> Program:
    source = f"class Sentinel: pass\ndef {entry_point}(*args, **kwargs):\n    return Sentinel()\n"
    return Program("sentinel", source)


async def _all(items: list[ExecuteItem]) -> list[tuple[str, Outcome]]:
    async with Pool(ExecutorSettings(slots=2)) as pool:

        async def one(item: ExecuteItem) -> list[tuple[str, Outcome]]:
            return [(item.item_id, outcome) async for outcome in pool.execute(item)]

        return [pair for found in await asyncio.gather(*map(one, items)) for pair in found]


@pytest.mark.slow
@pytest.mark.parametrize(("items", "least"), [(humaneval, 164), (sanitized_mbpp, 1281)])
def test_references_pass_and_sentinels_do_not(items: Any, least: int) -> None:
    found = asyncio.run(_all(list(items())))
    references = [(task, o) for task, o in found if o.code_id == "reference"]
    sentinels = [(task, o) for task, o in found if o.code_id == "sentinel"]
    assert len(references) >= least
    assert [
        (task, o.test_id, o.detail) for task, o in references if o.verdict is not Verdict.PASS
    ] == []
    assert len(sentinels) > len(references) * 0.8
    assert [(task, o.test_id) for task, o in sentinels if o.verdict is Verdict.PASS] == []
