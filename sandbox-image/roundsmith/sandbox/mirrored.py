"""One list, dict or set that tester and program hold as one thing, as one of the two has it: what
it was when both last agreed on it, and what of it is another since.

Its members are kept in columns: one of a list or set, keys and values of a dict. A row is what
stands at one place in all of them.
"""

from itertools import chain
from operator import and_, is_
from typing import Any, NamedTuple, TypeAlias

from roundsmith.sandbox.identity import same

SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
KINDS: dict[type, str] = {list: "l", set: "S", dict: "m"}
_OF_ONE, _MANY, _AT_ONCE = 16, 64, 16
_OF_A_CHANGE, _OF_A_PART = 4, 32
_FRESH = SCALARS - {float, complex} | set(KINDS)
"""Kinds of members that may be sent anew: the other side can not tell, or finds the same one."""
_SIMPLE = SCALARS | set(KINDS)
Columns: TypeAlias = tuple[list[Any], ...]


class Revalued(NamedTuple):
    """Rows of a dict that have the keys which they had, and other values."""

    first: int
    values: list[Any]


Part: TypeAlias = tuple[int, int] | Revalued | list[Any]
"""The first of rows that are as they were, and how many; such with other values; new rows, flat."""


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
        was, rest = _within(old, alike, None), _within(columns, alike, None)
        ends = 0 if stale else _num_alike(_turned(was), _turned(rest))
        was, new = _within(was, 0, len(was[0]) - ends), _within(rest, 0, len(rest[0]) - ends)
        parts = _quickly(alike, was, new)
        if stale or parts is None:
            parts = _parts(old, new, alike, stale)
        return columns, seen, [(0, alike), *parts, (len(old[0]) - ends, ends)]

    def work_of(self, parts: list[Part]) -> int:
        """What it costs to make and read parts of it, besides their members."""
        return _OF_A_CHANGE * self.size + _OF_A_PART * len(parts)


def _quickly(first: int, was: Columns, new: Columns) -> list[Part] | None:
    """Those parts, where no row of `new` needs to be looked for among all that there were."""
    if not (was[0] or new[0]):
        return []
    kinds = set(map(type, new[-1]))
    if len(new) == 1:
        return [flat(new)] if kinds <= _FRESH else None
    same_keys = len(was[0]) == len(new[0]) and all(map(is_, was[0], new[0]))
    return [Revalued(first, new[1])] if same_keys and kinds <= _FRESH else None


def _parts(old: Columns, rest: Columns, alike: int, stale: set[int]) -> list[Part]:
    """The rows that follow those at the start which are the same."""
    old_ids = [ids if stale.isdisjoint(ids) else None for ids in _ids(old)]
    at = {ids: row for row, ids in enumerate(old_ids) if ids is not None}
    keys = {id(key): row for row, key in enumerate(old[0])} if len(old) > 1 else {}
    parts: list[Part] = []
    follows = alike
    for ids, row in zip(_ids(rest), zip(*rest, strict=True), strict=True):
        found = follows if old_ids[follows : follows + 1] == [ids] else at.get(ids)
        last = parts[-1] if parts else None
        if found is None and (key := keys.get(ids[0])) is not None and ids[0] not in stale:
            if isinstance(last, Revalued) and last.first + len(last.values) == key:
                last.values.append(row[1])
            else:
                parts.append(Revalued(key, [row[1]]))
            follows = key + 1
            continue
        if found is None:
            if isinstance(last, list):
                last += row
            else:
                parts.append([*row])
            continue
        match last:
            case tuple((int(first), int(count))) if first + count == found:
                parts[-1] = first, count + 1
            case _:
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


def _turned(columns: Columns) -> Columns:
    return tuple(column[::-1] for column in columns)


def _within(columns: Columns, first: int, end: int | None) -> Columns:
    return tuple(column[first:end] for column in columns)


def _ids(columns: Columns) -> list[tuple[int, ...]]:
    return list(zip(*(map(id, column) for column in columns), strict=True))


def _num_alike(old: Columns, columns: Columns) -> int:
    """How many rows at the start are the same."""
    flags = list(map(is_, old[0], columns[0]))
    if len(old) > 1:
        flags = list(map(and_, flags, map(is_, old[1], columns[1])))
    return flags.index(False) if False in flags else len(flags)
