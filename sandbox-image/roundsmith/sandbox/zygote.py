"""The zygote: one thread, never sees a program, forks a hardened child when the supervisor asks.

The loop is `forking.c` where that was compiled, else, and for what that leaves to it, this file.
Messages on its SOCK_SEQPACKET socket: FORK (id and limits, with the descriptors that the child has
from 0 on); KILL (id); EXITED (id, wait status, CPU) comes once for each child. Closing the socket
ends the zygote and every child.
"""

import array
import contextlib
import ctypes
import gc
import os
import random
import select
import signal
import socket
import struct
from collections.abc import Callable, Collection
from typing import NoReturn

from roundsmith.sandbox import launcher, layout, pools, programs, solver
from roundsmith.sandbox.exits import Exits
from roundsmith.sandbox.frames import write_frame
from roundsmith.sandbox.hardening import CONTROL_FD, PROGRAM_FD, Box, Hardening, RunLimits
from roundsmith.sandbox.reaping import sweep
from roundsmith.sandbox.scratch import empty
from roundsmith.sandbox.zygote_loop import Why, ZygoteLoop

FORK, KILL, EXITED = b"F", b"K", b"x"
CHILD_ID = struct.Struct("!I")
EXITED_BODY = struct.Struct("!IiQ")  # id, wait status, CPU microseconds


class Zygote:
    """Serves one supervisor until its socket closes."""

    def __init__(
        self, control: socket.socket, box: Box, library: ctypes.PyDLL | None, maps: int
    ) -> None:
        """Children are started in C where there is a `library` for it. `maps` is a descriptor of
        this process's mappings, which is closed.
        """
        self._control, self._box = control, box
        self._hardening = Hardening(box, library)
        self._pid_by_id: dict[int, int] = {}
        self._id_by_pid: dict[int, int] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._exits = Exits(self._poll)
        self._before = self._hardening.before(os.pidfd_open(os.getpid()) if box.isolated else -1)
        self._loop: ZygoteLoop | None = None
        # Where programs can write elsewhere too, all of it is emptied after each, which C does not.
        if library is not None and self._exits.by_descriptor and not box.also_written:
            self._loop = ZygoteLoop(
                library,
                control.fileno(),
                self._hardening.num_descriptors,
                self._before,
                None if box.isolated else box.scratch,
            )
        self._hardening.protect_zygote()
        self._before.carry_out()  # what would be refused before each fork is told at the start
        self._work = programs.serve if box.phase else solver.prepared()
        gc.collect()
        pools.begin_pools()
        gc.freeze()
        layout.merge(maps)
        if not box.phase:  # what a child becomes another program in is left at once
            layout.gather(maps)
            layout.copy_code(maps)
        os.close(maps)

    def serve(self) -> None:
        """Forks, kills and reaps until the supervisor goes away."""
        if self._loop is not None:
            self._serve_in_c(self._loop)
            return
        control = self._control.fileno()
        while True:
            for fd, _ in self._poll.poll():
                if fd == control:
                    if not self._obey():
                        return
                    continue
                for pid in self._exits.ended(fd):
                    self._reap(self._id_by_pid[pid])

    def _serve_in_c(self, loop: ZygoteLoop) -> None:
        while (why := loop.run()) is not Why.ENDED:
            match why:
                case Why.CHILD:
                    _become_child(self._work)
                case Why.REFUSED:
                    _end_child(loop.refused())
                case Why.NEW_LIMITS:
                    loop.add(loop.limits, self._hardening.launcher(RunLimits.unpack(loop.limits)))
                case Why.UNTIDY:
                    self._tidy(loop.pids)
                    loop.tell()
                case Why.FAILED:
                    raise loop.error()

    def _obey(self) -> bool:
        """Obeys one message; whether there was one."""
        space = socket.CMSG_SPACE(4 * self._hardening.num_descriptors)
        message, ancillary, _, _ = self._control.recvmsg(256, space)
        if message[:1] == KILL:
            self._kill(*CHILD_ID.unpack(message[1:]))
        elif message:
            (child_id,) = CHILD_ID.unpack_from(message, 1)
            limits = RunLimits.unpack(message[1 + CHILD_ID.size :])
            descriptors = array.array("i", ancillary[0][2])
            try:
                self._fork(child_id, limits, descriptors)
            finally:
                for fd in descriptors:
                    os.close(fd)
        return bool(message)

    def _fork(self, child_id: int, limits: RunLimits, descriptors: "array.array[int]") -> None:
        start = self._hardening.launcher(limits)
        self._before.carry_out()
        try:
            pid = start.fork(descriptors)
        except launcher.StepRefused as error:
            _end_child(error)
        if not pid:
            self._exits.forget()
            random.seed(0)  # which Python's own fork draws anew
            _become_child(self._work)
        self._exits.watch(pid)
        self._pid_by_id[child_id], self._id_by_pid[pid] = pid, child_id

    def _kill(self, child_id: int) -> None:
        if child_id in self._pid_by_id:
            # No other process can have its number before it is reaped, which happens here alone.
            os.kill(self._pid_by_id[child_id], signal.SIGKILL)
            self._reap(child_id)

    def _reap(self, child_id: int) -> None:
        pid = self._pid_by_id.pop(child_id)
        _, status, usage = os.wait4(pid, 0)
        del self._id_by_pid[pid]
        self._exits.reaped(pid)
        self._tidy(self._id_by_pid)
        cpu_us = int((usage.ru_utime + usage.ru_stime) * 1e6)
        self._control.send(EXITED + EXITED_BODY.pack(child_id, status, cpu_us))

    def _tidy(self, living: Collection[int]) -> None:
        """Leaves no process but the children that live, and no file when none does."""
        if not self._box.isolated:
            sweep(living)
            if not living:
                clean(self._box)


def clean(box: Box) -> None:
    """Leaves nothing in a run's directory, nor where a program could write besides."""
    empty(box.scratch)
    for directory in box.also_written:
        empty(directory, keep=(os.path.basename(box.scratch),))


def occupy_low_descriptors() -> None:
    """So that nothing made later has a number that a child's own descriptors get."""
    while (fd := os.open("/dev/null", os.O_RDONLY)) <= PROGRAM_FD:
        os.set_inheritable(fd, False)
    os.close(fd)


def _become_child(serve: Callable[[int], None]) -> None:
    """Never returns. Confined by now, which was said: what comes is answers."""
    try:
        serve(CONTROL_FD)
    except BaseException as error:
        _end_child(error)
    finally:
        os._exit(70)


def _end_child(error: BaseException) -> NoReturn:
    """Ends a child whose setup failed, which is said on the control socket; nothing untrusted ever
    ran.
    """
    # A closed socket means that nobody listens any more.
    with contextlib.suppress(OSError):
        write_frame(CONTROL_FD, repr(error).encode(errors="replace")[:1000])
    os._exit(70)
