"""Lists, dicts and sets that tester and program hold as one thing: one side's end of it.

Each has a number on both sides while both hold it. What crosses is a tuple: the number that is the
next; what is said; and where there are any, those that nobody holds here any more, what was changed
of the others, and hashes. A container that crossed before is `@` and its number there; any other is
new, and has the next number on both sides as it is met. Only one side runs at a time, so nothing is
changed on both.

Not handled: what is of a class below list, dict or set, or within a value of a taught type.
"""

from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple, Protocol

from roundsmith.sandbox import taught
from roundsmith.sandbox.codec import MAX_BYTES, MAX_DEPTH, Node, Opaque, encode, valued
from roundsmith.sandbox.filling import agreed, fill, revalued, rows_of
from roundsmith.sandbox.held import Held
from roundsmith.sandbox.mirrored import KINDS, SCALARS, Columns, Part, Record, columns_of, flat
from roundsmith.sandbox.reading import CodecError, read_whole

_MOST_ROWS = MAX_BYTES
"""In all that one message makes or changes."""
_MOST_WORK = 2**25
"""For looking what was changed, in looks at one member: about half a second."""
_MAKE: dict[str, Callable[[], Any]] = {tag: kind for kind, tag in KINDS.items()}
_HELD, _MOST_RECENT = "@", 4096
_PARTED = frozenset("ltSZmLPO")
"""Tags of what is more than one scalar."""
_DEPTH, _AROUND = MAX_DEPTH + 4, 6
"""Levels of what is said, and around it."""


class End(Protocol):
    """What becomes of values that are neither scalars nor containers."""

    def leave(self, value: Any, depth: int, hashed: bool) -> Any:
        """What stands for it there; `hashed` if it is a key or member there, or in one."""

    def arrive(self, tag: str, name: str, value: Any) -> Any:
        """What is meant by a name; by `L` and a name beside its value as a built-in; by `P` and a
        value of a taught type that was made here.
        """


class Draft(NamedTuple):
    """What was changed, and what is said, with the number that was the next before."""

    first: int
    changes: Any
    said: Any


