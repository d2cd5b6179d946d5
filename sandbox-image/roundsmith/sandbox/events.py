"""The messages of which there are many, in a layout that is read quickly and strictly: the events
of a run, and byte strings in a row.
"""

import struct
from collections.abc import Sequence

from roundsmith.sandbox.codec import CodecError

Event = tuple[int, str, str, bytes, float, float]
"""Cell (-1 for loading), what happened, a word on it, the answer's bytes, CPU seconds, wall
seconds.
"""

WHAT = ("answer", "failure", "cpu", "wall", "output", "tampered", "exit", "signal", "setup")
_HEAD = struct.Struct("!?I")  # whether the run is over, number of events
_EVENT = struct.Struct("!iBIIdd")  # cell, place in WHAT, sizes of word and answer, CPU, wall
_COUNT = struct.Struct("!I")


def pack_events(last: bool, events: Sequence[Event]) -> bytes:
    """Some events of a run; `last` says that there are no more."""
    heads: list[bytes] = [_HEAD.pack(last, len(events))]
    blobs: list[bytes] = []
    for cell, what, detail, body, cpu_s, wall_s in events:
        word = detail.encode("utf-8", "surrogatepass")
        sizes = len(word), len(body)
        heads.append(_EVENT.pack(cell, WHAT.index(what), *sizes, cpu_s, wall_s))
        blobs += (word, body)
    return b"".join((*heads, *blobs))


def unpack_events(content: bytes) -> tuple[bool, list[Event]]:
    """Whether the run is over, and the events. Raises CodecError for bytes that are none."""
    try:
        last, count = _HEAD.unpack_from(content)
        at = _HEAD.size + count * _EVENT.size
        heads = list(_EVENT.iter_unpack(content[_HEAD.size : at]))
        events: list[Event] = []
        for cell, what, word_size, size, cpu_s, wall_s in heads:
            word, at = content[at : at + word_size], at + word_size
            body, at = content[at : at + size], at + size
            detail = word.decode("utf-8", "surrogatepass")
            events.append((cell, WHAT[what], detail, body, cpu_s, wall_s))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise CodecError(f"events that are none: {error}") from error
    if len(heads) != count or at != len(content):
        raise CodecError(f"{count} events in {len(content)} bytes, expected as many as announced")
    return last, events


def pack_blobs(blobs: Sequence[bytes]) -> bytes:
    """Byte strings, with their sizes in front."""
    sizes = struct.pack(f"!{len(blobs)}I", *map(len, blobs))
    return b"".join((_COUNT.pack(len(blobs)), sizes, *blobs))


def unpack_blobs(content: bytes) -> list[bytes]:
    """The byte strings that the trusted other side packed."""
    (count,) = _COUNT.unpack_from(content)
    sizes = struct.unpack_from(f"!{count}I", content, _COUNT.size)
    at, blobs = _COUNT.size * (1 + count), []
    for size in sizes:
        blobs.append(content[at : at + size])
        at += size
    return blobs
