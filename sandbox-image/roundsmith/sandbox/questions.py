"""One question to a child, what answering it may use, and what came of it."""

from typing import NamedTuple

from roundsmith.sandbox.codec import HEADER

QUIET = b"Q"
"""The question that only asks for an empty answer; it uses no time of its own."""
LOAD = b"P"
"""Load a program: all that a script is asked."""
COMPILE, LAUNCH = b"K", b"L"
"""In a profile of another language: compile a program; become it, answered by the end alone."""
TRY = b"Y"
"""There too: what a canary tries of a phase."""
FAULT = b"F"
"""The answer to those where it is the machine that failed; no program has run in that child."""
OVERTIME = b"O"
"""The answer to the first of them where the compiler was ended by its limit of CPU time."""
_ANSWERS = (b"A", b"E", b"N", b"D")
_OWN_ANSWERS = {
    COMPILE: (b"A", b"E", FAULT, OVERTIME),
    LAUNCH: (b"E", FAULT),
    TRY: (b"A", b"E", FAULT),
}
"""Where the child is the sandbox's own program until it has answered, or become another."""


class Budget(NamedTuple):
    """What one exchange may use: CPU and wall seconds, and bytes of output."""

    cpu_s: float
    wall_s: float
    output_bytes: int


class Asked(NamedTuple):
    """One question: the kind and body of its frame, and what answering it may use."""

    kind: bytes
    body: bytes
    budget: Budget

    def frame(self, nonce: bytes) -> bytes:
        """The bytes that ask it."""
        size = len(self.kind) + len(nonce) + len(self.body)
        return b"".join((HEADER.pack(size), self.kind, nonce, self.body))

    def answers(self) -> tuple[bytes, ...]:
        """The letters that it may be answered by."""
        return _OWN_ANSWERS.get(self.kind, _ANSWERS)


class Reply(NamedTuple):
    """One frame from a child: kind, body, and the CPU and wall seconds since the question."""

    kind: bytes
    body: bytes
    cpu_s: float
    wall_s: float


class Ended(NamedTuple):
    """Why a child gives no more answers: `cpu`, `wall`, `output`, `tampered`, `exit`, `signal` or
    `setup`.
    """

    why: str
    detail: str
    cpu_s: float = 0.0
    wall_s: float = 0.0
