"""A test's own values as they go to the program, and what came of those that are copied there."""

from typing import Any

from roundsmith.sandbox import taught
from roundsmith.sandbox.exposure import crosses
from roundsmith.sandbox.remote import Based, Remote, reference_of


class DoesNotCross(TypeError):
    """A value of the test's that the program can not be given."""


def left(value: Any) -> Any:
    """What stands for a value there that is no container and no scalar; raises DoesNotCross for
    what only lives here.
    """
    if isinstance(value, Remote | Based):
        return reference_of(value)
    if taught.parted(value) and crosses(value):
        return value
    raise DoesNotCross(f"{type(value).__name__} arguments do not cross")


def take_over(given: Any, changed: Any) -> None:
    """What a call did to an argument that was copied there, done to the tester's own object."""
    if taught.may_change(given) and type(given) is type(changed):
        taught.take_over(given, changed)
