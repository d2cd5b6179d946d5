"""What a server tells a supervisor that starts, and what that tells of itself: one frame each."""

from typing import NamedTuple

from roundsmith.sandbox.codec import decode, encode


class Wanted(NamedTuple):
    """How a supervisor shall start."""

    isolate: bool
    """Whether it enters namespaces."""
    uid_base: int
    compiled: bool
    """Whether the launcher in C may be used."""

    def pack(self) -> bytes:
        return encode(tuple(self))

    @classmethod
    def unpack(cls, content: bytes) -> "Wanted":
        """Raises CodecError, or TypeError for another number of things."""
        return cls(*decode(content))


class Told(NamedTuple):
    """What came of it."""

    ready: bool
    why: str
    """The reason, where it is not ready."""
    interfaces: list[str]
    """Those of its network namespace, none without one."""
    namespaces: list[str]
    """The kinds that it has of its own, such as `ipc`."""
    kernel: str
    """What shows that it has a kernel of its own, empty where nothing does."""
    profiles: list[str]
    missing: dict[str, str]
    """The profiles that it has not, and why."""

    def pack(self) -> bytes:
        return encode(tuple(self))

    @classmethod
    def unpack(cls, content: bytes) -> "Told":
        """What a sandbox that may lie told. Raises CodecError, or TypeError for another number of
        things, and for what should be a text and is none.
        """
        told = cls(*decode(content))
        lists = (*told.interfaces, *told.namespaces, *told.profiles)
        texts = (told.why, told.kernel, *lists, *told.missing, *told.missing.values())
        if not all(type(text) is str for text in texts):
            raise TypeError("what it says of itself is no text")
        return told
