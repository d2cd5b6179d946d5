"""A test's own values as they go to the program, and what came of those that are copied there."""

from typing import Any

from roundsmith.sandbox import taught
from roundsmith.sandbox.codec import CodecError, OverLimit
from roundsmith.sandbox.exposure import is_plain
from roundsmith.sandbox.remote import Based, Remote, reference_of

GIVES = ("!setattr", "!setitem")
SHOWS = ("!contains", "!getitem", "!delitem")
"""What gives the program nothing: what it is shown stays the test's own."""


class DoesNotCross(TypeError):
    """A value of the test's that the program can not be given."""


def left(value: Any) -> Any:
    """What stands for a value there that is no container and no scalar. Raises DoesNotCross for
    what only lives here, OverLimit for what is too large: that may be the program's doing.
    """
    if isinstance(value, Remote | Based):
        return reference_of(value)
    if taught.parted(value) and _is_plain(value):
        return value
    raise DoesNotCross(f"{type(value).__name__} arguments do not cross")


def arrived(value: Any) -> Any:
    """A value of a taught type that the program sent. Raises CodecError for one that it could not
    be given back: then the test would have to run in its process.
    """
    if not is_plain(value):
        raise CodecError(f"a {type(value).__name__} that does not cross")
    return value


def _is_plain(value: Any) -> bool:
    try:
        return is_plain(value)
    except OverLimit:
        raise
    except CodecError:
        return False


def take_over(given: Any, changed: Any) -> None:
    """What a call did to an argument that was copied there, done to the tester's own object."""
    if taught.may_change(given) and type(given) is type(changed):
        taught.take_over(given, changed)
