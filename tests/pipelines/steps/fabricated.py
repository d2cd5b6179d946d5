"""A run whose steps are named, found and decided as ever, and whose models are made up."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path

from roundsmith.commands.decided import Decided
from roundsmith.commands.promotions import rolled_back
from roundsmith.platform.local import LocalPlatform
from roundsmith.round import RoundRefs, play_rounds
from roundsmith.steps import run_step
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context, Made, Parts, Work
from roundsmith.steps.inputs import tasks_of
from roundsmith.store import DROPPED, EVALS, EXAMPLES, GROUPS, PAIRS, EvalRecord, Manifest, Store
from roundsmith.types import Split
from roundsmith.verdicts import Verdict

MADE_UP = ("evaluate", "sample", "score", "select", "train", "report")


class Fabricated(Context):
    """A context whose trained models solve every task, whose first one solves none, and that draws
    and chooses nothing.
    """

    async def undone(
        self, work: Work, make: Callable[[], Awaitable[Made]], parts: Parts
    ) -> Manifest:
        """Work with models is made up, other work is done."""

        async def made_up() -> Made:
            return self._made_up(work)

        return await super().undone(work, made_up if work.step in MADE_UP else make, parts)

    def _made_up(self, work: Work) -> Made:
        store = self.store
        match work.step:
            case "evaluate":
                return self._evaluated(work)
            case "sample" | "score":
                return Made([store.write_rows(GROUPS, ())])
            case "select":
                examples, pairs = store.write_rows(EXAMPLES, ()), store.write_rows(PAIRS, ())
                objects = (examples, pairs, store.write_rows(DROPPED, ()))
                return Made(objects, {"rows": 0, "gold": 1, "selected": 0})
            case "train":
                return Made((), {"weights_sha256": work.key, "total_steps": 1, "loss": []})
        return Made()

    def _evaluated(self, work: Work) -> Made:
        by_hash = {m.hash: m for m in self.store.every_manifest()}
        tasks, model = (by_hash[name] for name in work.parents)
        solved, split = model.step == "train", Split(work.config["split"])
        told = ("t0",), (Verdict.PASS if solved else Verdict.FAIL,), "", 1, 1
        rows = [
            EvalRecord(task.task_id, split, task.task_id, 0, solved, solved, *told)
            for task in tasks_of(self, tasks, split)
            for _ in range(self.config.evaluation.samples)
        ]
        stats = {"tasks": len(rows), "samples": len(rows)}
        return Made([self.store.write_rows(EVALS, rows)], stats)


def play(folder: Path, config: RunConfig, most: int = 100) -> list[RoundRefs[str]]:
    """Plays a run in a folder as `roundsmith run` does, for `most` rounds."""
    decided, number, store = Decided(rolled_back(str(folder))), 1, Store(str(folder / "store"))
    platform = LocalPlatform(config, folder / "work")

    def context() -> Context:
        return Fabricated(store, config, number, platform, lambda *_: None)

    def begin(of: int) -> None:
        nonlocal number
        number = of

    def do(step: str, split: str = "", of: str = "", /, **refs: str) -> str:
        ref = asyncio.run(run_step(context(), step, split=split, **refs))
        decided.add(context(), ref)
        return ref

    rounds = play_rounds(
        do,
        lambda decision: decided.promoted(context(), decision),
        range(1, config.rounds + 1),
        begin,
        config.control,
        stops=lambda *refs: decided.why_last(context(), *refs) is not None,
    )
    return list(islice(rounds, most))
