"""The objective dpo: prefer chosen to rejected. TRL's DPOTrainer, over rows that are tokenized
already.

Rafailov et al., 2023 (arXiv 2305.18290). With pi the policy, ref the model that the stage starts
from, and log-probabilities summed over completion and end token:

    loss = -log sigmoid(beta * [log pi(y+|x) / ref(y+|x) - log pi(y-|x) / ref(y-|x)])
"""

from collections.abc import Iterator
from typing import Any

from datasets import Dataset  # type: ignore[import-untyped]  # ships no types
from transformers import TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

from roundsmith.store import PAIRS
from roundsmith.training.coder import Coder
from roundsmith.training.folder import JobFolder
from roundsmith.training.job import TrainingJob
from roundsmith.training.keeping import Keeping
from roundsmith.training.kept import Kept
from roundsmith.training.objective import Objective, TokenRow
from roundsmith.training.plan import Plan
from roundsmith.training.reference import with_reference
from roundsmith.training.settings import adapters, common
from roundsmith.types import Pair


def encode(coder: Coder, pair: Pair) -> Iterator[TokenRow]:
    """The prompt, and both completions with the end token."""
    yield {
        "prompt_ids": coder.prompt(pair.prompt),
        "chosen_ids": coder.completion(pair.chosen),
        "rejected_ids": coder.completion(pair.rejected),
    }


def arguments(job: TrainingJob, folder: JobFolder, device: str, bfloat16: bool) -> DPOConfig:
    """The job in TRL's words; how many steps and which batches come with the plan."""
    known = common(job, folder, device, bfloat16)
    return DPOConfig(**known, beta=job.beta, precompute_ref_log_probs=True)


class DpoTrainer(Kept, DPOTrainer):
    """DPOTrainer over token rows, with the job's learning rate and whole checkpoints."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """Each distinct row is asked once, however many epochs show it."""
        known = with_reference(
            self, dataset, ("ref_chosen_logps", "ref_rejected_logps"), batch_size
        )
        return known.select(self._plan.order)


def build(
    job: TrainingJob,
    keeping: Keeping,
    plan: Plan,
    config: DPOConfig,
    model: Any,
    callbacks: list[TrainerCallback],
) -> DpoTrainer:
    """A trainer over the plan's rows, ready to run."""
    return DpoTrainer(
        job,
        keeping,
        plan,
        model=model,
        args=config,
        train_dataset=Dataset.from_file(str(plan.tokens.path)),
        # Padding is masked; the id only has to exist.
        data_collator=DataCollatorForPreference(pad_token_id=0),
        callbacks=callbacks,
        peft_config=adapters(job),
    )


OBJECTIVE = Objective(
    PAIRS,
    {"prompt_ids": "ids", "chosen_ids": "ids", "rejected_ids": "ids"},
    encode,
    arguments,
    build,
)