class Mirror:
    """What this side has of them."""

    def __init__(self, end: End, follows: bool) -> None:
        """`follows` if the other side begins, and may begin anew."""
        self._end, self._held, self._follows = end, Held(), follows
        self._told: dict[str, int] = {}
        self._agreed = 0
        """The number that was the next as the other side spoke last."""
        self._filling: list[tuple[Record, Columns]] = []
        self._num_rows = 0
        self._recent: deque[Any] = deque(maxlen=0 if follows else 8)  # often asked for again
        self.saying = False
        """Whether changes are written, and what is written now is what is said."""
        self.keeps = False
        """Whether what nobody holds here stays one thing all the same."""
        self.hashes: dict[str, int] = {}
        """What the other side told of its objects, by name."""

    def tell(self, name: str, its_hash: int) -> None:
        """Has what is said next tell the hash of an object that stays here."""
        self._told[name] = its_hash

    def draft(self, said: tuple[Any, ...], lent: bool = False) -> Draft:
        """What is to be said; `lent` if containers that are new in it are copies there. Raises
        CodecError over the limits and what the end raises: then nothing was done.
        """
        first, self.saying = self._held.next, False
        try:
            changed = [(record, *record.change(stale)) for record, stale in self._changed()]
            changes = tuple((record.number, self._parts(record, p)) for record, *_, p in changed)
            self._held.work += sum(record.work_of(parts) for record, *_, parts in changed)
            begun, self.saying = self._held.next, True
            wired = self.wire(said, _DEPTH)
            for record, columns, seen, _ in changed:
                self._settle(record, columns, seen)
            for record in self._held.since(first):
                self._settle(record, record.columns, record.seen)
        except BaseException:
            self._held.take_back(first)
            raise
        if lent:
            self._held.let_go(self._held.since(begun))
        return Draft(first, changes, wired)

    def sealed(self, draft: Draft) -> bytes:
        """The bytes of it, and what nobody holds any more. Raises CodecError over the limits."""
        if not self.keeps:
            self._held.let_go_unheld()
        told, self._told = tuple(self._told.items()), {}
        besides = self._held.gone(), draft.changes, told
        whole = draft.first, draft.said, *(besides if any(besides) else ())
        return encode(whole, MAX_BYTES, _DEPTH + _AROUND)

    def only(self, said: tuple[Any, ...]) -> bytes:
        """What is said where nothing more will be: no container in it is one thing for both."""
        return encode((self._agreed, said))

    def fits(self, value: Any, most_bytes: int) -> bool:
        """Whether a value can be said in so many bytes."""
        first = self._held.next
        try:
            return len(encode(self.wire(value, MAX_DEPTH), most_bytes, _DEPTH)) <= most_bytes
        except CodecError:
            return False
        finally:
            self._held.take_back(first)

    def wire(self, value: Any, depth: int, hashed: bool = False) -> Any:
        """A value as it is written; a container in it that is new has a number from now on."""
        kind = type(value)
        if kind in SCALARS:
            return value
        if depth < 0:
            raise CodecError("the value is nested deeper than the limit")
        if kind in KINDS:
            if (known := self._held.find(value)) is not None:
                return Opaque(f"{_HELD}{known.number}")
            record = self._held.add(value)
            members = self._wired(flat(record.columns), kind, depth - 1)
            if kind is dict:
                members = tuple(zip(members[::2], members[1::2], strict=True))
            return Node(KINDS[kind], members)
        if kind is tuple or kind is frozenset:
            if SCALARS.issuperset(map(type, value)):
                return value
            hashed = hashed or kind is frozenset
            members = tuple(self.wire(member, depth - 1, hashed) for member in value)
            return Node("t" if kind is tuple else "Z", members)
        return self._end.leave(value, depth, hashed)

    def _wired(self, members: list[Any], kind: type, depth: int) -> tuple[Any, ...]:
        if SCALARS.issuperset(map(type, members)):
            return tuple(members)
        hashed = (kind is not list, kind is set)
        return tuple(self.wire(m, depth, hashed[at % 2]) for at, m in enumerate(members))

    def _parts(self, record: Record, parts: list[Part]) -> tuple[Any, ...]:
        kind = type(record.container)

        def written(part: Part) -> Any:
            match part:
                case tuple((first, list(values))):
                    return first, Node("l", self._wired(values, list, MAX_DEPTH))
                case tuple():
                    return part
            return Node("l", self._wired(part, kind, MAX_DEPTH))

        return tuple(map(written, parts))

    def _changed(self) -> list[tuple[Record, set[int]]]:
        """What was changed here since both agreed on it, and which members were."""
        found = self._held.changed(self._stale)
        if self._held.work > _MOST_WORK:
            raise CodecError("too much is one thing for the test and the program, for too long")
        return found

    def _stale(self, record: Record) -> set[int]:
        return {id(m) for m, before in record.watched if self._bytes(m) != before}

    def _settle(self, record: Record, columns: Columns, seen: Columns) -> None:
        self._held.settle(record, columns, seen)
        if not record.simple:
            changing = [m for column in columns for m in column if taught.may_change(m)]
            record.watched = [(member, self._bytes(member)) for member in changing]

    def _bytes(self, member: Any) -> bytes:
        return encode(self.wire(member, MAX_DEPTH), MAX_BYTES, _DEPTH)

    def read(self, content: bytes) -> tuple[Any, ...]:
        """What is said, when all that was changed there is changed here. Raises CodecError for what
        is no message of a mirror's, and what the end raises.
        """
        whole = read_whole(content, MAX_BYTES, _DEPTH + _AROUND, _part)
        first, said, *besides = _tuple(whole)
        gone, changes, hashes = map(_tuple, besides) if besides else ((), (), ())
        if first == 0 and self._follows:
            self._held = Held()
        if type(first) is not int or first != self._held.next:
            raise CodecError("numbers that do not follow")
        self.hashes.update(map(_hash_of_name, hashes))
        self._filling, self._num_rows = [], 0
        changed = [self._change(change) for change in changes]
        if len({record.number for record, _ in changed}) != len(changed):
            raise CodecError("one list, dict or set changed twice")
        made = self._made(said)
        self._filling += changed
        if type(made) is not tuple:
            raise CodecError("nothing is said")
        # What is hashed comes last: then all else that its own methods may look at is there.
        for is_list in (True, False):
            for record, columns in self._filling:
                if (type(record.container) is list) is is_list:
                    fill(record.container, columns)
        for record, columns in self._filling:
            ordered = type(record.container) is not set and len(record.container) == len(columns[0])
            self._settle(record, columns, columns if ordered else columns_of(record.container))
        for number in gone:
            self._held.forget(self._held.known(number))
        self._agreed, self._filling = self._held.next, []
        self._recent.extend(m for m in made if type(m) in KINDS and len(m) <= _MOST_RECENT)
        return made

    def _change(self, change: Any) -> tuple[Record, Columns]:
        number, parts = _tuple(change, 2)
        record = self._held.known(number)
        columns: Columns = tuple([] for _ in record.columns)
        for part in _tuple(parts):
            if type(part) is Node and part.tag == "l":
                rows = rows_of(list(map(self._made, part.content)), len(columns))
            else:
                first, what = _tuple(part, 2)
                if type(what) is Node and what.tag == "l":
                    rows = revalued(record.columns, first, list(map(self._made, what.content)))
                else:
                    rows = agreed(record.columns, first, what)
            for column, more in zip(columns, rows, strict=True):
                column += more
            self._count(len(rows[0]))
        return record, columns

    def _count(self, num_rows: int) -> None:
        self._num_rows += num_rows
        if self._num_rows > _MOST_ROWS:
            raise CodecError(f"more than {_MOST_ROWS} members")

    def _made(self, part: Any) -> Any:
        """The value of what was read; what is new in it is filled later."""
        if type(part) is not Node:
            return part
        tag, content = part
        if tag in _MAKE:
            return self._new(tag, content)
        match tag:
            case "t" | "Z":
                return valued(tag, tuple(map(self._made, content)))
            case "P":
                return self._end.arrive(tag, "", _copied(part))
            case "O" if content.startswith(_HELD):
                word = content[1:]
                number = int(word) if word.isascii() and word.isdigit() else None
                return self._held.known(number).container
            case "O":
                return self._end.arrive(tag, content, None)
        name, value = content
        return self._end.arrive(tag, name, self._made(value))

    def _new(self, tag: str, content: tuple[Any, ...]) -> Any:
        record = self._held.add(_MAKE[tag]())
        members = list(chain.from_iterable(content)) if tag == "m" else list(content)
        if Node in set(map(type, members)):
            members = list(map(self._made, members))
        self._count(len(content))
        self._filling.append((record, rows_of(members, len(record.columns))))
        return record.container


def _part(tag: str, content: Any) -> Any:
    return Node(tag, content) if tag in _PARTED else content


def _tuple(part: Any, size: int | None = None) -> tuple[Any, ...]:
    if type(part) is not Node or part.tag != "t" or size not in (None, len(part.content)):
        raise CodecError("no message between a test and its program")
    content: tuple[Any, ...] = part.content
    return content


def _hash_of_name(part: Any) -> tuple[str, int]:
    name, its_hash = _tuple(part, 2)
    if type(name) is not str or type(its_hash) is not int:
        raise CodecError("no hash of a name")
    return name, its_hash


def _copied(part: Any) -> Any:
    """The value of what has nothing in it that is one thing for both."""
    if type(part) is not Node:
        return part
    tag, content = part
    if tag in "LP":
        return valued(tag, (content[0], _copied(content[1])))
    if tag == "m":
        return valued(tag, tuple((_copied(key), _copied(value)) for key, value in content))
    return valued(tag, content if tag == "O" else tuple(map(_copied, content)))
