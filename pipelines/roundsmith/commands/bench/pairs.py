"""Choosing rows: the recipes' rules over many groups, and the pair builder as a process on loopback
beside a rule that is called in this process.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from roundsmith.bench import BenchResult
from roundsmith.clients import PairBuilderClient
from roundsmith.clients.channels import open_channel
from roundsmith.commands.bench import choices
from roundsmith.commands.bench.made import groups
from roundsmith.commands.bench.turns import in_turns
from roundsmith.pair_builder.rules import load_rules, select
from roundsmith.platform.processes import ServiceProcesses
from roundsmith.steps.config import RECIPES
from roundsmith.types import Group

RECIPE = "gift"


def measure(num_groups: int = 200, turns: int = 5, scale: float = 1.0) -> list[BenchResult]:
    """The rules by themselves, `scale` times as many groups as the bench has, and the service."""
    return [*choices.measure(scale, min(turns, 3)), _service(num_groups, turns)]


def _service(num_groups: int, turns: int) -> BenchResult:
    """Groups a second by the service; the rule itself is plain Python, so the ratio tells what
    the wire costs.
    """
    made, rules = groups(num_groups), load_rules([RECIPES])

    def directly() -> None:
        for group in made:
            select(rules, RECIPE, {}, 0, group)

    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        processes = ServiceProcesses(Path(folder))
        arguments = {"pair-builder": ("--recipes", RECIPES)}
        try:
            address = runner.run(processes.start(arguments))["pair-builder"]["address"]
            return in_turns(
                f"gift's rows of {len(made)} groups of 60 codes by the service",
                len(made),
                "groups/s",
                lambda: runner.run(_by_service(address, made)),
                "plain Python",
                directly,
                turns,
            )
        finally:
            runner.run(processes.stop())


async def _by_service(address: str, made: Sequence[Group]) -> None:
    async with open_channel(address) as channel:
        client = PairBuilderClient(channel)
        try:
            await asyncio.gather(*(client.build(RECIPE, {}, 0, group) for group in made))
        finally:
            await client.stream.close()
