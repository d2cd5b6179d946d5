"""The zygotes of a supervisor, one a profile and phase: that of `base` from the start, another when
it is first asked for. So a slot changes its profile at no cost, and holds no memory for one never
used.
"""

import ctypes
import gc
import os
import select
import socket
import sys

from roundsmith.sandbox import layout, packages
from roundsmith.sandbox.children import Cancelled, Children
from roundsmith.sandbox.hardening import Box, address_space_bytes
from roundsmith.sandbox.profiles import ONLY, Profile, Profiles
from roundsmith.sandbox.zygote import Zygote, occupy_low_descriptors

_READY = b"R"
_WHY_BYTES = 2000


class ProfileBroken(Exception):
    """A zygote of the profile could not be made; the others serve on."""


class Zygotes:
    """Makes zygotes below the calling process, which has one thread. `proc` is a descriptor of
    `/proc`, which is out of sight by then, and `library` what starts children in C.
    """

    def __init__(
        self, server: int, found: Profiles, box: Box, library: ctypes.PyDLL | None, proc: int
    ) -> None:
        self._server, self._found, self._box = server, found, box
        self.library, self._proc = library, proc
        self._children: dict[tuple[str, str], Children] = {}
        self._begun: dict[tuple[str, str], socket.socket] = {}
        """Those that are being made."""
        self._broken: dict[tuple[str, str], str] = {}

    def children(self, profile: str, phase: str = ONLY) -> Children:
        """What starts children of a phase of a profile. Raises ProfileBroken with why there is
        none, Cancelled when the server wants no more meanwhile: what is made then goes on, for
        whoever asks next.
        """
        key = profile, phase
        if key in self._broken:
            raise ProfileBroken(self._broken[key])
        if key not in self._children:
            try:
                zygote = self._start(profile, phase)
                self._children[key] = Children(zygote, self._server, self._proc)
            except ProfileBroken as error:
                self._broken[key] = str(error)
                raise
        return self._children[key]

    def made(self, profile: str) -> bool:
        """Whether there is one of a profile of Python."""
        return (profile, ONLY) in self._children

    def out_of_reach(self, profile: str, phase: str) -> list[str]:
        """What other profiles read of the same root, and children of this phase must not."""
        rights = self._found.here[profile].rights[phase]
        own = (*rights.readable, *rights.executable)
        return [
            path
            for path in self._found.readable
            if not any(path == one or path.startswith(f"{one}/") for one in own)
        ]

    def settle(self) -> None:
        """Waits until every child that was ended is reaped."""
        for children in self._children.values():
            children.settle()

    def _start(self, name: str, phase: str) -> socket.socket:
        if (name, phase) not in self._begun:
            self._begun[name, phase] = self._fork(name, phase)
        ours, poll = self._begun[name, phase], select.poll()
        for fd in (ours.fileno(), self._server):
            poll.register(fd, select.POLLIN)
        if ours.fileno() not in dict(poll.poll()):
            raise Cancelled
        del self._begun[name, phase]
        said = ours.recv(_WHY_BYTES)
        if said != _READY:
            ours.close()
            raise ProfileBroken(f"profile {name}: {said.decode(errors='replace') or 'it ended'}")
        return ours

    def _fork(self, name: str, phase: str) -> socket.socket:
        profile = self._found.here.get(name)
        if profile is None or phase not in profile.rights:
            raise ProfileBroken(self._found.missing.get(name, f"there is no profile {name!r}"))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.collect()  # of earlier runs
        joined, pid = layout.join(self._proc), -1
        try:
            pid = os.fork()
        finally:
            if pid:
                layout.part(joined)
        if not pid:
            self._become(profile, phase, theirs)
        theirs.close()
        return ours

    def _become(self, profile: Profile, phase: str, control: socket.socket) -> None:
        """The zygote; never returns."""
        try:
            low, high = sorted((control.fileno(), self._proc))
            for first, last in ((3, low), (low + 1, high), (high + 1, 1 << 16)):
                os.closerange(first, last)
            occupy_low_descriptors()
            if profile.packages:
                packages.load(profile.packages, profile.modules)
                layout.join(self._proc)
            gc.collect()
            layout.end_arenas()
            maps = layout.open_maps(self._proc)
            rights = profile.rights[phase]
            size = address_space_bytes(self._proc) + rights.address_space
            os.close(self._proc)
            occupy_low_descriptors()
            box = self._box._replace(
                readable=rights.readable,
                executable=rights.executable,
                phase=phase,
                address_space=size,
                pairs=rights.pairs,
            )
            zygote = Zygote(control, box, self.library, maps)
            control.send(_READY)
            zygote.serve()
        except BaseException as error:
            # The reason goes to the operator, and to the server if it still waits for this zygote.
            sys.excepthook(type(error), error, error.__traceback__)
            control.send(repr(error).encode(errors="replace")[:_WHY_BYTES])
        finally:
            os._exit(0)
