"""What only the first process of a training does, for all: it asks the services."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types
from torch import distributed

T = TypeVar("T")
LONGEST = timedelta(days=1)
"""That the others wait for the first: it may wait for services that are away, and samples of a
large model take long. One that ends is noticed at once."""


class Dealer:
    """Brings what every process wants to the first, and what that made of it to all. It is made by
    all of them at once.
    """

    def __init__(self) -> None:
        state = PartialState()
        self._place, self._num = state.process_index, state.num_processes
        # Of its own, and on the CPU: NCCL's patience is ten minutes.
        self._group: Any = (
            distributed.new_group(backend="gloo", timeout=LONGEST) if self._num > 1 else None
        )

    def deal(self, wanted: Sequence[str], make: Callable[[list[str]], list[T]]) -> list[T]:
        """This process's part of what `make` gives for the wishes of all, one for each and in the
        order of processes. Every process wants equally many; the first one calls `make`.
        """
        if self._group is None:
            return make(list(wanted))
        parts: list[Any] | None = None if self._place else [None] * self._num
        distributed.gather_object(list(wanted), parts, dst=0, group=self._group)
        told: list[Any] = [None]
        if parts is not None:
            told = [make([one for part in parts for one in part])]
        distributed.broadcast_object_list(told, src=0, group=self._group)
        begin = self._place * len(wanted)
        made: list[T] = told[0][begin : begin + len(wanted)]
        return made
