"""The text that the base model is trained on: four skills, in exactly the prompts of recipes.

Every program in it, the wrong ones of the judge included, is a composition of the base's pool.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from random import Random

from roundsmith.lab.compose import (
    ENTRY_POINT,
    Composition,
    body,
    describe,
    program,
)
from roundsmith.lab.kinds import sample_easy
from roundsmith.lab.mutants import wrong_neighbour
from roundsmith.lab.splits import Pool, deep, shallow
from roundsmith.recipes.prompts import (
    code_prompt,
    code_stub,
    description_prompt,
    judge_prompt,
    test_prompt,
)
from roundsmith.types import Split, Task, Value

_DEEP_SEED = 1
"""Another order of the depth 3 compositions than the one that tasks are picked from."""


_WRONG_SHARE = 0.6
"""A little over half, because some compositions have no wrong neighbour in the base's pool."""


class Skill(StrEnum):
    """What a row teaches."""

    CODE = "code"
    DESCRIPTION = "description"
    TEST = "test"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Mixture:
    """How much of what. Weights are relative."""

    code: float = 0.42
    description: float = 0.16
    test: float = 0.27
    judge: float = 0.15
    depths: tuple[float, float, float] = (0.2, 0.4, 0.4)
    deep_compositions: int = 3000
    asserts: int = 4
    """Tests written one below the other in a row of skill `test`, at most."""
    easy_draws: int = 3
    """Inputs drawn for a test, of which the one with the shortest values on the way is kept."""


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """One row: a prompt, and the completion after it. `compositions` are those whose text it
    shows.
    """

    skill: Skill
    prompt: str
    completion: str
    compositions: tuple[str, ...]


class Corpus:
    """An endless, seeded stream of rows over the base's compositions."""

    def __init__(self, seed: int, mixture: Mixture | None = None) -> None:
        self.mixture = mixture or Mixture()
        self._rng = Random(seed)
        by_depth: dict[int, list[Composition]] = {1: [], 2: []}
        for placed in shallow():
            if placed.pool is Pool.BASE:
                by_depth[len(placed.composition.atoms)].append(placed.composition)
        base = (placed.composition for placed in deep(_DEEP_SEED) if placed.pool is Pool.BASE)
        by_depth[3] = list(islice(base, self.mixture.deep_compositions))
        self._by_depth = by_depth

    def rows(self) -> Iterator[CorpusRow]:
        """Draw rows for ever."""
        mix = self.mixture
        makers = (self._code, self._description, self._test, self._judge)
        weights = (mix.code, mix.description, mix.test, mix.judge)
        while True:
            yield self._rng.choices(makers, weights)[0](self._draw())

    def _draw(self) -> Composition:
        depth = self._rng.choices((1, 2, 3), self.mixture.depths)[0]
        return self._rng.choice(self._by_depth[depth])

    def _code(self, composition: Composition) -> CorpusRow:
        prompt = code_prompt(_task(composition), describe(composition, self._rng))
        return CorpusRow(Skill.CODE, prompt, body(composition, self._rng), (composition.name,))

    def _description(self, composition: Composition) -> CorpusRow:
        demo = self._draw()
        prompt = description_prompt(
            program(composition, self._rng), program(demo, self._rng), describe(demo, self._rng)
        )
        names = (composition.name, demo.name)
        return CorpusRow(Skill.DESCRIPTION, prompt, describe(composition, self._rng), names)

    def _test(self, composition: Composition) -> CorpusRow:
        prompt = test_prompt(_task(composition), describe(composition, self._rng))
        count = self._rng.randint(1, self.mixture.asserts)
        calls = [self._call(composition) for _ in range(count)]
        completion = f"\nassert {ENTRY_POINT}(".join(calls)
        return CorpusRow(Skill.TEST, prompt, completion, (composition.name,))

    def _call(self, composition: Composition) -> str:
        """One call and its value, easy to follow: `[1, 2]) == 3`."""
        draws = [sample_easy(composition.source, self._rng) for _ in range(self.mixture.easy_draws)]
        value = min(draws, key=lambda draw: _effort(composition, draw))
        return f"{value!r}) == {composition.run(value)!r}"

    def _judge(self, composition: Composition) -> CorpusRow:
        wrong = (
            wrong_neighbour(composition, self._rng) if self._rng.random() < _WRONG_SHARE else None
        )
        shown = wrong or composition
        stub = code_stub(_task(composition), describe(composition, self._rng))
        prompt = judge_prompt(stub + body(shown, self._rng))
        names = tuple({composition.name, shown.name})
        return CorpusRow(Skill.JUDGE, prompt, "No" if wrong else "Yes", names)


def _task(composition: Composition) -> Task:
    return Task("", Split.TRAIN, "", composition.head, ENTRY_POINT, ())


def _effort(composition: Composition, value: Value) -> int:
    """How much there is to follow: the characters of the values on the way."""
    total = 0
    for atom in composition.atoms:
        value = atom.run(value)
        total += len(repr(value))
    return total
