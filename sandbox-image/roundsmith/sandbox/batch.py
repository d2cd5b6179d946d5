"""Many containers that are looked at together, because most of them are as they were."""

from collections.abc import Sequence
from itertools import chain
from operator import eq
from sys import getrefcount
from typing import Any

from roundsmith.sandbox.identity import same
from roundsmith.sandbox.mirrored import Columns, Record

_MANY = 512
"""Members of a list that is not copied to be compared."""
_BY_THE_BATCH = max(map(getrefcount, [[]])) + 1
"""References that a container has where only its record and one list of the batch hold it."""


class Batch:
    """Records, as both sides agreed on them."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._large = [r for r in records if type(r.container) is list and r.size >= _MANY]
        large = {record.number for record in self._large}
        self._kinds = [
            _Kind([r for r in records if type(r.container) is kind and r.number not in large])
            for kind in (list, dict, set)
        ]
        self.work = sum(record.work for record in records)

    def differs(self) -> bool:
        """Whether any container has other rows than were agreed on."""
        return any(record.differs() for record in self._large) or any(
            kind.differs() for kind in self._kinds
        )

    def any_unheld(self) -> bool:
        """Whether nobody holds one of them any more but its record."""
        large = [record.container for record in self._large]
        return _any_unheld(large) or any(kind.any_unheld() for kind in self._kinds)


class _Kind:
    """Containers of one kind, all their columns as one."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._containers = [record.container for record in records]
        self._lengths = [record.size for record in records]
        columns = zip(*(record.seen for record in records), strict=True)
        self._seen: Columns = tuple(list(chain.from_iterable(column)) for column in columns)

    def any_unheld(self) -> bool:
        return _any_unheld(self._containers)

    def differs(self) -> bool:
        held = self._containers
        if not held:
            return False
        if not all(map(eq, map(len, held), self._lengths)):
            return True
        rows: list[Any] = [chain.from_iterable(held)]
        if type(held[0]) is dict:
            rows.append(chain.from_iterable(map(dict.values, held)))
        return not all(same(list(now), seen) for now, seen in zip(rows, self._seen, strict=True))


def _any_unheld(containers: list[Any]) -> bool:
    """Whether nobody holds one of them but its record and this list."""
    return min(map(getrefcount, containers), default=_BY_THE_BATCH + 1) <= _BY_THE_BATCH
