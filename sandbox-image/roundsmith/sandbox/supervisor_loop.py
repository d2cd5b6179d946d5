"""The supervisor's loop in C, which is `supervising.c`: it returns for whatever it leaves to
Python.
"""

import ctypes
from enum import IntEnum
from typing import NamedTuple

from roundsmith.sandbox.children import Children, ZygoteGone

_NONCE_BYTES, _QUESTIONS, _ZYGOTES, _PROFILE_BYTES = 8, 256, 8, 32
_READ_ONLY = 0x100
# An array type of ctypes is kept for each size that there ever was.
_view = ctypes.pythonapi.PyMemoryView_FromMemory
_view.restype, _view.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)


class _Why(IntEnum):
    SERVER_GONE = 0
    NOT_BEGUN = 1
    BEGUN = 2
    ZYGOTE_GONE = 3


class _Zygote(ctypes.Structure):
    _fields_ = (
        ("profile", ctypes.c_char * _PROFILE_BYTES),
        ("socket", ctypes.c_int32),
        ("last", ctypes.c_uint32),
    )


class _Answer(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("cpu_s", ctypes.c_double),
        ("wall_s", ctypes.c_double),
    )


class _State(ctypes.Structure):
    _fields_ = (
        ("server", ctypes.c_int32),
        ("no_input", ctypes.c_int32),
        ("num_zygotes", ctypes.c_int32),
        ("zygotes", _Zygote * _ZYGOTES),
        ("child", ctypes.c_uint32),
        ("zygote", ctypes.c_int32),
        ("control", ctypes.c_int32),
        ("out", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("pid", ctypes.c_int32),
        ("greeted", ctypes.c_int32),
        ("closed", ctypes.c_int32),
        ("fresh_cpu_s", ctypes.c_double),
        ("later_cpu_s", ctypes.c_double),
        ("wall_factor", ctypes.c_double),
        ("frame", ctypes.c_void_p),
        ("frame_size", ctypes.c_int64),
        ("frame_room", ctypes.c_int64),
        ("asked", ctypes.c_void_p),
        ("asked_size", ctypes.c_int64),
        ("asked_room", ctypes.c_int64),
        ("sent", ctypes.c_int64),
        ("nonces", ctypes.c_ubyte * (_QUESTIONS * _NONCE_BYTES)),
        ("num_questions", ctypes.c_int64),
        ("at", ctypes.c_int64),
        ("cpu_start_s", ctypes.c_double),
        ("start_s", ctypes.c_double),
        ("greeted_cpu_s", ctypes.c_double),
        ("answers", _Answer * _QUESTIONS),
        ("buffer", ctypes.c_void_p),
        ("buffer_room", ctypes.c_int64),
        ("taken", ctypes.c_int64),
        ("used", ctypes.c_int64),
        ("events", ctypes.c_void_p),
        ("events_room", ctypes.c_int64),
    )


class Begun(NamedTuple):
    """A run that was begun: its child, what was asked of it, and what has come of that so far."""

    child_id: int
    control: int
    """The descriptor of its answers."""
    streams: tuple[int, int]
    """Those of its output and its errors."""
    pid: int
    """0 until it has said something."""
    greeted: bool
    closed: bool
    """Whether it has closed its answers."""
    nonces: bytes
    """Of all questions, in a row."""
    num_sent: int
    """Bytes of the questions that were sent."""
    answers: list[tuple[bytes, float, float]]
    """Frame, CPU and wall seconds of each question that was answered."""
    rest: bytes
    """What was read besides."""
    cpu_start_s: float
    """CPU time as the question that is answered next began, and since when it is awaited."""
    start_s: float
    wall_cpu_s: float
    """CPU time as its wall clock was started."""


class SupervisorLoop:
    """Serves a server by its socket. `no_input` is a descriptor of what a child reads. Raises
    OSError for a library that was compiled from another version of its source.
    """

    def __init__(self, library: ctypes.CDLL, server: int, no_input: int) -> None:
        if (compiled := library.roundsmith_supervising_bytes()) != ctypes.sizeof(_State):
            raise OSError(
                f"forking.so: expected a supervisor of {ctypes.sizeof(_State)} bytes, saw "
                f"{compiled}: compile it anew, by installing again"
            )
        self._library, self._state = library, _State(server, no_input)
        self._address = ctypes.addressof(self._state)
        self._known: dict[str, tuple[_Zygote, Children]] = {}

    def know(self, profile: str, children: Children) -> None:
        """Those of a profile are started here, too, from now on."""
        name, at = profile.encode(), self._state.num_zygotes
        if profile in self._known or at == _ZYGOTES or len(name) >= _PROFILE_BYTES:
            return
        self._state.zygotes[at] = _Zygote(name, children.zygote)
        self._state.num_zygotes = at + 1
        self._known[profile] = self._state.zygotes[at], children

    def next(self) -> tuple[memoryview, Begun | None]:
        """Serves until there is something to do here: a frame of the server's, good until this is
        called again, and the run that it asked for, if that was begun. No fork inherits the frame.
        Raises EOFError when the server is gone, and ZygoteGone.
        """
        for zygote, children in self._known.values():
            zygote.last = children.last_id
        why = _Why(self._library.roundsmith_supervise(self._address))
        for zygote, children in self._known.values():
            children.last_id = zygote.last
        if why is _Why.SERVER_GONE:
            raise EOFError("the server is gone")
        if why is _Why.ZYGOTE_GONE:
            raise ZygoteGone
        state = self._state
        frame: memoryview = _view(state.frame, state.frame_size, _READ_ONLY)
        return frame, self._begun() if why is _Why.BEGUN else None

    def _begun(self) -> Begun:
        state = self._state
        buffer = state.buffer or 0
        answers = [
            (ctypes.string_at(buffer + one.start, one.size), one.cpu_s, one.wall_s)
            for one in state.answers[: state.at]
        ]
        confined_just_now = state.greeted and not state.at
        return Begun(
            state.child,
            state.control,
            (state.out, state.error),
            state.pid,
            bool(state.greeted),
            bool(state.closed),
            bytes(state.nonces[: state.num_questions * _NONCE_BYTES]),
            state.sent,
            answers,
            ctypes.string_at(buffer + state.taken, state.used - state.taken),
            state.cpu_start_s,
            state.start_s,
            state.greeted_cpu_s if confined_just_now else state.cpu_start_s,
        )
