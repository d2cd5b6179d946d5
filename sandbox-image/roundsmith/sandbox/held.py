"""The containers that one side knows to be one thing with the other's, by number."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from roundsmith.sandbox.batch import Batch
from roundsmith.sandbox.mirrored import KINDS, Columns, Record, columns_of
from roundsmith.sandbox.reading import CodecError

_MOST_YOUNG = 32
_BY_ITS_RECORD = 2
"""References that a container has of which nobody else holds any, as they are counted."""


class Held:
    """They are kept alive, so that none takes the place of another. Those that were not changed for
    a while are looked at together.
    """

    def __init__(self) -> None:
        self._by_id: dict[int, Record] = {}
        self._young: dict[int, Record] = {}
        self._old: dict[int, Record] = {}
        self._batch: Batch | None = None
        """The old ones, unless any of them was changed since."""
        self.next = 0
        """The number of the next one, the same on both sides."""
        self.work = 0
        """What was spent on looking what was changed."""
        self._gone: list[int] = []

    def add(self, container: Any) -> Record:
        """A container that has no number yet, as it is now."""
        record = Record(self.next, container, columns_of(container))
        self._young[self.next] = self._by_id[id(container)] = record
        self.next += 1
        return record

    def find(self, container: Any) -> Record | None:
        """The record of a container that has a number."""
        return self._by_id.get(id(container))

    def known(self, number: object) -> Record:
        """The record of a number. Raises CodecError for one that is none here."""
        if type(number) is int:
            found = self._young.get(number) or self._old.get(number)
            if found is not None:
                return found
        raise CodecError("a list, dict or set that is none")

    def since(self, number: int) -> list[Record]:
        """Those that have this number or a later one."""
        found = (self._young.get(at) or self._old.get(at) for at in range(number, self.next))
        return [record for record in found if record is not None]

    def settle(self, record: Record, columns: Columns, seen: Columns) -> None:
        """Both sides agree on these rows of it."""
        self._rejuvenate(record.number)
        record.settle(columns, seen)

    def changed(self, stale: Callable[[Record], set[int]]) -> list[tuple[Record, set[int]]]:
        """Those that were changed here since both agreed on them, with what is `stale` of each."""
        asked = list(self._young.values())
        batch = self._old_ones()
        if batch is not None:
            self.work += batch.work
            asked += self._old.values() if batch.differs() else ()
        self.work += sum(record.work for record in asked)
        found = [(record, stale(record)) for record in asked]
        found = [(record, members) for record, members in found if members or record.differs()]
        for record, _ in found:
            self._rejuvenate(record.number)
        if len(self._young) > _MOST_YOUNG:
            self._age({record.number for record, _ in found})
        return found

    def _old_ones(self) -> Batch | None:
        if self._batch is None and self._old:
            self._batch = Batch(list(self._old.values()))
        return self._batch

    def _rejuvenate(self, number: int) -> None:
        if number in self._old:
            self._young[number] = self._old.pop(number)
            self._batch = None

    def _age(self, changed: set[int]) -> None:
        """What was not changed grows old, but for what has members to be watched."""
        for record in list(self._young.values()):
            if record.number not in changed and not record.watched:
                self._old[record.number] = self._young.pop(record.number)
                self._batch = None

    def forget(self, record: Record) -> None:
        """It is no one thing with the other side's any more."""
        if self._young.pop(record.number, None) is None:
            del self._old[record.number]
            self._batch = None
        del self._by_id[id(record.container)]

    def take_back(self, number: int) -> None:
        """As if nothing had been given this number or a later one."""
        for record in self.since(number):
            self.forget(record)
        self.next = number

    def let_go(self, records: Iterable[Record]) -> None:
        """Forgets them, which the other side will be told."""
        for record in records:
            self._gone.append(record.number)
            self.forget(record)

    def let_go_unheld(self) -> None:
        """Lets go what nobody holds here: nobody can change it, or tell a new one from it."""
        waiting = list(self._young.values())
        batch = self._old_ones()
        if batch is not None and batch.any_unheld():
            waiting += self._old.values()
            batch = self._batch = None
        del batch
        while waiting:
            record = waiting.pop()
            if (
                sys.getrefcount(record.container) > _BY_ITS_RECORD
                or self.find(record.container) is not record
            ):
                continue
            self.let_go([record])
            if not record.plain:
                within = (m for column in record.columns for m in column if type(m) in KINDS)
                waiting += [found for m in within if (found := self.find(m)) is not None]

    def gone(self) -> tuple[int, ...]:
        """What was let go since this was asked last."""
        gone, self._gone = tuple(self._gone), []
        return gone
