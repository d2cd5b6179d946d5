"""Two ends of a mirror, in one process: what one side changes is changed on the other in place."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from roundsmith.sandbox.codec import CodecError
from roundsmith.sandbox.identity import same
from roundsmith.sandbox.mirror import Mirror

KINDS = (list, set, dict)


class Nothing:
    """An end that has no values of its own."""

    def leave(self, value: Any, depth: int, hashed: bool) -> Any:
        raise TypeError(f"{value!r} does not cross")

    def arrive(self, tag: str, name: str, value: Any) -> Any:
        raise CodecError("no names")


class Pair:
    """Both sides, which speak in turn, and what each holds by a name."""

    def __init__(self) -> None:
        self.mirrors = Mirror(Nothing(), follows=False), Mirror(Nothing(), follows=True)

    def say(self, side: int, *said: Any) -> tuple[tuple[Any, ...], int]:
        """What the other side understands, and in how many bytes it was said."""
        content = self.mirrors[side].sealed(self.mirrors[side].draft(said))
        return self.mirrors[1 - side].read(content), len(content)


def shape(value: Any, seen: dict[int, int]) -> Any:
    """A value with the identities of all that is in it, in the order in which they are met."""
    if type(value) not in (*KINDS, tuple):
        return type(value).__name__, repr(value)
    if id(value) in seen:
        return seen[id(value)]
    if type(value) is not tuple:
        seen[id(value)] = len(seen)
    if type(value) is set:
        return "set", sorted(map(repr, value))
    members = [m for row in value.items() for m in row] if type(value) is dict else value
    return type(value).__name__, [shape(member, seen) for member in members]


def member(chance: random.Random, held: list[Any]) -> Any:
    """Something that a container can hold."""
    scalars = [0, True, 1.0, -0.0, "text", None, b"bytes", 2**70]
    made = [[], {}, set(), (1, [2]), [[1], {2: 3}]]
    return chance.choice([chance.choice(scalars), chance.choice(made), chance.choice(held)])


def change(chance: random.Random, held: list[Any]) -> None:
    """Changes one of them in one of the ways that there are."""
    value, key = chance.choice(held), chance.randrange(5)
    if type(value) is list:
        at = chance.randrange(len(value) + 1)
        ways = [
            lambda: value.insert(at, member(chance, held)),
            lambda: value.__delitem__(slice(at, at + 2)),
            value.reverse,
            lambda: value.extend(value[:3]),
        ]
    elif type(value) is dict:
        ways = [
            lambda: value.__setitem__(key, member(chance, held)),
            lambda: value.__setitem__((key, True), member(chance, held)),
            lambda: value.pop(key, None),
            lambda: value.update({True: 1, 0.0: [key]}),
        ]
    else:
        ways = [
            lambda: value.add(key),
            lambda: value.discard(key),
            lambda: value.__ixor__({key, (key, "x")}),
        ]
    chance.choice([*ways, *ways, value.clear])()


@pytest.mark.parametrize("seed", range(20))
def test_both_sides_have_the_same_things_whatever_either_changes(seed: int) -> None:
    chance, pair = random.Random(seed), Pair()
    sides: list[list[Any]] = [[[], {}, set(), [], {}] + [[at] for at in range(seed * 4)], []]
    (sides[1],), _ = pair.say(0, sides[0])
    for turn in range(60):
        side = (turn + 1) % 2
        for _ in range(chance.randrange(4)):
            change(chance, sides[side])
        if chance.randrange(3) == 0:
            sides[side][chance.randrange(5)] = chance.choice([[], {}, set()])
        if chance.randrange(5) == 0:
            sides[side].append(chance.choice(sides[side]))
        (other,), _ = pair.say(side, sides[side])
        assert other is sides[1 - side]
        assert shape(sides[0], {}) == shape(sides[1], {})


@pytest.mark.parametrize("size", [3, 63, 64, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_one_change_among_many_containers_and_members_is_found(kind: type, size: int) -> None:
    """And it is all that is said."""
    pair = Pair()
    rows = [kind((at, at) for at in range(size)) for _ in range(40)]
    (there,), whole = pair.say(0, rows)
    pair.say(1, there)
    for at in (0, 20, 39, 20):
        if kind is list:
            rows[at][size // 2] = "other"
        elif kind is set:
            rows[at].add(f"other {at}")
        else:
            rows[at][size // 2] = "other"
        for _ in range(3):
            (found,), num_bytes = pair.say(0, rows)
            assert found is there
            assert found == rows
            pair.say(1, there)
        assert num_bytes < whole


def test_what_is_equal_and_not_the_same_is_a_change() -> None:
    pair = Pair()
    values = [1, 0.0, (1, 2)]
    (there,), _ = pair.say(0, values)
    nan = float("nan")
    pair.say(1, there)
    values[:] = [True, -0.0, nan]
    pair.say(0, values)
    assert repr(there) == "[True, -0.0, nan]"
    there.append(5)
    pair.say(1, there)
    assert values[2] is nan
    assert values[3] == 5


@pytest.mark.parametrize("size", [5, 64, 5000])
def test_the_same_members_are_the_very_same(size: int) -> None:
    members: list[Any] = [(at,) for at in range(size)]
    assert same(members, list(members))
    assert not same(members, [*members[:-1], (size - 1,)])
    assert not same(members, members[:-1])


def test_what_one_side_holds_no_more_is_let_go_on_both() -> None:
    pair = Pair()
    outer = [[1], {2: [3]}]
    (there,), _ = pair.say(0, outer)
    inner = there[0]
    pair.say(1, there)
    num_containers = len(pair.mirrors[0]._held._by_id)
    assert num_containers == len(pair.mirrors[1]._held._by_id) == 4
    del there
    pair.say(1, "nothing")
    assert len(pair.mirrors[0]._held._by_id) == len(pair.mirrors[1]._held._by_id) == 1
    outer[0].append(2)  # type: ignore[attr-defined]  # it is the list
    outer.append(5)  # type: ignore[arg-type]  # of whatever is in it
    pair.say(0, "nothing")
    assert inner == [1, 2]


@pytest.mark.parametrize("num_rows", [5, 40, 600])
def test_what_was_as_it_is_for_long_is_let_go_too(num_rows: int) -> None:
    pair = Pair()
    rows = [[at] for at in range(num_rows)]
    (there,), _ = pair.say(0, rows)
    for side in (1, 0) * 5:
        pair.say(side, "nothing")
    assert len(pair.mirrors[0]._held._by_id) == num_rows + 1
    del there, rows
    for side in (1, 0) * 2:
        pair.say(side, "nothing")
    assert not pair.mirrors[0]._held._by_id
    assert not pair.mirrors[1]._held._by_id


@pytest.mark.parametrize("size", [3, 5000])
def test_what_is_changed_of_much_is_said_shortly(size: int) -> None:
    pair = Pair()
    rows, by_key = [str(at) for at in range(size)], {(at, "key"): at for at in range(size)}
    (rows_there, there), _ = pair.say(0, rows, by_key)
    changes: tuple[Callable[[], Any], ...] = (
        lambda: rows_there.pop(0),
        lambda: rows_there.insert(0, "new"),
        lambda: rows_there.__setitem__(1, "other"),
        lambda: there.update({(1, "key"): "other"}),
        lambda: there.pop((0, "key")),
    )
    for work in changes:
        keys = list(by_key)
        work()
        _, num_bytes = pair.say(1, "nothing")
        assert num_bytes < 200
        assert (rows, by_key) == (rows_there, there)
        assert {id(key) for key in by_key} <= {id(key) for key in keys}


def test_what_can_not_be_said_changes_nothing() -> None:
    pair = Pair()
    values: list[Any] = [1]
    (there,), _ = pair.say(0, values)
    pair.say(1, there)
    for wrong in (object(), [object()], {1: [[object()]]}, (values, object())):
        with pytest.raises(TypeError):
            pair.say(0, wrong)
        assert not pair.mirrors[0]._held.since(1)
    values.append(2)
    (again, new), _ = pair.say(0, values, [3])
    assert again is there
    assert (again, new) == ([1, 2], [3])


def test_looking_at_what_both_hold_is_bounded() -> None:
    pair = Pair()
    rows = {at: at for at in range(50_000)}
    (there,), _ = pair.say(0, rows)

    def look() -> None:
        for _ in range(1000):
            pair.say(1, there)
            pair.say(0, rows)

    with pytest.raises(CodecError, match="too much is one thing"):
        look()
