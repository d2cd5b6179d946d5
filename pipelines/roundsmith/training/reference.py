"""Log-probabilities under the reference: the model that a training starts from, asked once."""

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]  # ships no types


def with_reference(trainer: Any, rows: Dataset, names: Sequence[str], batch_size: int) -> Dataset:
    """The rows with columns `names`: what the trainer's `compute_ref_log_probs` gives for them.

    Every process computes its share of the batches and hears of all, so that the number of
    processes changes nothing and no machine reads another's disk. The trainer's model has its first
    weights still. The reference is not kept in memory beside the policy.
    """
    from accelerate.utils import gather_object  # type: ignore[import-untyped]  # ships no types

    peers = trainer.accelerator
    starts = range(0, len(rows), batch_size)
    own: list[tuple[int, list[list[float]]]] = []
    model = trainer.model.to(peers.device)
    for start in starts[peers.process_index :: peers.num_processes]:
        batch = rows.select(range(start, min(start + batch_size, len(rows))))
        inputs = trainer.data_collator(list(batch))
        inputs = {name: value.to(peers.device) for name, value in inputs.items()}
        with torch.no_grad():
            found = trainer.compute_ref_log_probs(model, inputs)
        own.append((start, [column.float().tolist() for column in found]))
    whole = sorted(gather_object(own))
    for place, name in enumerate(names):
        rows = rows.add_column(name, [value for _, found in whole for value in found[place]])
    return rows
