"""DSTC: preference pairs from self-made tests and code (Liu et al., 2024, arXiv 2411.13611)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from roundsmith.errors import UnfitTasks
from roundsmith.recipes import minimax, noise
from roundsmith.recipes.contract import Recipe, RecipeConfig, made_pair
from roundsmith.recipes.matrix import Matrix, matrix_of
from roundsmith.recipes.minimax import Picks, Skip
from roundsmith.recipes.self_tests import asserts
from roundsmith.recipes.session import Session
from roundsmith.recipes.stage import PreferenceTuning, Stage
from roundsmith.types import Group, Row, Sampling, Task

RULES = ("random", "best_worst", "minimax")


class DstcConfig(RecipeConfig):
    """The paper's J, temperature, prompts, beta, learning rate, epochs and batch are not known to
    us: the defaults are StarCoder2-Instruct's sampling (10 samples at 0.7), whose model the paper
    starts from, and our own training.
    """

    num_codes: int = Field(10, gt=1)
    """J: codes of a task."""
    num_tests: int = Field(10, gt=0)
    """J: tests of a task."""
    temperature: float = Field(0.7, ge=0)
    top_k: int = Field(0, ge=0)
    max_tokens: int = Field(512, gt=0)
    max_test_tokens: int = Field(128, gt=0)
    rule: Literal["random", "best_worst", "minimax"] = "minimax"
    """How a pair is picked from the matrix; the others are what minimax is compared with."""
    join_tests: bool = True
    """Whether the pair is of codes joined with tests, as in the paper, or of bare codes."""
    min_passes: int = Field(1, ge=0)
    """Codes that must pass the rejected test: one that all fail may itself be wrong. 0 is the
    formula as it is told.
    """
    ties: Literal["first", "random"] = "first"
    """Which of equal codes and tests is taken; the paper's way is not known."""
    hidden_tests: bool = True
    """Also run the codes on the task's own tests and the reference on the self-made ones, for the
    label noise in the summary: no choice reads it.
    """
    training: PreferenceTuning = PreferenceTuning()

    @model_validator(mode="after")
    def _tests_that_a_code_fails(self) -> Self:
        if self.min_passes >= self.num_codes:
            raise ValueError(
                f"min_passes: expected less than num_codes, {self.num_codes}, since a code must "
                f"fail the rejected test, saw {self.min_passes}"
            )
        return self

    @model_validator(mode="after")
    def _tests_to_join(self) -> Self:
        if self.rule == "best_worst" and self.join_tests:
            raise ValueError(
                "join_tests: expected false with rule best_worst, which picks no tests: give "
                "--set join_tests=false"
            )
        return self


class Dstc(Recipe):
    """Codes and tests by the model, each code run on each test; one pair a task, by minimax.

    The chosen code passes most tests, its test is the hardest that it passes; the rejected test is
    the easiest that a code fails, its code the worst that fails it. Known of the paper by summaries
    of others; what they do not tell is ours:

    - two prompts, one for codes and one for tests, each a single assert of the entry point that is
      called by name; other tests are left out;
    - the joined text is the code, an empty line and the assert;
    - a test that no code passes is not the rejected one (`min_passes`), and a group without a pair
      is skipped: see `Skip`;
    - a code with a verdict that may become no label (tampered, flaky, near its limit) is left out,
      and a pair whose codes are the same text is none;
    - the task's own tests and reference are never looked at by a choice.
    """

    Config = DstcConfig
    name = "dstc"
    config: DstcConfig
    has_control: ClassVar[bool] = False
    selecting: ClassVar[frozenset[str]] = frozenset({"rule", "join_tests", "min_passes", "ties"})

    def check(self, tasks: Sequence[Task]) -> None:
        """A self-made test calls the entry point by its name."""
        if not any(task.entry_point for task in tasks):
            raise UnfitTasks(
                f"dstc: expected training tasks with an entry point that a test can call, saw none "
                f"among {len(tasks)}: give tasks that are solved by a function"
            )

    @property
    def demonstrates(self) -> bool:
        """A task is asked for by itself."""
        return False

    @property
    def draws_per_task(self) -> int:
        """J codes and J tests."""
        return self.config.num_codes + self.config.num_tests

    async def sample(self, task: Task, session: Session) -> Group:
        """J codes, J tests, and the matrix of both."""
        cfg, style = self.config, session.style
        drawn = Sampling(cfg.max_tokens, cfg.temperature, top_k=cfg.top_k, stop=style.code_stops)
        codes = await session.write_codes(task, task.description, drawn, step=0, n=cfg.num_codes)
        drawn = replace(drawn, max_tokens=cfg.max_test_tokens, stop=style.test_stops)
        tests = await session.write_tests(task, drawn, step=0, n=cfg.num_tests)
        asked = [test for test in tests if asserts(test.text, task.entry_point)]
        outcomes = await session.verify(task, codes, tests=asked, every_test=True)
        if cfg.hidden_tests:
            outcomes += await session.verify(task, codes)
            outcomes += await noise.of_tests(session, task, asked)
        return Group(task, (*codes, *tests), outcomes)

    def measuring(self, group: Group) -> int:
        """Those on the task's own tests, and those of its reference on self-made ones."""
        return noise.num_executions(group)

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """The pair of the group, if it has one."""
        matrix = matrix_of(group)
        picks = self.pick(matrix, self.config.rule, random)
        if picks.skip_G[0] != Skip.NONE:
            return []
        chosen, rejected = (
            matrix.codes[at[0]] for at in (picks.chosen_code_G, picks.rejected_code_G)
        )
        if chosen.text.strip() == rejected.text.strip():
            return []
        if not self.config.join_tests:
            return [made_pair(group, (chosen,), (rejected,))]
        tests = [matrix.tests[at[0]] for at in (picks.chosen_test_G, picks.rejected_test_G)]
        return [made_pair(group, (chosen, tests[0]), (rejected, tests[1]))]

    def pick(self, matrix: Matrix, rule: str, random: Random) -> Picks:
        """What a rule picks from a matrix, as a batch of one."""
        cfg, rng = self.config, np.random.default_rng(random.getrandbits(64))
        ties = rng if cfg.ties == "random" else None
        return minimax.by_rule(matrix.passed_JK[None], rule, cfg.min_passes, rng, ties)

    def measure(
        self, chosen: Iterable[tuple[Group, Sequence[Row]]], seed: int
    ) -> Mapping[str, float]:
        """Pairs, groups without one by reason, and where the hidden tests were run the label noise
        of every rule.
        """
        return noise.measure(chosen, self.pick, RULES, self.config.rule, seed)

    def stages(self) -> Sequence[Stage]:
        """dpo, or kto on the pairs taken apart."""
        return (Stage.of(self.config.training),)


RECIPE = Dstc
