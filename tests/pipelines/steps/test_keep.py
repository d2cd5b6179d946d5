"""A task file of its own that must not get worse: evaluated before and after, and the gate says."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from roundsmith.lineage.decisions import check_decisions
from roundsmith.lineage.history import History
from roundsmith.lineage.integrity import Findings
from roundsmith.steps.context import Context, Made, Parts, Work
from roundsmith.steps.decide import decide
from roundsmith.steps.inputs import tasks_of
from roundsmith.steps.rules import KeepConfig
from roundsmith.store import EVALS, EvalRecord, Manifest
from roundsmith.types import Split
from roundsmith.verdicts import Verdict
from tests.pipelines.lineage.made import made_run
from tests.pipelines.steps.test_inputs import task_file


@dataclass(frozen=True)
class Judged(Context):
    """A context whose models solve a share of the tasks of their own file."""

    shares: tuple[tuple[str, float], ...] = ()
    """By the hash of the model's manifest."""

    async def undone(
        self, work: Work, make: Callable[[], Awaitable[Made]], parts: Parts
    ) -> Manifest:
        """Evaluations are of these shares; other work is done."""
        if work.step != "evaluate":
            return await super().undone(work, make, parts)
        (kept,) = self.store.manifests("kept")
        tasks = list(tasks_of(self, kept, Split.GATE))
        solved = dict(self.shares)[work.parents[1]] * len(tasks)
        rows = []
        for number, task in enumerate(tasks):
            right = number < solved
            verdicts = (Verdict.PASS if right else Verdict.FAIL,)
            name = f"{work.parents[1]} {number}"
            made_of = (task.task_id, task.split, name, 0, right, right, ("t0",), verdicts)
            rows += [EvalRecord(*made_of, "", 1, 1)] * self.config.evaluation.samples

        async def judged() -> Made:
            return Made([self.store.write_rows(EVALS, rows)], {"tasks": len(tasks)})

        return await super().undone(work, judged, parts)


@pytest.mark.parametrize(("share", "worse"), [(0.9, False), (0.5, True)])
def test_a_checkpoint_that_is_worse_on_a_kept_file_is_not_promoted_and_the_file_is_named(
    tmp_path: Path, share: float, worse: bool
) -> None:
    run = made_run(tmp_path, None)
    file = task_file(tmp_path, {"train": 10, "gate": 30})
    config = run.context.config.model_copy(update={"keep": (KeepConfig(tasks=file, margin=0.1),)})
    plain = {f.name: getattr(run.context, f.name) for f in fields(Context)}
    shares = ((run.model.hash, 0.9), (run.checkpoint.hash, share))
    ctx = Judged(**plain | {"config": config}, shares=shares)
    made = (run.before, run.after, run.rows, run.tasks, run.model, run.checkpoint)
    decision = ctx.manifest(asyncio.run(decide(ctx, *(m.reference for m in made))))
    told = [reason for reason in decision.stats["reasons"] if file in reason]
    assert bool(told) == worse
    if worse:
        assert not decision.stats["promoted"]
        assert "may be worse by more than 10 points" in told[0]
    (kept,) = ctx.store.manifests("kept")
    assert kept.stats["gate"] == 40, "all splits of the file are looked at"
    findings = Findings()
    check_decisions(History(ctx.store), findings)
    assert findings.problems == []
    assert findings.checked["decisions"] == 2, "this one and the one without the file"
