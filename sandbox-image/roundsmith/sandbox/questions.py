"""One question to a child, what answering it may use, and what came of it."""

from typing import NamedTuple

QUIET = b"Q"
"""The question that only asks for an empty answer; it uses no time of its own."""
COMPILE, LAUNCH = b"K", b"L"
"""In a profile of another language: compile a program; become it, answered by the end alone."""
FAULT = b"F"
"""The answer to those two where it is the machine that failed; no program has run in that child."""


OVERTIME = b"O"
"""The answer to the first where the compiler was ended by its limit of CPU time."""


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
