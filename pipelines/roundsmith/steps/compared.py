"""What a comparison of arms needs beside a round's steps: tasks and rows that are alike for all."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from roundsmith.recipes.identities import prompt_json
from roundsmith.steps.context import Context, Made, reference
from roundsmith.store import EXAMPLES, PAIRS, TASKS, Manifest
from roundsmith.types import Example, Pair, Row, Split

Answer = tuple[str, ...]


async def compared_tasks(ctx: Context, drawn: str, held: str) -> str:
    """The training tasks of one choice, which is a seed's own, and the held-out tasks of another,
    which all seeds look at.
    """
    own, common = ctx.manifest(drawn), ctx.manifest(held)
    places = {split: at for at, split in enumerate(Split)}

    async def make() -> Made:
        source = {Split.TRAIN: own, Split.GATE: common, Split.FINAL: common}
        objects = [source[split].of_kind(TASKS.name)[places[split]] for split in Split]
        return Made(objects, {str(split): source[split].stats[str(split)] for split in Split})

    return reference(await ctx.once("tasks", 1, {"compared": True}, (own, common), make))


async def matched(ctx: Context, rows: str, **group: str) -> str:
    """The rows of an arm without repetitions, of each task as many self-made ones as every arm of
    the group has, its own included, the first drawn first; gold rows stay.

    So all arms of the group train on equally many distinct rows of each task.
    """
    chosen = ctx.manifest(rows)
    others = [ctx.manifest(ref) for ref in dict.fromkeys(group.values())]

    async def make() -> Made:
        share = _least([_distinct(ctx, manifest) for manifest in others])
        taken: Counter[str] = Counter()
        kept: list[Row] = []
        seen: set[tuple[str, Answer]] = set()
        for row in _rows(ctx, chosen):
            task, answer = row.provenance.task_id, _answer(row)
            if row.provenance.parents:
                if (task, answer) in seen or taken[task] >= share.get(task, 0):
                    continue
                seen.add((task, answer))
                taken[task] += 1
            kept.append(row)
        objects = [
            ctx.store.write_rows(EXAMPLES, [row for row in kept if isinstance(row, Example)]),
            ctx.store.write_rows(PAIRS, [row for row in kept if isinstance(row, Pair)]),
        ]
        gold = len(kept) - sum(taken.values())
        counts = {"rows": len(kept), "gold": gold, "selected": sum(taken.values())}
        return Made(objects, {**counts, "measured": dict(chosen.stats.get("measured", {}))})

    return reference(await ctx.once("matched", 1, {}, (chosen, *others), make))


def _rows(ctx: Context, manifest: Manifest) -> Iterator[Row]:
    yield from ctx.store.read_all(EXAMPLES, manifest)
    yield from ctx.store.read_all(PAIRS, manifest)


def _distinct(ctx: Context, manifest: Manifest) -> Counter[str]:
    """How many different self-made rows each task has."""
    rows = (row for row in _rows(ctx, manifest) if row.provenance.parents)
    return Counter(task for task, _ in {(row.provenance.task_id, _answer(row)) for row in rows})


def _least(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {task: min(of.get(task, 0) for of in counts) for task in counts[0]} if counts else {}


def _answer(row: Row) -> Answer:
    """What tells two rows of a task apart: prompt and answers."""
    texts = (row.completion,) if isinstance(row, Example) else (row.chosen, row.rejected)
    return (str(prompt_json(row.prompt)), *(text.strip() for text in texts))
