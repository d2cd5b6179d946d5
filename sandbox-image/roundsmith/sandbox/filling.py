"""What the other side says that a list, dict or set is now, done to it in place."""

from collections.abc import Sequence
from typing import Any

from roundsmith.sandbox.identity import same
from roundsmith.sandbox.mirrored import SCALARS, Columns
from roundsmith.sandbox.reading import CodecError

_OURS = SCALARS | {tuple, frozenset}
"""Types for which no program answers whether two are alike."""


def rows_of(members: Sequence[Any], num_columns: int) -> Columns:
    """Members, row by row, as columns. Raises CodecError for half a row."""
    if len(members) % num_columns:
        raise CodecError("a key without a value")
    return tuple(list(members[at::num_columns]) for at in range(num_columns))


def agreed(columns: Columns, first: object, count: object) -> Columns:
    """Some of the rows that were agreed on. Raises CodecError for some that were not."""
    if type(first) is not int or type(count) is not int:
        raise CodecError("rows without a number")
    if not 0 <= first <= first + count <= len(columns[0]):
        raise CodecError("rows that were never agreed on")
    return tuple(column[first : first + count] for column in columns)


def revalued(columns: Columns, first: object, values: list[Any]) -> Columns:
    """Rows of a dict with the keys that were agreed on and other values. Raises CodecError for rows
    that were not agreed on, and for those of a list or set.
    """
    if len(columns) == 1:
        raise CodecError("values without keys")
    return agreed(columns, first, len(values))[0], values


def fill(container: Any, columns: Columns) -> None:
    """Makes the container have these rows. Those that it has already stay what they are, so that
    who is going through it meanwhile sees no more of it than in one process. Raises CodecError for
    two members alike, or one that can not be hashed.
    """
    try:
        if type(container) is list:
            container[:] = columns[0]
        elif type(container) is dict:
            _fill_dict(container, *columns)
        else:
            container.clear()
            container.update(columns[0])
    except TypeError as error:
        raise CodecError("a member that can not be hashed") from error
    if len(container) != len(columns[0]) and _OURS.issuperset(map(type, columns[0])):
        raise CodecError("two members alike")


def _fill_dict(container: dict[Any, Any], keys: list[Any], values: list[Any]) -> None:
    kept = set(map(id, keys))
    for key in [key for key in container if id(key) not in kept]:
        del container[key]
    have, held = list(container), list(container.values())
    if not same(have, keys[: len(have)]):
        container.clear()
        container.update(zip(keys, values, strict=True))
        return
    changed = [at for at, old in enumerate(held) if values[at] is not old]
    for at in (*changed, *range(len(have), len(keys))):
        container[keys[at]] = values[at]
