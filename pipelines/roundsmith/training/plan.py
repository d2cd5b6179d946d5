"""What a training will do, settled before its first step: rows, order, steps, batches, device,
arithmetic.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from roundsmith.config import has_bfloat16_units
from roundsmith.errors import ConfigError
from roundsmith.training.job import TrainingJob
from roundsmith.training.objective import Objective
from roundsmith.training.schedule import micro_batch, num_steps, row_order
from roundsmith.training.tokens import TokenFile

SMALL_MODEL_PARAMETERS = 50_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """`order` names the row of every place of every step, [steps * batch_size]."""

    tokens: TokenFile
    tokenizer: Any
    steps: int
    order: list[int]
    micro_batch_size: int
    accumulation: int
    """Forward passes of one process for one step."""
    processes: int

    def tokens_by_step(self) -> list[int]:
        """Tokens seen after each step, from step 0 on, over all processes, [steps + 1]."""
        size = len(self.order) // self.steps
        tokens = [0, *accumulate(self.tokens.lengths[row] for row in self.order)]
        return tokens[::size]


def plan_training(
    job: TrainingJob, objective: Objective, tokens: TokenFile, tokenizer: Any, processes: int
) -> Plan:
    """The plan of a job over tokenized rows.

    Where the rows of a forward pass matter, `micro_batch_size` counts them over all processes.
    Raises ConfigError for a batch_size that can not be cut so.
    """
    rows = job.batch_size // (job.generations if objective.prompts_alone else 1)
    steps = num_steps(len(tokens.lengths), rows, job.epochs, job.max_steps)
    largest = job.micro_batch_size
    if not objective.by_length:
        largest = largest // processes
    micro = micro_batch(job.batch_size, processes, max(objective.least_rows, largest))
    if micro < objective.least_rows:
        raise ConfigError(
            f"{job.objective}: expected a batch_size of which each of {processes} processes takes "
            f"{objective.least_rows} rows at once, saw {job.batch_size}: give a multiple of "
            f"{objective.least_rows * processes}"
        )
    return Plan(
        tokens=tokens,
        tokenizer=tokenizer,
        steps=steps,
        order=row_order(tokens.lengths, rows, steps, job.seed, objective.by_length),
        micro_batch_size=micro,
        accumulation=job.batch_size // processes // micro,
        processes=processes,
    )


def uses_bfloat16(job: TrainingJob, parameters: int, on_gpu: bool) -> bool:
    """Whether matrix products run in bfloat16: small models lose more than they gain by it, and so
    does a CPU without units for it.
    """
    if job.dtype == "auto":
        return parameters >= SMALL_MODEL_PARAMETERS and (on_gpu or has_bfloat16_units())
    return job.dtype == "bfloat16"
