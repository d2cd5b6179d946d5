"""`roundsmith lab`: its tasks, its base model, and the card that says what the model can do."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from roundsmith.clients import Progress as Asked
from roundsmith.clients import Services, answers
from roundsmith.commands.progress import ProgressView
from roundsmith.config import let_threads_sleep
from roundsmith.errors import ConfigError, RoundsmithError, SandboxError
from roundsmith.hashing import derive_seed
from roundsmith.lab import model_source
from roundsmith.lab import tasks as lab_tasks
from roundsmith.lab.card import Card, card
from roundsmith.platform.local import LocalPlatform
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Progress
from roundsmith.types import (
    CallTest,
    ExecuteItem,
    GenerateItem,
    Outcome,
    Prompt,
    Sampling,
    ScoreItem,
    Split,
    Test,
)

T = TypeVar("T")
Item = TypeVar("Item", GenerateItem, ScoreItem, ExecuteItem)
ATOMS_ONLY_STEPS = 500
"""Ninety functions are learnt in a fraction of what chains of a hundred take."""


class ServedModel:
    """A model behind running services, as the card asks for it: sampled, judged and run."""

    def __init__(self, runner: asyncio.Runner, services: Services, progress: Progress) -> None:
        self._runner, self._services, self._progress = runner, services, progress
        self._calls = self._parts = 0

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, n: int, seed: int
    ) -> list[list[str]]:
        """n completions of every prompt."""
        items = [
            GenerateItem(self._name(i), prompt, sampling, derive_seed(seed, i), n)
            for i, prompt in enumerate(prompts)
        ]
        found = self._all("samples", self._services.generator.generate, items)
        return [[completion.text for completion in completions] for completions in found]

    def p_yes(self, prompts: Sequence[Prompt]) -> list[float]:
        """P(Yes) after every prompt."""
        items = [ScoreItem(self._name(i), p, p_yes=True) for i, p in enumerate(prompts)]
        scores = self._all("P(yes)", self._services.scorer.score, items)
        return [score.p_yes or 0.0 for score in scores]

    def run(self, items: Sequence[ExecuteItem]) -> list[list[list[Outcome]]]:
        """Outcomes by item, program and test; SandboxError when the executor gives no verdict."""
        found = self._all("runs", self._services.executor.execute, items)
        return [_matrix(item, seen) for item, seen in zip(items, found, strict=True)]

    def _name(self, index: int) -> str:
        self._calls += 1
        return f"{self._calls}/{index}"

    def _all(
        self, what: str, ask: Callable[[Item], Awaitable[T]], items: Sequence[Item]
    ) -> list[T]:
        """The answers in order; each one that comes is told as progress of this part."""
        self._parts += 1
        part = f"{self._parts} {what}"
        self._progress(part, 0, len(items), "")

        def told(progress: Asked) -> None:
            self._progress(part, progress.answered, len(items), "")

        async def gather() -> list[T]:
            found: dict[str, T] = {}
            async with aclosing(answers(ask, items, progress=told)) as answered:
                async for item, answer in answered:
                    if isinstance(answer, RoundsmithError):
                        raise answer
                    found[item.item_id] = answer
            return [found[item.item_id] for item in items]

        return self._runner.run(gather())


def measure(
    model: str, split: str, limit: int | None, samples: int, out: Path, console: Console
) -> Card:
    """The card of a model folder, measured through the real services; tells progress by part."""
    if split not in list(Split):
        raise ConfigError(f"--split {split!r}: expected one of {', '.join(Split)}")
    config = RunConfig(recipe="gift", model=model)
    folder = Path(model_source(model))
    platform = LocalPlatform(config, out.resolve())
    with asyncio.Runner() as runner, ProgressView(console) as view:
        try:
            served = ServedModel(runner, runner.run(platform.services(str(folder))), view)
            return card(served, served, Split(split), limit, samples)
        finally:
            runner.run(platform.close())


def show_card(found: Card, console: Console) -> None:
    """The card for a person."""
    table = Table(title="held-out tasks of the lab, sampled at temperature 1")
    for column in ("depth", "tasks", "pass@1", f"pass@{found.n}"):
        table.add_column(column, justify="right")
    for row in found.solved:
        depth = str(row.depth) if row.depth else "all"
        shares = (f"{100 * share:.1f} %" for share in (row.pass_at_1, row.pass_at_n))
        table.add_row(depth, str(row.num_tasks), *shares)
    console.print(table)
    console.print(f"round trip code → description → code: {100 * found.round_trip:.1f} %")
    console.print(f"self-made tests that are correct:      {100 * found.tests_correct:.1f} %")
    auc = "no right or no wrong sample" if found.judge_auc is None else f"{found.judge_auc:.3f}"
    console.print(f"AUC of P(yes):                         {auc}")


def write_card(found: Card, path: Path) -> None:
    """The card for a program."""
    path.write_text(json.dumps(asdict(found), indent=2) + "\n")


def print_tasks(split: str, limit: int | None) -> None:
    """The lab's tasks as JSON lines of the schema that `--tasks` reads."""
    if split not in list(Split):
        raise ConfigError(f"--split {split!r}: expected one of {', '.join(Split)}")
    for task in lab_tasks(Split(split), limit):
        row = {
            "id": task.task_id,
            "split": str(task.split),
            "description": task.description,
            "head": task.head,
            "reference": task.reference,
            "tests": [_test_row(test) for test in task.tests],
            "licence": task.licence,
        }
        print(json.dumps(row))


def train(
    out: Path, seed: int, steps: int | None, console: Console, atoms_only: bool = False
) -> None:
    """Trains a base model of the lab, or the one that sees single atoms alone, and says what it
    cost.
    """
    let_threads_sleep()
    from roundsmith.lab.atomic import AtomsCorpus
    from roundsmith.lab.corpus import Corpus
    from roundsmith.lab.train import BaseSettings, train_base

    few = ATOMS_ONLY_STEPS if atoms_only else BaseSettings().steps
    settings = BaseSettings(steps=few if steps is None else steps)
    done = train_base(out, seed, settings, AtomsCorpus if atoms_only else Corpus)
    console.print(
        f"{done.folder}: {done.parameters / 1e6:.2f} M parameters, {done.tokens} tokens in "
        f"{done.seconds:.0f} s, last loss {done.losses[-1]:.3f} nats a completion token"
    )


def _matrix(item: ExecuteItem, outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    by_cell = {(o.code_id, o.test_id): o for o in outcomes}
    unresolved = [o for o in outcomes if not o.verdict.resolved]
    if unresolved:
        raise SandboxError(
            f"item {item.item_id}: expected resolved verdicts, saw {len(unresolved)} without: "
            "run again"
        )
    return [
        [by_cell[program.code_id, test.test_id] for test in item.tests] for program in item.programs
    ]


def _test_row(test: Test) -> dict[str, str]:
    assert isinstance(test, CallTest), "the lab's tests are calls"
    arguments = ", ".join(map(repr, test.args))
    return {"call": f"{test.entry_point}({arguments})", "expect": repr(test.expected)}
