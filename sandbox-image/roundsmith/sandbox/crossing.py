"""A test's own values as they go to the program, and what came of them there."""

from typing import Any

from roundsmith.sandbox import taught
from roundsmith.sandbox.codec import CONTAINERS, mapped
from roundsmith.sandbox.exposure import crosses
from roundsmith.sandbox.remote import Based, Remote, reference_of

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class DoesNotCross(TypeError):
    """A value of the test's that the program can not be given."""


def crossed(value: Any) -> Any:
    """The value as the solver gets it; raises DoesNotCross for what only lives here."""
    if isinstance(value, Remote | Based):
        return reference_of(value)
    if taught.parted(value) and crosses(value):
        return value
    if type(value) not in (*_PLAIN, *CONTAINERS):
        raise DoesNotCross(f"{type(value).__name__} arguments do not cross")
    return mapped(value, crossed)


def take_over(given: Any, changed: Any) -> None:
    """What a call did to a mutable argument, done to the tester's own object."""
    if type(given) is not type(changed) or isinstance(given, Remote | Based):
        return
    if taught.parted(given):
        taught.take_over(given, changed)
    elif _same(given, changed):
        return
    elif isinstance(given, list):
        given[:] = changed
    elif isinstance(given, dict | set):
        given.clear()
        given.update(changed)


def _same(given: Any, changed: Any) -> bool:
    try:
        return bool(given == changed)
    except ValueError:
        # Arrays inside, which are compared member by member.
        return False
