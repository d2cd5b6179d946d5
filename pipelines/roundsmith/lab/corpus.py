"""The text that the base model is trained on: four skills, in exactly the prompts of recipes.

Every program in it, the wrong ones included, is a composition of the base's pool.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import chain, count, islice
from random import Random

from roundsmith.lab.compose import (
    ENTRY_POINT,
    Composition,
    body,
    describe,
    outputs,
    program,
)
from roundsmith.lab.kinds import sample_easy
from roundsmith.lab.mutants import wrong_neighbour
from roundsmith.lab.splits import Pool, deep, shallow
from roundsmith.recipes.prompts import (
    code_prompt,
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
    """How much of what. The four skills and the depths have relative shares of the rows."""

    code: float = 0.30
    description: float = 0.24
    test: float = 0.28
    judge: float = 0.18
    depths: tuple[float, float, float] = (0.25, 0.4, 0.35)
    first_depths: tuple[float, float, float] = (0.7, 0.3, 0.0)
    slips: float = 0.0
    """The share of rows of skill `code` that show a wrong program a step away, as the code that
    larger models learn from has mistakes. A model that has seen some makes some.
    """
    neighbours: float = 0.5
    """The share of the judge's wrong codes that are a step away from the right one; the others only
    share its head.
    """
    first_rows: int = 8000
    """How many rows are drawn by `first_depths`: single steps are learnt first, chains then."""
    deep_compositions: int = 3000
    asserts: int = 6
    """Tests written one below the other in a row of skill `test`, at most."""
    easy_draws: int = 4
    """Inputs drawn for a test, of which the one with the shortest values on the way is kept."""
    prompt_weight: float = 0.05
    """Weight of a prompt's tokens in the loss, where those of codes and descriptions have 1."""
    input_weight: float = 0.3
    """Weight of a test's input, which can not be known."""
    output_weight: float = 2.0
    verdict_weight: float = 8.0
    """Weight of Yes and No: one token has to teach as much as a whole program."""


@dataclass(frozen=True, slots=True)
class Part:
    """Text whose tokens weigh the same in the loss. A part's tokens do not depend on the next
    one.
    """

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """One row, the end token left out. `compositions` are those whose text it shows."""

    skill: Skill
    parts: tuple[Part, ...]
    compositions: tuple[str, ...]

    @property
    def text(self) -> str:
        """Prompt and completion, as one text."""
        return "".join(part.text for part in self.parts)


class Corpus:
    """An endless, seeded stream of rows over the base's compositions."""

    def __init__(self, seed: int, mixture: Mixture | None = None) -> None:
        self.mixture = mixture or Mixture()
        self._rng = Random(seed)
        self._by_depth = _base_pool(self.mixture.deep_compositions)
        self._depths = self.mixture.depths

    def rows(self) -> Iterator[CorpusRow]:
        """Draw rows for ever."""
        mix = self.mixture
        makers = (self._code, self._description, self._test, self._judge)
        weights = (mix.code, mix.description, mix.test, mix.judge)
        for index in count():
            self._depths = mix.first_depths if index < mix.first_rows else mix.depths
            yield self._rng.choices(makers, weights)[0](self._draw())

    def _draw(self) -> Composition:
        depth = self._rng.choices((1, 2, 3), self._depths)[0]
        return self._rng.choice(self._by_depth[depth])

    def _code(self, composition: Composition) -> CorpusRow:
        slip = self._slip(composition)
        prompt = code_prompt(_task(composition), describe(composition, self._rng))
        parts = (self._prompt(prompt), Part(body(slip or composition, self._rng), 1.0))
        return CorpusRow(Skill.CODE, parts, (composition.name, *([slip.name] if slip else [])))

    def _slip(self, composition: Composition) -> Composition | None:
        if not self.mixture.slips or self._rng.random() > self.mixture.slips:
            return None
        return wrong_neighbour(composition, self._rng)

    def _description(self, composition: Composition) -> CorpusRow:
        """The demonstration's description is taught as well as the query's."""
        demo = self._draw()
        shown = describe(demo, self._rng)
        code, demo_code = program(composition, self._rng), program(demo, self._rng)
        before, _, after = description_prompt(code, demo_code, shown).partition(shown)
        asked = Part(describe(composition, self._rng), 1.0)
        parts = (self._prompt(before), Part(shown, 1.0), self._prompt(after), asked)
        return CorpusRow(Skill.DESCRIPTION, parts, (composition.name, demo.name))

    def _test(self, composition: Composition) -> CorpusRow:
        parts = [self._prompt(test_prompt(_task(composition), describe(composition, self._rng)))]
        for index in range(self._rng.randint(1, self.mixture.asserts)):
            again = f"\nassert {ENTRY_POINT}(" if index else ""
            value = self._input(composition)
            parts.append(Part(f"{again}{value!r}) ==", self.mixture.input_weight))
            parts.append(Part(f" {composition.run(value)!r}", self.mixture.output_weight))
        return CorpusRow(Skill.TEST, tuple(parts), (composition.name,))

    def _input(self, composition: Composition) -> Value:
        """An input whose values on the way are easy to follow."""
        draws = [sample_easy(composition.source, self._rng) for _ in range(self.mixture.easy_draws)]
        return min(draws, key=lambda draw: _effort(composition, draw))

    def _judge(self, composition: Composition) -> CorpusRow:
        """A right code is taught as a completion as well."""
        wrong = self._wrong(composition) if self._rng.random() < _WRONG_SHARE else None
        shown = wrong or composition
        stub = code_prompt(_task(composition), describe(composition, self._rng))
        code = body(shown, self._rng)
        before, _, after = judge_prompt(stub + code).partition(code)
        parts = (
            self._prompt(before),
            self._prompt(code) if wrong else Part(code, 1.0),
            self._prompt(after),
            Part("No" if wrong else "Yes", self.mixture.verdict_weight),
        )
        return CorpusRow(Skill.JUDGE, parts, (composition.name, shown.name))

    def _wrong(self, composition: Composition) -> Composition | None:
        """A composition that differs by a step, or any other with the same head."""
        if self._rng.random() < self.mixture.neighbours:
            return wrong_neighbour(composition, self._rng)
        other = self._rng.choice(_by_head(self.mixture.deep_compositions)[composition.head])
        return other if outputs(other) != outputs(composition) else None

    def _prompt(self, text: str) -> Part:
        return Part(text, self.mixture.prompt_weight)


@cache
def _base_pool(num_deep: int) -> dict[int, list[Composition]]:
    """What the base may see, by depth: all of depths 1 and 2, and `num_deep` of depth 3."""
    by_depth: dict[int, list[Composition]] = {1: [], 2: []}
    for placed in shallow():
        if placed.pool is Pool.BASE:
            by_depth[len(placed.composition.atoms)].append(placed.composition)
    base = (placed.composition for placed in deep(_DEEP_SEED) if placed.pool is Pool.BASE)
    return {**by_depth, 3: list(islice(base, num_deep))}


@cache
def _by_head(num_deep: int) -> dict[str, list[Composition]]:
    by_head: dict[str, list[Composition]] = defaultdict(list)
    for composition in chain.from_iterable(_base_pool(num_deep).values()):
        by_head[composition.head].append(composition)
    return by_head


def _task(composition: Composition) -> Task:
    return Task("", Split.TRAIN, "", composition.head, ENTRY_POINT, ())


def _effort(composition: Composition, value: Value) -> int:
    """How much there is to follow: the characters of the values on the way."""
    total = 0
    for atom in composition.atoms:
        value = atom.run(value)
        total += len(repr(value))
    return total
