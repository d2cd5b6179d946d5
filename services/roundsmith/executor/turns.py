"""Whose turn it is: a slot goes to the caller that has held slots least, and there to the item that
has.

What is counted is the time that a slot was held. It bounds the CPU time from above, and a program
that sleeps keeps a slot from others as one that computes.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

from roundsmith.executor.slots import SlotState
from roundsmith.executor.tally import Tally

log = logging.getLogger(__name__)

_AGAIN_S = 1.0
_arrivals = count()


class _Share:
    """How long a caller or an item has held slots, and whether something of it waits in a line."""

    def __init__(self) -> None:
        self.held_s, self.queued = 0.0, False


S = TypeVar("S", bound=_Share)


class _Line(Generic[S]):
    """Shares of which something waits, the one that has held least first; of equals the one that
    waits longest.

    One that comes anew is put level with the one that had the last turn: what it did not use while
    it wanted nothing is not saved up.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, S]] = []
        self._level_s = 0.0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, share: S) -> None:
        if not share.queued:
            share.queued = True
            self.level(share)
            heappush(self._heap, (share.held_s, next(_arrivals), share))

    def take(self) -> S:
        """The next one, which leaves the line."""
        while True:
            held_s, _, share = heappop(self._heap)
            if held_s == share.held_s:
                share.queued = False
                self._level_s = max(self._level_s, held_s)
                return share
            # It gave back a slot while it waited for another one.
            heappush(self._heap, (share.held_s, next(_arrivals), share))

    def level(self, share: S) -> None:
        """Puts a share that has a turn without waiting, or begins to wait, level with the last."""
        share.held_s = self._level_s = max(share.held_s, self._level_s)


class Caller(_Share):
    """One caller: its items, and those of them that wait."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.num_items = name, 0
        self.line: _Line[Item] = _Line()


class Item(_Share):
    """One item, and what waits for a slot for it."""

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self.caller, self.num_held = caller, 0
        self.waiting: deque[asyncio.Future[SlotState]] = deque()


class Turns:
    """The slots of a pool, and who waits for one."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._idle: deque[SlotState] = deque()
        self._callers: dict[str, Caller] = {}
        self._line: _Line[Caller] = _Line()
        self._settling: set[asyncio.Task[None]] = set()
        self.num_waiting, self.num_items, self.num_running, self.num_broken = 0, 0, 0, 0
        """Rows that wait for a slot; items, and those with a slot; slots left alone for a while."""

    @property
    def num_idle(self) -> int:
        """Slots that nobody holds."""
        return len(self._idle)

    @property
    def anyone_waits(self) -> bool:
        """Whether anything waits for a slot."""
        return len(self._line) > 0

    def others_wait(self, item: Item) -> bool:
        """Whether something of another caller waits for a slot."""
        return len(self._line) > item.caller.queued

    def add(self, slots: Iterable[SlotState]) -> None:
        """Slots to be given away."""
        self._idle.extend(slots)
        self._give()

    def begin(self, name: str) -> Item:
        """An item, of the caller of that name, that will ask for turns."""
        caller = self._callers.setdefault(name, Caller(name))
        caller.num_items += 1
        self.num_items += 1
        return Item(caller)

    def end(self, item: Item) -> None:
        """It holds no slot and will ask for no more."""
        item.caller.num_items -= 1
        self.num_items -= 1
        if not item.caller.num_items:
            del self._callers[item.caller.name]

    async def take(self, item: Item) -> SlotState:
        """A slot, when it is this item's turn."""
        since = time.monotonic()
        if self._idle and not self._line:
            self._line.level(item.caller)
            item.caller.line.level(item)
            slot = self._idle.popleft()
        else:
            slot = await self._wait(item)
        self.tally.waits.add(time.monotonic() - since)
        item.num_held += 1
        self.num_running += item.num_held == 1
        return slot

    async def _wait(self, item: Item) -> SlotState:
        granted: asyncio.Future[SlotState] = asyncio.get_running_loop().create_future()
        item.waiting.append(granted)
        item.caller.line.add(item)
        self._line.add(item.caller)
        self.num_waiting += 1
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.add([granted.result()])
            raise
        finally:
            self.num_waiting -= 1

    def give_back(self, slot: SlotState, item: Item, held_s: float) -> None:
        """The slot is free for whoever is next; the item and its caller have held it so long."""
        item.num_held -= 1
        self.num_running -= not item.num_held
        item.held_s += held_s
        item.caller.held_s += held_s
        if pause_s := slot.pause_s:  # its supervisors do not start, others may
            self.num_broken += 1
            asyncio.get_running_loop().call_later(pause_s, self._mend, slot)
        else:
            self.add([slot])

    def _mend(self, slot: SlotState) -> None:
        self.num_broken -= 1
        self.add([slot])

    def _give(self) -> None:
        while self._idle and self._line:
            caller = self._line.take()
            item = caller.line.take()
            granted = item.waiting.popleft()
            if item.waiting:
                caller.line.add(item)
            if caller.line:
                self._line.add(caller)
            if not granted.done():  # else who waited has given up
                granted.set_result(self._idle.popleft())
        # Left for somebody who then gave up: nobody else would have its canary run.
        for slot in [slot for slot in self._idle if slot.owes]:
            self._idle.remove(slot)
            task = asyncio.create_task(slot.settle(contended=False))
            self._settling.add(task)
            task.add_done_callback(partial(self._settled, slot))

    def _settled(self, slot: SlotState, task: asyncio.Task[None]) -> None:
        """It is to be had again; after a failure that is none of the sandbox's, in a while."""
        self._settling.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            log.error("a slot could not be settled, again in %.0f s", _AGAIN_S, exc_info=error)
            self.num_broken += 1
            asyncio.get_running_loop().call_later(_AGAIN_S, self._mend, slot)
        else:
            self.add([slot])

    async def close(self) -> None:
        """Ends what it does by itself; the slots are about to be closed."""
        for task in self._settling:
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)
