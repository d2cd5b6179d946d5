"""A function of many items beside the work that makes them, so that they are read once for both."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Aside(Generic[Item, Result]):
    """A context in which a function, in a thread of its own, takes the items that it is given part
    by part. At most two parts are held: the one that it takes, and the next.
    """

    def __init__(self, function: Callable[[Iterable[Item]], Result]) -> None:
        self._asks: SimpleQueue[bool] = SimpleQueue()
        """True each time a further part is asked for, False when there is no more use for one."""
        self._parts: SimpleQueue[Sequence[Item] | None] = SimpleQueue()
        self._ended = False
        self._function = function

    def give(self, part: Sequence[Item] | None) -> None:
        """Waits until the parts before are taken; a function that has ended is given nothing."""
        self._ended = self._ended or not self._asks.get()
        if not self._ended:
            self._parts.put(part)

    def result(self) -> Result:
        """What the function came to, or what it raised; waits for it, which is given no more."""
        self.give(None)
        return self._found.result()

    def __enter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1)
        self._found = self._thread.submit(self._work)
        return self

    def __exit__(self, *failure: object) -> None:
        self.give(None)
        self._thread.shutdown()

    def _work(self) -> Result:
        try:
            return self._function(self._items())
        finally:
            self._asks.put(False)

    def _items(self) -> Iterator[Item]:
        while True:
            self._asks.put(True)
            if (part := self._parts.get()) is None:
                return
            yield from part
