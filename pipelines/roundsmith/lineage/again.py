"""Verdicts of a store, given once more by an executor: a random sample of its programs."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from roundsmith.benchmarks.scripts import runnable
from roundsmith.benchmarks.verbatim import profile_of
from roundsmith.clients import ExecutorClient
from roundsmith.errors import SandboxError
from roundsmith.lineage.find import SAMPLE_IDS
from roundsmith.lineage.history import TASK_STEPS, History
from roundsmith.lineage.integrity import Findings
from roundsmith.store import EVALS, GROUPS, TASKS, Manifest, ObjectRef
from roundsmith.types import AssertTest, ExecuteItem, Kind, Limits, Outcome, Program, Task
from roundsmith.verdicts import Verdict

ATTEMPTS = 5
"""How often a program is run before a sandbox that fails is an error."""
CHECK = "verdicts"


@dataclass(frozen=True, slots=True)
class Judged:
    """A program and the verdicts that it got, by test."""

    name: str
    program: str
    task: Task
    limits: Limits
    verdicts: tuple[tuple[str, Verdict], ...]
    solved: bool | None = None
    """Whether it counted as solved, where that was told."""

    @property
    def tests(self) -> tuple[str, ...]:
        """The tests that are run again: all of them where it was told whether it solved them."""
        if self.solved is not None:
            return tuple(test.test_id for test in self.task.tests)
        return tuple(test_id for test_id, _ in self.verdicts)


def draw(history: History, number: int, random: Random) -> list[Judged]:
    """At most `number` programs of all that were sampled and evaluated, each as likely as another.

    One that was run on its task's tests and on self-made ones is there once for each. Verdicts that
    can not be given again are left out: flaky ones, those near a limit, on tests that are nowhere,
    and records of an interrupted evaluation whose task is not known for certain. One object is held
    in memory at a time.
    """
    places = _reservoir(_places(history), number, random)
    return [
        judged
        for manifest, ref, name in sorted(places, key=lambda place: (place[1].hash, place[2]))
        for judged in _load(history, manifest, ref, name)
        if judged.tests
    ]


async def run_again(
    executor: ExecutorClient, programs: Sequence[Judged], findings: Findings
) -> None:
    """Runs the programs on the tests that judged them, and keeps every verdict that differs.

    Raises SandboxError when the executor gives none.
    """
    flight = asyncio.Semaphore(16)

    async def one(number: int, judged: Judged) -> None:
        async with flight:
            seen = await _verdicts(executor, f"{number}", judged)
        for test_id, verdict in judged.verdicts:
            wrong = None if seen[test_id] is verdict else f"was {verdict}, is {seen[test_id]}"
            findings.expect(CHECK, f"{judged.name} on {judged.task.task_id} {test_id}", wrong)
        if judged.solved is not None:
            now = all(verdict is Verdict.PASS for verdict in seen.values())
            wrong = None if now is judged.solved else f"solved was {judged.solved}, is {now}"
            findings.expect("solved", f"{judged.name} on {judged.task.task_id}", wrong)

    async with asyncio.TaskGroup() as tasks:
        for number, judged in enumerate(programs):
            tasks.create_task(one(number, judged))


async def _verdicts(executor: ExecutorClient, name: str, judged: Judged) -> dict[str, Verdict]:
    program = Program(judged.name, runnable(judged.task, judged.program), judged.task.setup)
    found: dict[str, Verdict] = {}
    for attempt in range(ATTEMPTS):
        missing = tuple(test_id for test_id in judged.tests if test_id not in found)
        if not missing:
            return found
        item = ExecuteItem(
            f"{name}/{attempt}",
            (program,),
            tuple(test for test in judged.task.tests if test.test_id in missing),
            limits=judged.limits,
            profile=profile_of(judged.task),
            no_cache=True,
        )
        outcomes = await executor.execute(item, fresh=attempt > 0)
        found |= {o.test_id: o.verdict for o in outcomes if o.verdict.resolved}
    if all(test_id in found for test_id in judged.tests):
        return found
    raise SandboxError(
        f"{judged.name}: expected a verdict on every test after {ATTEMPTS} attempts, saw some "
        "without: look at the executor's log, then run again"
    )


Place = tuple[Manifest, ObjectRef, str]
"""A program: the work that judged it, the object that holds it, its sample's id."""


