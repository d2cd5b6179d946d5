"""Calls as the server asks a solver for them, in a layout that a child reads without touching much
of its memory, because each page that it writes to is copied.

Only what the server wrote is read so: what comes out of a child is read by the codec.
"""

import marshal
from typing import Any

from roundsmith.sandbox.codec import decode, encode

EVERY_PYTHON = 2
"""The version of marshal's layout that is the same in each: a pod may have another than the server.
"""
MARSHALLED = (b"(", b"[")
"""How a call and a list of calls begin there; in the codec they begin with other letters."""
_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})


def pack_calls(calls: Any) -> bytes:
    """The bytes of a call, which is (name, arguments, keywords), or of a list of calls. Raises
    CodecError for what is over the codec's limits.

    Sets stay with the codec, which keeps the order of their members, and so does what is not plain.
    """
    content = encode(calls)
    return marshal.dumps(calls, EVERY_PYTHON) if _keeps(calls) else content


def unpack_calls(body: bytes) -> Any:
    """What was packed."""
    return marshal.loads(body) if body[:1] in MARSHALLED else decode(body)


def _keeps(value: Any) -> bool:
    """Whether marshal brings it over as it is."""
    kind = type(value)
    if kind is list or kind is tuple:
        return all(map(_keeps, value))
    if kind is dict:
        return all(map(_keeps, value)) and all(map(_keeps, value.values()))
    return kind in _SCALARS
