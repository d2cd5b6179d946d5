"""Values to proto messages and back: `to_message`, `from_message` and the unions' own readers."""

from roundsmith.wire.messages import (
    from_message,
    prompt_from_message,
    row_from_message,
    row_to_message,
    test_from_message,
    to_message,
)
from roundsmith.wire.python_value import MAX_VALUE_DEPTH, value_from_message, value_to_message

__all__ = [
    "MAX_VALUE_DEPTH",
    "from_message",
    "prompt_from_message",
    "row_from_message",
    "row_to_message",
    "test_from_message",
    "to_message",
    "value_from_message",
    "value_to_message",
]
