"""One arm on one seed, read downwards: the pool that it shares, its rows, its training, what it is
judged by. Every step is found where it was done before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from roundsmith.claims import Arm, Claims
from roundsmith.reproduce.choice import Choice, Tuned, built, config_of
from roundsmith.steps.config import RunConfig
from roundsmith.types import Split


class Steps(Protocol):
    """Runs or plans the steps of many runs over one store."""

    def do(
        self, config: RunConfig, round: int, step: str, split: str, of: str, /, **refs: str
    ) -> str:
        """The reference of what a step made."""

    def tokens(self, refs: tuple[str, ...]) -> int | None:
        """Sampled and scored tokens of pools and trainings; None where they are not drawn yet."""


@dataclass(frozen=True, slots=True)
class Rows:
    """An arm's rows in one round, by reference, with what they were drawn from."""

    rows: str
    pool: tuple[str, ...] = ()
    """What sampled and what scored them."""
    start: str = ""
    """The model that training on them begins with."""


@dataclass(frozen=True, slots=True)
class Played:
    """An arm on a seed, by reference."""

    tasks: str
    checkpoint: str
    rounds: tuple[Rows, ...]
    evaluations: Mapping[str, str]
    """By split."""
    ks: tuple[int, ...]
    """The k of pass@k that they are counted for."""


