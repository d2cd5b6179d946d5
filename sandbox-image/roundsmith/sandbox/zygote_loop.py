"""The zygote's loop in C, which is `forking.c`: it returns for whatever it leaves to Python."""

import ctypes
import os
from enum import IntEnum

from roundsmith.sandbox.launcher import Launcher, Place, StepRefused

_KINDS, _CHILDREN, _DESCRIPTORS, _LIMITS_BYTES = 16, 8, 8, 24


class Why(IntEnum):
    """Why the loop returned."""

    CHILD = 0
    """In a child that was just forked and is confined."""
    ENDED = 1
    FAILED = 2
    REFUSED = 3
    """In a child of which a step was refused."""
    NEW_LIMITS = 4
    """A child is asked for with limits that nothing was added for."""
    UNTIDY = 5
    """A child was reaped and left something behind, or may have: `tell` is to be called."""


class _Kind(ctypes.Structure):
    _fields_ = (
        ("limits", ctypes.c_ubyte * _LIMITS_BYTES),
        ("steps", ctypes.c_void_p),
        ("num_steps", ctypes.c_long),
        ("places", ctypes.c_void_p),
        ("num_places", ctypes.c_long),
    )


class _Child(ctypes.Structure):
    _fields_ = (("id", ctypes.c_uint32), ("pid", ctypes.c_int32), ("pidfd", ctypes.c_int32))


class _State(ctypes.Structure):
    _fields_ = (
        ("control", ctypes.c_int32),
        ("num_descriptors", ctypes.c_int32),
        ("before", ctypes.c_void_p),
        ("num_before", ctypes.c_long),
        ("scratch", ctypes.c_char_p),
        ("kinds", _Kind * _KINDS),
        ("num_kinds", ctypes.c_long),
        ("children", _Child * _CHILDREN),
        ("num_children", ctypes.c_long),
        ("failed", ctypes.c_long),
        ("errno", ctypes.c_long),
        ("asked_id", ctypes.c_uint32),
        ("asked_limits", ctypes.c_ubyte * _LIMITS_BYTES),
        ("descriptors", ctypes.c_int32 * _DESCRIPTORS),
        ("num_received", ctypes.c_int32),
        ("reaped", _Child),
        ("status", ctypes.c_int32),
        ("cpu_us", ctypes.c_uint64),
    )


class ZygoteLoop:
    """Serves on a control socket. `before` are the steps of the zygote itself before each fork;
    `scratch` is the directory that no child may leave anything in, where there is one. Raises
    OSError for a library that was compiled from another version of its source.
    """

    def __init__(
        self,
        library: ctypes.PyDLL,
        control: int,
        num_descriptors: int,
        before: Launcher,
        scratch: str | None,
    ) -> None:
        if (compiled := library.roundsmith_zygote_bytes()) != ctypes.sizeof(_State):
            raise OSError(
                f"forking.so: expected a state of {ctypes.sizeof(_State)} bytes, saw {compiled}: "
                "compile it anew, by installing again"
            )
        self._library, self._before = library, before
        self._state = _State(control, num_descriptors, *before.steps)
        self._state.scratch = None if scratch is None else scratch.encode()
        self._state.cpu_us = 0
        self._address = ctypes.addressof(self._state)
        self._launchers: list[Launcher] = []
        self._places: list[ctypes.Array[Place]] = []

    def run(self) -> Why:
        """Serves, until there is something to do here."""
        return Why(self._library.roundsmith_zygote(self._address))

    def tell(self) -> None:
        """Tells the supervisor of the child that was reaped."""
        if self._library.roundsmith_zygote_tell(self._address) >= 0:
            raise self.error()

    @property
    def limits(self) -> bytes:
        """Those of the child that is asked for."""
        return bytes(self._state.asked_limits)

    @property
    def pids(self) -> set[int]:
        """The children that live."""
        return {child.pid for child in self._state.children[: self._state.num_children]}

    def add(self, limits: bytes, launcher: Launcher) -> None:
        """What starts children of these limits from now on."""
        if len(self._launchers) == _KINDS:
            self._launchers, self._places, self._state.num_kinds = [], [], 0
        places = launcher.places()
        self._launchers.append(launcher)
        self._places.append(places)
        kind = self._state.kinds[self._state.num_kinds]
        kind.limits[:] = limits
        kind.steps, kind.num_steps = launcher.steps
        kind.places, kind.num_places = ctypes.addressof(places), len(places)
        self._state.num_kinds += 1

    def error(self) -> OSError:
        """What the kernel refused the zygote."""
        return OSError(self._state.errno, f"zygote: {os.strerror(self._state.errno)}")

    def refused(self) -> StepRefused:
        """In a child: the step that was refused it."""
        asked = self.limits
        kinds = self._state.kinds[: self._state.num_kinds]
        at = next(at for at, kind in enumerate(kinds) if bytes(kind.limits) == asked)
        return self._launchers[at].refused(self._state.failed)
