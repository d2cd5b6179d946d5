"""Processes of a training that meet, or do not."""

import subprocess
import sys
from datetime import timedelta

from torch._C._distributed_c10d import TCPStore

from roundsmith.config import child_environment

_JOINING = """
from datetime import timedelta
import torch
from roundsmith.training.peers import joined
state = joined(cpu=True, meet_s=MEET_S)
backend = torch.distributed.distributed_c10d._get_default_group()._get_backend(torch.device("cpu"))
print(state.process_index, state.num_processes, backend.options._timeout)
"""


def start(rank: int, store: TCPStore, meet_s: float) -> "subprocess.Popen[str]":
    """A process that joins one other, as torchrun starts it, whose agents' store is there."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    places = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", _JOINING.replace("MEET_S", str(meet_s))],
        env=child_environment(TORCHELASTIC_USE_AGENT_STORE="True", **where, **places),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def agents_store() -> TCPStore:
    """The store that torchrun's agents share, at a free port."""
    return TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=60))


def test_a_process_whose_peers_never_come_ends_and_says_so() -> None:
    alone = start(1, agents_store(), meet_s=2)
    _, told = alone.communicate(timeout=300)
    assert alone.returncode == 1
    assert "expected all processes of the training within 2 s, saw too few" in told


def test_processes_that_met_wait_for_each_other_as_long_as_torch_does() -> None:
    store = agents_store()
    both = [start(rank, store, meet_s=250) for rank in (0, 1)]
    said = [process.communicate(timeout=300) for process in both]
    assert [out.strip() for out, _ in said] == [f"{rank} 2 0:30:00" for rank in (0, 1)], said
