"""The page of the API names every reason that a service may give, and every way to draw; its
programs for Python run.
"""

import asyncio
import re
import sys
from dataclasses import fields
from pathlib import Path

from roundsmith.config import child_environment
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.types import Sampling
from roundsmith.wire.status import _CLASSES
from tests.services.generator.serving import served

PAGE = Path(__file__).parents[2] / "docs" / "grpc.md"
NOT_OF_SERVICES = {"Corrupt", "IncompleteEvaluation", "UnfitTasks"}
"""Errors of commands and of the store of a run."""


def test_each_reason_is_told_with_its_code() -> None:
    table = PAGE.read_text().split("**Errors.**")[1].split("**Ending.**")[0]
    told = {
        reason: code
        for reasons, code in re.findall(r"^\| (`[^|]+`) \| ([A-Z_]+) \|", table, re.MULTILINE)
        for reason in re.findall(r"`(\w+)`", reasons)
    }
    known = {name: cls.status for name, cls in _CLASSES.items() if name not in NOT_OF_SERVICES}
    assert told == known


def test_each_way_to_draw_is_told_with_its_range() -> None:
    table = PAGE.read_text().split("| of `sampling` |")[1].split("\n\n")[0]
    told = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row[:60])}
    assert {field.name for field in fields(Sampling)} - {"constraint"} == told


def test_the_program_for_many_items_runs_as_it_stands_but_for_where_and_how_many(
    tiny: Path, tmp_path: Path
) -> None:
    _, asking, settings = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(settings, {})

    async def scenario() -> tuple[str, int | None]:
        engine = TransformersEngine(GeneratorSettings(model=str(tiny), slots=8))
        async with served(engine) as address:
            here = asking.replace("dns:///generator:8033", address).replace(
                "range(1000)", "range(5)"
            )
            assert here.count(address) == here.count("range(5)") == 1
            (tmp_path / "asking.py").write_text(here)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(tmp_path / "asking.py")),
                stdout=asyncio.subprocess.PIPE,
                env=child_environment(),
            )
            said, _ = await process.communicate()
        await engine.close()
        return said.decode(), process.returncode

    said, code = asyncio.run(scenario())
    assert code == 0
    assert said.splitlines().count("5 of 5 answered, 0 failed") == 1
    assert sorted(re.findall(r"^def add_(\d)\(a, b\): \[", said, re.MULTILINE)) == list("01234")
