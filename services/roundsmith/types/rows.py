"""What a round makes: samples, their groups, and the rows that a model is trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from roundsmith.types.execution import Outcome
from roundsmith.types.generation import Prompt, Sampling, Score
from roundsmith.types.tasks import Task
from roundsmith.verdicts import Label


class Kind(StrEnum):
    """What a sample is."""

    CODE = "code"
    DESCRIPTION = "description"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row comes from: enough to walk back to the prompt and the weights."""

    task_id: str
    recipe: str
    round: int
    weights_sha256: str = ""
    seed: int = 0
    sampling: Sampling | None = None
    parents: tuple[str, ...] = ()
    """Content hashes of the rows that this one was made from."""
    tier: str = ""
    image: str = ""
    source: str = ""
    """Data set of the task."""
    licence: str = ""
    """SPDX identifier of the task's licence; empty when unknown. The model's is in the manifest of
    its weights."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing that the model wrote. `text` is what it means (a whole program, a description, a
    test).
    """

    sample_id: str
    kind: Kind
    step: int
    index: int
    prompt: Prompt
    completion: str
    text: str
    logprob_sum: float
    prompt_tokens: int
    token_count: int
    finish_reason: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Group:
    """The samples of one task, with what is known of them: outcomes by code, scores by sample."""

    task: Task
    samples: tuple[Sample, ...]
    outcomes: tuple[Outcome, ...] = ()
    scores: Mapping[str, Score] = field(default_factory=dict)

    def passing(self) -> tuple[Sample, ...]:
        """The code samples that may train: on every test of the task a POSITIVE label, in order."""
        tests = {test.test_id for test in self.task.tests}
        positive: dict[str, set[str]] = {}
        for outcome in self.outcomes:
            if outcome.label is Label.POSITIVE:
                positive.setdefault(outcome.code_id, set()).add(outcome.test_id)
        return tuple(
            s
            for s in self.samples
            if s.kind is Kind.CODE and tests and positive.get(s.sample_id, set()) >= tests
        )


@dataclass(frozen=True, slots=True)
class Example:
    """One row to imitate: loss on `completion` and the end token, given `prompt`."""

    example_id: str
    prompt: Prompt
    completion: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Pair:
    """One preference: after `prompt`, `chosen` is better than `rejected`."""

    pair_id: str
    prompt: Prompt
    chosen: str
    rejected: str
    provenance: Provenance


Row = Example | Pair