class Player:
    """Plays arms of one file of claims."""

    def __init__(self, claims: Claims, choice: Choice, steps: Steps) -> None:
        self.claims, self.choice, self._steps = claims, choice, steps
        self._configs: dict[str, RunConfig] = {}
        self._given: dict[tuple[str, int], str] = {}

    def play(self, arm: str, seed: int, tuned: Mapping[str, Tuned], split: Split) -> Played:
        """Trains an arm on a seed with the tuned values of all arms, and looks at a split; at the
        training tasks too where its recipe's claims need them.
        """
        config, tasks = self.common(seed), self.tasks(seed)
        if samples := self.claims.arms[arm].samples:
            more = {"samples": samples, "ks": (1, samples)}
            how = config.evaluation.model_copy(update=more)
            config = config.model_copy(update={"evaluation": how})
        checkpoint, rounds = self.checkpoint(arm, seed, tuned)
        splits = [split]
        if split is Split.FINAL and built(config).on_train and not samples:
            splits.append(Split.TRAIN)
        evaluations = {
            str(one): self._do(config, "evaluate", one, arm, tasks=tasks, model=checkpoint)
            for one in splits
        }
        return Played(tasks, checkpoint, rounds, evaluations, config.evaluation.ks)

    def checkpoint(
        self, arm: str, seed: int, tuned: Mapping[str, Tuned]
    ) -> tuple[str, tuple[Rows, ...]]:
        """The last checkpoint of an arm, with the rows of its rounds."""
        config, one = self._config(arm, seed, tuned), self.claims.arms[arm]
        tasks, first = self.tasks(seed), self.model(seed)
        if one.train == "nothing":
            return first, ()
        if one.train == "writer":
            return self._do(config, "writer", "", arm, tasks=tasks, model=first, first=first), ()
        like = {}
        if one.steps_of:
            like = {"like": self.checkpoint(one.steps_of, seed, tuned)[0]}
        model, rounds = first, []
        for number in range(1, one.rounds + 1):
            rows = self._rows(arm, seed, tuned, number, model)
            rounds.append(rows)
            given = {"rows": rows.rows, "model": rows.start, "tasks": tasks, **like}
            model = self._do(config, "train", "", arm, number, **given)
        return model, tuple(rounds)

    def _rows(
        self, arm: str, seed: int, tuned: Mapping[str, Tuned], number: int, model: str
    ) -> Rows:
        """What an arm trains on: matched with the other arms of its word in the first round."""
        config, one = self._config(arm, seed, tuned), self.claims.arms[arm]
        if one.train == "gold":
            tasks = self.tasks(seed)
            return Rows(self._do(config, "corpus", "", arm, tasks=tasks, model=model), (), model)
        own = self._selected(arm, seed, tuned, number, model)
        if not one.matched or number > 1:
            return own
        group = {
            f"arm_{other}": self._selected(other, seed, tuned, number, model).rows
            for other, of in self.claims.arms.items()
            if of.matched == one.matched
        }
        rows = self._do(config, "matched", "", arm, rows=own.rows, **group)
        return Rows(rows, own.pool, own.start)

    def _selected(
        self,
        arm: str,
        seed: int,
        tuned: Mapping[str, Tuned],
        number: int,
        model: str,
        scale: int | None = None,
    ) -> Rows:
        """The rows that an arm's recipe chooses from its pool, which others may share."""
        one = self.claims.arms[arm]
        if one.tokens_of and scale is None:
            scale = self._scale(arm, one, seed, tuned, number, model)
        config = self._config(arm, seed, tuned, scale)
        tasks, first = self.tasks(seed), self.model(seed)
        writer, start = model, model
        if built(config).own_writer:
            start = first
            writer = self._do(config, "writer", "", arm, tasks=tasks, model=model, first=first)
        drawn = self._do(config, "sample", "", arm, number, tasks=tasks, model=writer)
        scored = self._do(config, "score", "", arm, number, groups=drawn, model=writer)
        given = {"groups": scored, "model": writer, "tasks": tasks}
        rows = self._do(config, "select", "", arm, number, **given)
        return Rows(rows, (drawn, scored), start)

    def _scale(
        self,
        arm: str,
        one: Arm,
        seed: int,
        tuned: Mapping[str, Tuned],
        number: int,
        model: str,
    ) -> int:
        """How much an arm samples so that it spends as many tokens as another does, to the nearest
        whole number.
        """
        usual = getattr(built(self._config(arm, seed, tuned)).config, one.scaled)
        mine = self._steps.tokens(self._selected(arm, seed, tuned, number, model, usual).pool)
        theirs = self._steps.tokens(self._drawn(one.tokens_of, seed, tuned, number, model))
        return max(1, round(usual * theirs / mine)) if mine and theirs else int(usual)

    def _drawn(
        self, arm: str, seed: int, tuned: Mapping[str, Tuned], number: int, model: str
    ) -> tuple[str, ...]:
        """All that an arm draws tokens for: its pool, and where it learns from rewards its
        training.
        """
        pool = self._selected(arm, seed, tuned, number, model).pool
        stages = built(self._config(arm, seed, tuned)).stages()
        if all(stage.objective != "grpo" for stage in stages):
            return pool
        return (*pool, self.checkpoint(arm, seed, tuned)[0])

    def _config(
        self, arm: str, seed: int, tuned: Mapping[str, Tuned], scale: int | None = None
    ) -> RunConfig:
        values = tuned.get(self.claims.chain(arm)[-1], {})
        asked = f"{arm} {seed} {sorted(values.items())} {scale}"
        if asked not in self._configs:
            self._configs[asked] = config_of(self.claims, self.choice, arm, seed, values, scale)
        return self._configs[asked]

    def common(self, seed: int) -> RunConfig:
        """The settings by which the arms of a seed are given tasks and model, and are judged."""
        return self._config(self.claims.method, seed, {})

    def model(self, seed: int) -> str:
        """The base model of a seed."""
        if ("model", seed) not in self._given:
            self._given["model", seed] = self._do(self.common(seed), "load_model", "", "")
        return self._given["model", seed]

    def tasks(self, seed: int) -> str:
        """Training tasks of the seed's own, and held-out tasks that all seeds look at."""
        if ("tasks", seed) not in self._given:
            config = self.common(seed)
            drawn = self._do(config, "load_tasks", "", "")
            held = self._do(config.model_copy(update={"seed": 0}), "load_tasks", "", "")
            made = self._do(config, "compared_tasks", "", "", drawn=drawn, held=held)
            self._given["tasks", seed] = made
        return self._given["tasks", seed]

    def _do(
        self, config: RunConfig, step: str, split: str, of: str, number: int = 1, /, **refs: str
    ) -> str:
        return self._steps.do(config, number, step, split, of, **refs)
