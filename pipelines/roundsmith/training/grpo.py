"""The objective grpo: rewards from the task's tests. TRL's GRPOTrainer, over prompts that are
tokenized already.

Shao et al., 2024 (arXiv 2402.03300). For each prompt G completions are drawn from the policy; a
completion's reward is 1 if it passes every test of the task, else 0, and its advantage

    A_i = (r_i - mean(r)) / (std(r) + 1e-4)

over the group. A completion that the sandbox failed on has no reward: it is in no mean of rewards,
its advantage is 0 and its tokens are in no loss, so that it teaches nothing. It still counts among
the completions that the loss is the mean over, which makes the step that much smaller. Every step
draws anew from the weights of that step, so that the ratio to the sampling policy is 1 and `clip`
does nothing but bound rounding. Of several processes the first one draws, for all.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types
from datasets import Dataset  # type: ignore[import-untyped]  # ships no types
from transformers import TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from roundsmith.errors import ConfigError
from roundsmith.store import EXAMPLES
from roundsmith.training.coder import Coder
from roundsmith.training.dealing import Dealer
from roundsmith.training.folder import JobFolder
from roundsmith.training.job import TrainingJob
from roundsmith.training.keeping import Keeping
from roundsmith.training.kept import Kept
from roundsmith.training.objective import Objective, TokenRow
from roundsmith.training.plan import Plan
from roundsmith.training.rollouts import Rollout, RolloutSource, Source
from roundsmith.training.schedule import micro_batch
from roundsmith.training.settings import adapters, common
from roundsmith.types import Example


def encode(coder: Coder, example: Example) -> Iterator[TokenRow]:
    """The prompt, and the task that says what solves it; the row's own completion is not read."""
    yield {"prompt_ids": coder.prompt(example.prompt), "task_id": example.provenance.task_id}


def arguments(job: TrainingJob, folder: JobFolder, device: str, bfloat16: bool) -> GRPOConfig:
    """The job in TRL's words; how many steps come with the plan. Raises ConfigError for what grpo
    can not do.
    """
    if job.batch_size % job.generations:
        raise ConfigError(
            f"grpo: expected a batch_size that is a multiple of generations, saw {job.batch_size} "
            f"and {job.generations}"
        )
    known = common(job, folder, device, bfloat16)
    del known["max_length"], known["train_sampling_strategy"]
    processes = PartialState().num_processes
    micro = micro_batch(job.batch_size, processes, job.micro_batch_size)
    return GRPOConfig(
        **known,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=job.batch_size // processes // micro,
        num_generations=job.generations,
        max_completion_length=job.max_tokens,
        temperature=job.temperature,
        beta=job.beta,
        epsilon=job.clip,
        loss_type="grpo",
        shuffle_dataset=False,
    )


class GrpoTrainer(Kept, GRPOTrainer):
    """GRPOTrainer whose completions and rewards come from the services."""


def _took(
    prompt_by_task: Mapping[str, Sequence[int]], taken: Sequence[Rollout], prompts: Sequence[str]
) -> dict[str, float]:
    """What the rollouts of a step took, by the names of `Progress`."""
    return {
        "prompt_tokens": float(sum(len(prompt_by_task[name]) for name in set(prompts))),
        "sampled_tokens": float(sum(len(one.completion.token_ids) for one in taken)),
        "executions": float(sum(one.executions for one in taken)),
    }


class Close(TrainerCallback):
    """Ends the calls to the services when the training ends."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._source.close()


def rewards_of(prompts: Sequence[str], *, reward: Sequence[float | None], **_: Any) -> list[Any]:
    """The rewards that came with the rollouts."""
    return list(reward)


def build(
    job: TrainingJob,
    keeping: Keeping,
    plan: Plan,
    config: GRPOConfig,
    model: Any,
    callbacks: list[TrainerCallback],
    source: Source | None = None,
) -> GrpoTrainer:
    """A trainer over the plan's prompts, ready to run; `source` draws in the place of the job's
    services. Raises ConfigError without services.
    """
    rows = Dataset.from_file(str(plan.tokens.path))
    named = rows.select_columns(["task_id"]).rename_column("task_id", "prompt")
    prompt_by_task = {row["task_id"]: tuple(row["prompt_ids"]) for row in rows}
    drawing = source or RolloutSource(JobFolder(job))
    dealer = Dealer()

    def roll_out(prompts: list[str], trainer: GrpoTrainer) -> dict[str, Any]:
        """`prompts` are task ids, each as often as it has completions: a step in which one epoch
        ends and another begins may hold a task twice, as two groups.
        """
        model, step = trainer.whole(), trainer.state.global_step

        def draw(names: list[str]) -> list[Rollout]:
            drawing.serve(model)
            wanted = {name: (prompt_by_task[name], n) for name, n in Counter(names).items()}
            drawn = drawing.draw(wanted, step)
            taken = [drawn[name].pop(0) for name in names]
            for name, number in _took(prompt_by_task, taken, names).items():
                trainer._metrics["train"][name].append(number)  # logged with the step, as TRL's are
            return taken

        taken = dealer.deal(prompts, draw)
        return {
            "prompt_ids": [list(prompt_by_task[name]) for name in prompts],
            "completion_ids": [list(one.completion.token_ids) for one in taken],
            "logprobs": [list(one.completion.logprobs) for one in taken],
            "reward": [one.reward for one in taken],
            "env_mask": [
                [int(one.reward is not None)] * len(one.completion.token_ids) for one in taken
            ],
        }

    return GrpoTrainer(
        job,
        keeping,
        plan,
        model=model,
        reward_funcs=rewards_of,
        args=config,
        train_dataset=named.select(plan.order),
        callbacks=[*callbacks, Close(drawing)],
        rollout_func=roll_out,
        peft_config=adapters(job),
    )


OBJECTIVE = Objective(
    EXAMPLES,
    {"prompt_ids": "ids", "task_id": "text"},
    encode,
    arguments,
    build,
    prompts_alone=True,
)
