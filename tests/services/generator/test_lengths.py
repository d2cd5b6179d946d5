"""A kill in mid-draw of an engine that is not bitwise: long completions are no rarer for it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from roundsmith.clients import StreamSettings
from roundsmith.lab import MODEL, tasks
from roundsmith.recipes.styles import CompletionStyle
from roundsmith.types import Completion, GenerateItem, Sampling, Split
from tests.services.generator.driven import need
from tests.services.generator.serving import START_S, GeneratorProcess, client_of

DRAWS = 60
STYLE = CompletionStyle()
DRAWN = Sampling(128, temperature=1.0)


def items(number: int) -> list[GenerateItem]:
    """Codes of so many lab tasks, each by a seed of its own."""
    return [
        GenerateItem(task.task_id, STYLE.code(task, task.description), DRAWN, seed, n=1)
        for seed, task in enumerate(tasks(Split.TRAIN, number))
    ]


def drawn(
    server: GeneratorProcess, asked: Sequence[GenerateItem], kills: Sequence[int]
) -> dict[str, Completion]:
    """One completion of each; the server is killed when so many are there, and started again."""
    found: dict[str, Completion] = {}
    due = list(kills)

    async def scenario() -> None:
        await server.ready()
        patient = StreamSettings(give_up_s=START_S)

        async with client_of(server.address, settings=patient) as client:

            async def one(item: GenerateItem) -> None:
                (found[item.item_id],) = await client.generate(item)
                if due and len(found) >= due[0]:
                    due.pop(0)
                    server.kill()
                    server.start()

            await asyncio.gather(*map(one, asked))

    try:
        asyncio.run(scenario())
    finally:
        server.kill()
    assert not due
    return found


@pytest.mark.slow
@pytest.mark.vllm
def test_a_kill_leaves_the_lengths_of_what_is_drawn_as_they_are(tmp_path: Path) -> None:
    need("vllm")
    options = ("--model", str(MODEL), "--engine", "vllm", "--slots", "8", "--threads", "1")
    lengths = []
    for name, kills in (("undisturbed", ()), ("killed", (DRAWS // 3,))):
        found = drawn(GeneratorProcess(tmp_path / name, *options), items(DRAWS), kills)
        lengths.append({item: len(one.token_ids) for item, one in found.items()})
    before, after = lengths
    assert len(before) == DRAWS
    assert before.keys() == after.keys()
    changes = [after[item] - before[item] for item in before if after[item] != before[item]]
    # The seed decides, not the attempt: independent draws would nearly all differ.
    assert len(changes) <= DRAWS // 10, changes
