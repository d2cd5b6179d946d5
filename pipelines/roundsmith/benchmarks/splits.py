"""Splits for tasks that name none."""

from roundsmith.hashing import derive_seed
from roundsmith.types import Split

TRAIN_SHARE, GATE_SHARE = 0.70, 0.15
"""The rest, 0.15, is final."""


def hash_split(task_id: str) -> Split:
    """The split of a task by its id alone, so that adding tasks never moves another one."""
    at = derive_seed(0, "split", task_id) / 2**63
    if at < TRAIN_SHARE:
        return Split.TRAIN
    return Split.GATE if at < TRAIN_SHARE + GATE_SHARE else Split.FINAL
