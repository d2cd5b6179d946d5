"""What a recipe works with: typed services, and samples that know where they come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from roundsmith.benchmarks.scripts import runnable
from roundsmith.clients import Services
from roundsmith.errors import ConfigError, TooLong
from roundsmith.hashing import derive_seed
from roundsmith.recipes.identities import draw_seed, sample_id
from roundsmith.recipes.prompts import assertion
from roundsmith.recipes.resolving import run_until_resolved
from roundsmith.recipes.styles import Demonstration, Style, without_docstrings
from roundsmith.types import (
    AssertTest,
    Completion,
    GenerateItem,
    Kind,
    Limits,
    Outcome,
    Program,
    Prompt,
    Provenance,
    Sample,
    Sampling,
    Task,
)


@dataclass(frozen=True)
class Session:
    """One recipe in one round on fixed weights; safe for many tasks at once."""

    services: Services
    style: Style
    recipe: str
    round: int
    seed: int
    weights_sha256: str
    demonstrations: Sequence[Demonstration]
    limits: Limits

    def random(self, task: Task, *path: str | int) -> Random:
        """The random numbers of one place in one task's sampling."""
        return Random(derive_seed(self.seed, "session", task.task_id, *path))

    def demonstration(self, task: Task, step: int) -> Demonstration:
        """A random one of another task (the same for the same seed, round, task and step).

        Raises ConfigError when no other task has a reference: `Recipe.check` refuses that before.
        """
        others = [d for d in self.demonstrations if d.description != task.description]
        if not others:
            raise ConfigError(
                f"task {task.task_id}: expected another training task with a reference, which "
                f"{self.recipe} shows the model, saw none: give the tasks references, or let the "
                "recipe's `demonstrates` be true; refuse_without_demonstrations in its `check` "
                "tells before sampling"
            )
        shown = self.random(task, "demonstration", self.round, step).choice(others)
        return replace(shown, code=without_docstrings(shown.code))

    async def write(
        self,
        task: Task,
        kind: Kind,
        prompt: Prompt,
        sampling: Sampling,
        *,
        step: int,
        n: int,
        meaning: Callable[[str], str],
        parents: tuple[str, ...] = (),
    ) -> tuple[Sample, ...]:
        """n samples of one prompt; `meaning` turns a completion into the text that it stands for.

        The seed is H(seed, round, task, kind, step), and each sample's the generator's H of it and
        the index. Raises TooLong, with the task, for a prompt that the model has no room for.
        """
        seed = draw_seed(self.seed, self.round, task.task_id, kind, step)
        item_id = f"{self.round}/{task.task_id}/{kind}/{step}"
        item = GenerateItem(item_id, prompt, sampling, seed, n)
        try:
            found = await self.services.generator.generate(item, self.weights_sha256)
        except TooLong as error:
            raise TooLong(f"task {task.task_id}: {error}") from error
        provenance = Provenance(
            task_id=task.task_id,
            recipe=self.recipe,
            round=self.round,
            weights_sha256=self.weights_sha256,
            seed=seed,
            sampling=sampling,
            parents=parents,
            source=task.source,
            licence=task.licence,
        )
        return tuple(
            _sample(completion, kind, step, prompt, meaning(completion.text), provenance)
            for completion in found
        )

    async def write_codes(
        self,
        task: Task,
        description: str,
        sampling: Sampling,
        *,
        step: int,
        n: int,
        parents: tuple[str, ...] = (),
    ) -> tuple[Sample, ...]:
        """n programs for a description; none for one that the model wrote (`parents`) when it is
        too long. Raises TooLong for the task's own.
        """
        try:
            return await self.write(
                task,
                Kind.CODE,
                self.style.code(task, description),
                sampling,
                step=step,
                n=n,
                meaning=lambda text: self.style.program(task, description, text),
                parents=parents,
            )
        except TooLong:
            if not parents:
                raise
            return ()

    async def write_description(
        self, task: Task, code: str, sampling: Sampling, *, step: int, parents: tuple[str, ...]
    ) -> Sample | None:
        """One description of a program without its docstrings, shown how by a random
        demonstration; None when the two are too long.
        """
        prompt = self.style.description(without_docstrings(code), self.demonstration(task, step))
        try:
            found = await self.write(
                task,
                Kind.DESCRIPTION,
                prompt,
                sampling,
                step=step,
                n=1,
                meaning=str.strip,
                parents=parents,
            )
        except TooLong:
            return None
        return found[0]

    async def write_problem(
        self, task: Task, block: str, opener: str, sampling: Sampling, *, step: int
    ) -> Sample | None:
        """One instruction that a fenced snippet answers, `opener` being its beginning; None when
        the snippet is too long.
        """
        prompt = self.style.problem(task, block, opener, lambda: self.demonstration(task, step))
        try:
            found = await self.write(
                task,
                Kind.DESCRIPTION,
                prompt,
                sampling,
                step=step,
                n=1,
                meaning=lambda text: f"{opener}{text}".strip(),
            )
        except TooLong:
            return None
        return found[0]

    async def write_tests(
        self, task: Task, sampling: Sampling, *, step: int, n: int
    ) -> tuple[Sample, ...]:
        """n tests by the model for the task's description, each one assert of its entry point as
        far as the model wrote one: see `self_tests.asserts`. Raises TooLong.
        """
        return await self.write(
            task,
            Kind.TEST,
            self.style.test(task, task.description),
            sampling,
            step=step,
            n=n,
            meaning=lambda text: f"{assertion(task)}{text.rstrip()}",
        )

    async def verify(
        self,
        task: Task,
        codes: Sequence[Sample],
        *,
        tests: Sequence[Sample] | None = None,
        every_test: bool = False,
    ) -> tuple[Outcome, ...]:
        """Runs programs on the task's tests, or on self-made `tests` alone, until every verdict is
        resolved; a self-made test's id is its sample's.

        A program's tests end at its first failure unless `every_test`. Raises SandboxError when the
        executor keeps failing: that never becomes a label.
        """
        if tests is not None:
            made = tuple(AssertTest(test.sample_id, test.text) for test in tests)
            task = replace(task, tests=made)
        if not codes or not task.tests:
            return ()
        programs = [
            Program(code.sample_id, runnable(task, code.text), task.setup) for code in codes
        ]
        item_id = f"{self.round}/{task.task_id}/{codes[0].step}"
        return await run_until_resolved(
            self.services,
            item_id if tests is None else f"{item_id}/self-made",
            programs,
            task,
            self.limits,
            every_test,
        )


def _sample(
    completion: Completion, kind: Kind, step: int, prompt: Prompt, text: str, origin: Provenance
) -> Sample:
    found = Sample(
        sample_id="",
        kind=kind,
        step=step,
        index=completion.index,
        prompt=prompt,
        completion=completion.text,
        text=text,
        logprob_sum=float(sum(completion.logprobs)),
        prompt_tokens=completion.prompt_tokens,
        token_count=len(completion.token_ids),
        finish_reason=completion.finish_reason,
        provenance=origin,
    )
    return replace(found, sample_id=sample_id(found))
