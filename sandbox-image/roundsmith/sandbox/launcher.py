"""Forks children that carry out a list of system calls before anything else runs in them: in C
where `forking.c` and with it `launch.c` was compiled at install, else the same list by ctypes.
"""

import ctypes
import os
from collections.abc import Sequence
from typing import NamedTuple

from roundsmith.sandbox.syscalls import LIBC, number

_STORE_PID = -1
LIBRARY = os.path.join(os.path.dirname(__file__), "forking.so")


class Descriptor(NamedTuple):
    """Stands in a step for the descriptor that a fork is given at this place."""

    at: int


class Step(NamedTuple):
    """One system call by name. Bytes are passed by address, and are the same at every fork."""

    name: str
    arguments: tuple[int | bytes | Descriptor, ...]


class StorePid(NamedTuple):
    """The child writes its process number, four bytes, to this address."""

    address: int


class StepRefused(OSError):
    """In the child: the kernel refused a step, which is named."""


class _Step(ctypes.Structure):
    _fields_ = (("number", ctypes.c_long), ("arguments", ctypes.c_long * 6))


class Place(ctypes.Structure):
    """An argument of a step, which is the descriptor that a fork is given at a place."""

    _fields_ = (("argument", ctypes.c_void_p), ("at", ctypes.c_long))


def compiled() -> ctypes.PyDLL | None:
    """The C launcher, None where it was not compiled or not for this machine. Raises OSError for
    one that was compiled from another version of its source.
    """
    try:
        # The interpreter's lock is kept: a child goes on as the only thread, as the parent was.
        library = ctypes.PyDLL(LIBRARY, use_errno=True)
    except OSError:
        return None
    try:
        _declare(library)
    except AttributeError as error:
        raise OSError(f"{error}: compile it anew, by installing again") from error
    return library


def _declare(library: ctypes.PyDLL) -> None:
    library.roundsmith_fork.restype = ctypes.c_long
    library.roundsmith_fork.argtypes = (ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p)
    for name in ("roundsmith_zygote_bytes", "roundsmith_supervising_bytes"):
        getattr(library, name).restype = ctypes.c_long
    for name in ("roundsmith_zygote", "roundsmith_zygote_tell", "roundsmith_supervise"):
        getattr(library, name).restype = ctypes.c_long
        getattr(library, name).argtypes = (ctypes.c_void_p,)


class Launcher:
    """Starts children that all carry out the same steps; `library` is what `compiled` found."""

    def __init__(self, steps: Sequence[Step | StorePid], library: ctypes.PyDLL | None) -> None:
        self._library = library
        self._names = [step.name if isinstance(step, Step) else "" for step in steps]
        self._steps = (_Step * len(steps))()
        self._buffers: list[ctypes.Array[ctypes.c_char]] = []
        self._places: list[tuple[ctypes.Array[ctypes.c_long], int, int]] = []
        for raw, step in zip(self._steps, steps, strict=True):
            self._fill(raw, step)
        self._failed = ctypes.c_long(0)
        self._arguments = ctypes.addressof(self._steps), len(steps), ctypes.addressof(self._failed)

    def _fill(self, raw: _Step, step: Step | StorePid) -> None:
        if isinstance(step, StorePid):
            raw.number, raw.arguments[0] = _STORE_PID, step.address
            return
        raw.number = number(step.name)
        for at, argument in enumerate(step.arguments):
            if isinstance(argument, Descriptor):
                self._places.append((raw.arguments, at, argument.at))
            elif isinstance(argument, bytes):
                self._buffers.append(ctypes.create_string_buffer(argument))
                raw.arguments[at] = ctypes.addressof(self._buffers[-1])
            else:
                raw.arguments[at] = argument

    @property
    def steps(self) -> tuple[int, int]:
        """Address and number of the steps."""
        return self._arguments[:2]

    def places(self) -> "ctypes.Array[Place]":
        """The arguments that are descriptors of the next fork."""
        size = ctypes.sizeof(ctypes.c_long)
        found = [
            Place(ctypes.addressof(arguments) + at * size, place)
            for arguments, at, place in self._places
        ]
        return (Place * len(found))(*found)

    def place(self, descriptors: Sequence[int]) -> tuple[int, int]:
        """Puts the descriptors of the next fork into its steps; address and number of the steps."""
        for arguments, at, place in self._places:
            arguments[at] = descriptors[place]
        return self.steps

    def fork(self, descriptors: Sequence[int]) -> int:
        """Forks. In the parent the child's process number; 0 in the child, when all steps are done.

        Raises OSError in the parent when there is no process to be had, and StepRefused in the
        child.
        """
        self.place(descriptors)
        if self._library is None:
            pid = os.fork()
            if not pid:
                self.carry_out()
            return pid
        pid = self._library.roundsmith_fork(*self._arguments)
        if pid < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"fork: {os.strerror(error)}")
        if not pid and self._failed.value:
            raise self.refused(self._failed.value)
        return int(pid)

    def carry_out(self) -> None:
        """Carries the steps out in the calling process. Raises StepRefused."""
        for place, step in enumerate(self._steps, 1):
            if step.number == _STORE_PID:
                ctypes.c_uint32.from_address(step.arguments[0]).value = os.getpid()
                continue
            words = [ctypes.c_long(word) for word in (step.number, *step.arguments)]
            if LIBC.syscall(*words) < 0:
                raise self.refused(place)

    def refused(self, place: int) -> StepRefused:
        """What it means that the step at this place, from 1, was refused just now."""
        error = ctypes.get_errno()
        return StepRefused(error, f"{self._names[place - 1]}: {os.strerror(error)}")
