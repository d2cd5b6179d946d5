"""The objective kto: raise chosen completions and lower rejected ones, each by itself. TRL's
KTOTrainer, over rows that are tokenized already.

Ethayarajh et al., 2024 (arXiv 2402.01306). With r(x, y) = log pi(y|x) / ref(y|x), and z the mean of
r(x, y') over completions y' of other rows of the forward pass, at least 0 and without a gradient:

    loss = w+ * (1 - sigmoid(beta * (r - z)))  of a chosen row,
           w- * (1 - sigmoid(beta * (z - r)))  of a rejected one.

A pair gives a row of each kind. Rows meet in the order of the shuffled epochs, not by length, and z
is estimated over all processes on the same rows as one process would: so the number of processes
changes nothing but rounding, while `micro_batch_size` changes z. A process takes two rows at least,
or a row would be held against itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from datasets import Dataset, concatenate_datasets  # type: ignore[import-untyped]  # no types
from transformers import TrainerCallback
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference, KTOTrainer

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
    """A row of the chosen completion and one of the rejected."""
    for text, label in ((pair.chosen, True), (pair.rejected, False)):
        prompt, completion = coder.prompt(pair.prompt), coder.completion(text)
        yield {"prompt_ids": prompt, "completion_ids": completion, "label": label}


def arguments(job: TrainingJob, folder: JobFolder, device: str, bfloat16: bool) -> KTOConfig:
    """The job in TRL's words; how many steps and which batches come with the plan."""
    return KTOConfig(
        **common(job, folder, device, bfloat16),
        beta=job.beta,
        desirable_weight=job.desirable_weight,
        undesirable_weight=job.undesirable_weight,
        precompute_ref_log_probs=True,
    )


class KtoTrainer(Kept, KTOTrainer):
    """KTOTrainer over token rows, with the job's learning rate and whole checkpoints."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        return with_reference(self, dataset, ("ref_logps", "ref_KL_logps"), batch_size)


def mismatched(order: Sequence[int], rows_of_a_pass: int) -> list[int]:
    """For each place, the row whose completion estimates z there: the one before it in its forward
    pass, the last one for the first.
    """
    found: list[int] = []
    for start in range(0, len(order), rows_of_a_pass):
        block = list(order[start : start + rows_of_a_pass])
        found += [block[-1], *block[:-1]]
    return found


def build(
    job: TrainingJob,
    keeping: Keeping,
    plan: Plan,
    config: KTOConfig,
    model: Any,
    callbacks: list[TrainerCallback],
) -> KtoTrainer:
    """A trainer over the plan's rows, ready to run."""
    rows = Dataset.from_file(str(plan.tokens.path))
    others = rows.select(mismatched(plan.order, plan.micro_batch_size * plan.processes))
    others = others.select_columns(["completion_ids"])
    others = others.rename_column("completion_ids", "KL_completion_ids")
    return KtoTrainer(
        job,
        keeping,
        plan,
        model=model,
        args=config,
        train_dataset=concatenate_datasets([rows.select(plan.order), others], axis=1),
        # Padding is masked; the id only has to exist.
        data_collator=DataCollatorForUnpairedPreference(pad_token_id=0),
        callbacks=callbacks,
        peft_config=adapters(job),
    )


OBJECTIVE = Objective(
    PAIRS,
    {"prompt_ids": "ids", "completion_ids": "ids", "label": "label"},
    encode,
    arguments,
    build,
    by_length=False,
    least_rows=2,
)
