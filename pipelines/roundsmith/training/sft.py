"""The objective sft: imitate completions. TRL's SFTTrainer, over rows that are tokenized
already.

Loss is the mean negative log-probability of completion and end token, over the tokens of a step.
"""

from collections.abc import Iterator
from typing import Any

from datasets import Dataset  # type: ignore[import-untyped]  # ships no types
from transformers import TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from roundsmith.store import EXAMPLES
from roundsmith.training.coder import Coder
from roundsmith.training.folder import JobFolder
from roundsmith.training.job import TrainingJob
from roundsmith.training.keeping import Keeping
from roundsmith.training.kept import Kept
from roundsmith.training.objective import Objective, TokenRow
from roundsmith.training.plan import Plan
from roundsmith.training.settings import adapters, common
from roundsmith.training.tokens import NO_LOSS
from roundsmith.types import Example


def encode(coder: Coder, example: Example) -> Iterator[TokenRow]:
    """Token ids and labels, of one length; labels are NO_LOSS on the prompt."""
    prompt, completion = coder.prompt(example.prompt), coder.completion(example.completion)
    yield {"input_ids": prompt + completion, "labels": [NO_LOSS] * len(prompt) + completion}


def arguments(job: TrainingJob, folder: JobFolder, device: str, bfloat16: bool) -> SFTConfig:
    """The job in TRL's words; how many steps and which batches come with the plan."""
    prepared = {"skip_prepare_dataset": True}
    return SFTConfig(**common(job, folder, device, bfloat16), dataset_kwargs=prepared)


class SftTrainer(Kept, SFTTrainer):
    """SFTTrainer with the job's learning rate and whole checkpoints."""


def build(
    job: TrainingJob,
    keeping: Keeping,
    plan: Plan,
    config: SFTConfig,
    model: Any,
    callbacks: list[TrainerCallback],
) -> SftTrainer:
    """A trainer over the plan's rows, ready to run."""
    return SftTrainer(
        job,
        keeping,
        plan,
        model=model,
        args=config,
        train_dataset=Dataset.from_file(str(plan.tokens.path)).select(plan.order),
        # Padding is masked; the id only has to exist.
        data_collator=DataCollatorForLanguageModeling(pad_token_id=0),
        callbacks=callbacks,
        peft_config=adapters(job),
    )


OBJECTIVE = Objective(EXAMPLES, {"input_ids": "ids", "labels": "ids"}, encode, arguments, build)
