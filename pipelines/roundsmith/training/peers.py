"""How the processes of a training find each other."""

from datetime import timedelta
from typing import Any

MEET_S = 120.0
"""Seconds that a process on a CPU waits for the others at the start; on GPUs NCCL has a limit of
its own. torchrun starts none before all machines have met, so that all come within the time that
imports take. But a machine that met a torchrun which was about to end waits for processes that
never come, while who was started in its place waits for that machine."""


def joined(cpu: bool, meet_s: float = MEET_S) -> Any:
    """The state of this process among its peers (accelerate's PartialState), when all are there;
    once they are, they wait for each other as long as torch lets them.

    Raises RuntimeError where they are not: started again, this process meets them anew.
    """
    from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types
    from torch.distributed import distributed_c10d

    if not cpu:
        return PartialState()
    try:
        state = PartialState(cpu=True, timeout=timedelta(seconds=meet_s))
    except RuntimeError as error:
        raise RuntimeError(
            f"expected all processes of the training within {meet_s:g} s, saw too few ({error}): "
            "start this one again"
        ) from error
    if distributed_c10d.is_initialized():
        distributed_c10d._set_pg_timeout(distributed_c10d.default_pg_timeout)
    return state
