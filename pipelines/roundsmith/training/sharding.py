"""FSDP2: every process holds a part of weights, gradients and optimizer, and gathers a layer when
it computes with it.

Checkpoints and the trained model are whole, whatever the number of processes: weights as a model
folder, the optimizer's state by the names of the weights. So a training goes on with another number
of processes, sharded or not.
"""

from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types
from accelerate.utils import (  # type: ignore[import-untyped]  # ships no types
    DistributedType,
    FullyShardedDataParallelPlugin,
)
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

OPTIMIZER_FILE = "optimizer-by-name.pt"


def shard_on_cpu(accelerator: Any, arguments: Any) -> None:
    """Let processes on CPUs shard as those on GPUs do: torch can, accelerate does not offer it."""
    state, asked = accelerator.state, arguments.fsdp_plugin_args
    if asked is None or state.distributed_type is not DistributedType.MULTI_CPU:
        return
    # Both: a state that is made anew takes over what the partial one says.
    state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
    state.fsdp_plugin = FullyShardedDataParallelPlugin(**asked)
    if accelerator.mixed_precision != "no":
        state.fsdp_plugin.set_mixed_precision(accelerator.mixed_precision)


def save_optimizer(model: Any, optimizer: Any, folder: Path, first: bool) -> None:
    """On every process: the whole state of the optimizer, written by the first one."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_optimizer_state_dict(model, _plain(optimizer), options=options)
    if first:
        torch.save(state, folder / OPTIMIZER_FILE)


def load_optimizer(model: Any, optimizer: Any, folder: Path) -> None:
    """On every process: its part of a state that any number of processes saved."""
    state = torch.load(folder / OPTIMIZER_FILE, map_location="cpu", weights_only=True, mmap=True)
    options = StateDictOptions(full_state_dict=True)
    set_optimizer_state_dict(model, _plain(optimizer), state, options=options)


def _plain(optimizer: Any) -> torch.optim.Optimizer:
    """The optimizer that accelerate has wrapped."""
    plain = getattr(optimizer, "optimizer", optimizer)
    assert isinstance(plain, torch.optim.Optimizer)
    return plain
