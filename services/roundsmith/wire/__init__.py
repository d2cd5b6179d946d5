"""Values to proto messages and back: `to_message`, `from_message`, both of many at once, and the
unions' own readers.
"""

from roundsmith.wire.messages import (
    add_messages,
    from_message,
    from_messages,
    prompt_from_message,
    test_from_message,
    to_message,
)
from roundsmith.wire.python_value import MAX_VALUE_DEPTH, value_from_message, value_to_message
from roundsmith.wire.rows import rows_from_message, rows_to_message

__all__ = [
    "MAX_VALUE_DEPTH",
    "add_messages",
    "from_message",
    "from_messages",
    "prompt_from_message",
    "rows_from_message",
    "rows_to_message",
    "test_from_message",
    "to_message",
    "value_from_message",
    "value_to_message",
]
