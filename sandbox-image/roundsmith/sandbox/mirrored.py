"""One list, dict or set that tester and program hold as one thing, as one of the two has it: what
it was when both last agreed on it, and what of it is another since.

Its members are kept in columns: one of a list or set, keys and values of a dict. A row is what
stands at one place in all of them.
"""

from itertools import chain
from operator import and_, is_
from typing import Any, TypeAlias

from roundsmith.sandbox.identity import same

SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
KINDS: dict[type, str] = {list: "l", set: "S", dict: "m"}
_OF_ONE, _MANY, _AT_ONCE = 16, 64, 16
_SIMPLE = SCALARS | set(KINDS)
Columns: TypeAlias = tuple[list[Any], ...]
Part: TypeAlias = tuple[int, int] | list[Any]
"""The first of rows that are as they were, and how many; or new rows, flat."""


class Record:
    """A container under its number."""

    __slots__ = ("columns", "container", "number", "plain", "seen", "simple", "watched")

    def __init__(self, number: int, container: Any, columns: Columns) -> None:
        self.number, self.container = number, container
        self.watched: list[tuple[Any, bytes]] = []
        """Members that can be changed and are no one thing for both, with what they were."""
        self.settle(columns, columns)

    def settle(self, columns: Columns, seen: Columns) -> None:
        """Both agree on these rows from now on. A set may have another order of its own here: then
        that is what is `seen`.
        """
        kinds = set(chain.from_iterable(map(type, column) for column in columns))
        self.columns, self.seen = columns, seen
        self.plain, self.simple = kinds <= SCALARS, kinds <= _SIMPLE
        self.watched = []

    @property
    def size(self) -> int:
        """How many rows were agreed on."""
        return len(self.seen[0])

    @property
    def work(self) -> int:
        """What it costs to look whether it was changed, as often as one member is looked at."""
        at_once = type(self.container) is list and self.size >= _MANY
        return _OF_ONE + (self.size // _AT_ONCE if at_once else self.size)

    def differs(self) -> bool:
        """Whether the container has other rows than were agreed on."""
        held, kind = self.container, type(self.container)
        if len(held) != len(self.seen[0]):
            return True
        if kind is list:
            return not same(held, self.seen[0])
        return not same(list(held), self.seen[0]) or (
            kind is dict and not same(list(held.values()), self.seen[1])
        )

    def change(self, stale: set[int]) -> tuple[Columns, Columns, list[Part]]:
        """The rows of now in the order that both will know, as seen here, and in parts of what was
        agreed on. Members whose `id` is in `stale` are new.
        """
        seen, old = columns_of(self.container), self.columns
        if type(self.container) is set:
            # As it has no order of its own, what is as it was comes first.
            rows = {id(member): row for row, member in enumerate(old[0])}
            columns: Columns = (sorted(seen[0], key=lambda m: rows.get(id(m), len(rows))),)
        else:
            columns = seen
        alike = 0 if stale else _num_alike(old, columns)
        rest = tuple(column[alike:] for column in columns)
        if alike == len(old[0]) and SCALARS.issuperset(map(type, chain.from_iterable(rest))):
            return columns, seen, [(0, alike), flat(rest)]
        return columns, seen, [(0, alike), *_parts(old, rest, alike, stale)]


def _parts(old: Columns, rest: Columns, alike: int, stale: set[int]) -> list[Part]:
    """The rows that follow those at the start which are the same."""
    old_ids = [ids if stale.isdisjoint(ids) else None for ids in _ids(old)]
    at = {ids: row for row, ids in enumerate(old_ids) if ids is not None}
    parts: list[Part] = []
    follows = alike
    for ids, row in zip(_ids(rest), zip(*rest, strict=True), strict=True):
        found = follows if old_ids[follows : follows + 1] == [ids] else at.get(ids)
        last = parts[-1] if parts else None
        if found is None:
            if isinstance(last, list):
                last += row
            else:
                parts.append([*row])
            continue
        if isinstance(last, tuple) and sum(last) == found:
            parts[-1] = last[0], last[1] + 1
        else:
            parts.append((found, 1))
        follows = found + 1
    return parts


def columns_of(container: Any) -> Columns:
    """The rows of a container as it is now."""
    if type(container) is dict:
        return list(container), list(container.values())
    return (list(container),)


def flat(columns: Columns) -> list[Any]:
    """All members, row by row."""
    if len(columns) == 1:
        return columns[0]
    return list(chain.from_iterable(zip(*columns, strict=True)))


def _ids(columns: Columns) -> list[tuple[int, ...]]:
    return list(zip(*(map(id, column) for column in columns), strict=True))


def _num_alike(old: Columns, columns: Columns) -> int:
    """How many rows at the start are the same."""
    flags = list(map(is_, old[0], columns[0]))
    if len(old) > 1:
        flags = list(map(and_, flags, map(is_, old[1], columns[1])))
    return flags.index(False) if False in flags else len(flags)