def _places(history: History) -> Iterator[Place]:
    for ref, manifest in history.objects(GROUPS.name, history.of("sample", "sample-shard")):
        columns = [SAMPLE_IDS, "samples.list.element.kind"]
        for group in history.store.read_columns(ref, columns):
            for sample in group["samples"]:
                if sample["kind"] == "code":
                    yield manifest, ref, sample["sample_id"]
    for ref, manifest in history.objects(EVALS.name, history.of("evaluate", "evaluate-shard")):
        for row in history.store.read_columns(ref, ["sample_id"]):
            yield manifest, ref, row["sample_id"]


def _reservoir(places: Iterator[Place], number: int, random: Random) -> list[Place]:
    """`number` of them, each set as likely as another, in one pass."""
    kept: list[Place] = []
    for seen, place in enumerate(places):
        if len(kept) < number:
            kept.append(place)
        elif (at := random.randrange(seen + 1)) < number:
            kept[at] = place
    return kept


def _load(history: History, manifest: Manifest, ref: ObjectRef, name: str) -> Iterator[Judged]:
    # The limit is a setting of every recipe, and an evaluation names it too.
    limits = Limits(cpu_s=manifest.config.get("config", manifest.config)["cpu_s"])
    if ref.kind == EVALS.name:
        yield from _of_record(history, manifest, ref, name, limits)
        return
    (group,) = history.store.search_rows(
        GROUPS, ref, [SAMPLE_IDS], lambda g: any(s["sample_id"] == name for s in g["samples"])
    )
    sample = next(s for s in group.samples if s.sample_id == name)
    outcomes = [o for o in group.outcomes if o.code_id == name]
    made = tuple(AssertTest(s.sample_id, s.text) for s in group.samples if s.kind is Kind.TEST)
    for task in (group.task, replace(group.task, tests=made)):
        yield Judged(name, sample.text, task, limits, _repeatable(outcomes, task))


def _of_record(
    history: History, manifest: Manifest, ref: ObjectRef, name: str, limits: Limits
) -> Iterator[Judged]:
    record = next(
        iter(history.store.search_rows(EVALS, ref, ["sample_id"], lambda r: r["sample_id"] == name))
    )
    if (task := _task_of(history, manifest, record.task_id)) is None:
        return
    verdicts = record.verdicts
    if not record.solved and all(verdict is Verdict.PASS for verdict in verdicts):
        return  # it ended near its limit
    # What ended a row may have ended near its limit, which a record does not keep.
    whole = len(verdicts) == len(task.tests)
    told = tuple(zip(record.tests, verdicts, strict=True)) if whole else ()
    yield Judged(name, record.text, task, limits, told, record.solved)


def _task_of(history: History, manifest: Manifest, task_id: str) -> Task | None:
    """The task of an evaluation. A shard names its model alone: there it is the only task of this
    id that the store holds, and None where tasks that differ have it.
    """
    given = [parent for parent in history.parents(manifest) if parent.step in TASK_STEPS]
    found: list[Task] = []
    for ref, _ in history.objects(TASKS.name, given or history.of(*TASK_STEPS)):
        for task in history.store.search_rows(
            TASKS, ref, ["task_id"], lambda row: bool(row["task_id"] == task_id)
        ):
            if task not in found:
                found.append(task)
    return found[0] if len(found) == 1 else None


def _repeatable(outcomes: Sequence[Outcome], task: Task) -> tuple[tuple[str, Verdict], ...]:
    tests = {test.test_id for test in task.tests}
    return tuple(
        (o.test_id, o.verdict)
        for o in outcomes
        if o.test_id in tests and not o.near_limit and o.verdict is not Verdict.FLAKY
    )
