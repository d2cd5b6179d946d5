"""The zygote: one thread, never sees a program, forks a hardened child when the supervisor asks.

Messages on its SOCK_SEQPACKET socket: FORK (limits; a descriptor for stdin) is answered by FORKED
(id, and the descriptors of the child's control socket, stdout and stderr); KILL (id); EXITED (id,
wait status, CPU) comes once for each child. Closing the socket ends the zygote and every child.
"""

import array
import contextlib
import gc
import os
import select
import signal
import socket
import struct

from roundsmith.sandbox import solver, syscalls
from roundsmith.sandbox.frames import write_frame
from roundsmith.sandbox.hardening import CONTROL_FD, Box, Hardening, RunLimits, take_descriptors
from roundsmith.sandbox.reaping import sweep
from roundsmith.sandbox.scratch import empty
from roundsmith.sandbox.syscalls import call

FORK, KILL, FORKED, EXITED = b"F", b"K", b"f", b"x"
GREETING = b"H"
KILL_BODY = struct.Struct("!I")
EXITED_BODY = struct.Struct(
    "!IiIQ"
)  # id, wait status, largest resident kilobytes, CPU microseconds
# Linux's own number; the socket module has no name for it.
SO_PASSCRED = 16


class Zygote:
    """Serves one supervisor until its socket closes."""

    def __init__(self, control: socket.socket, box: Box) -> None:
        self._control, self._box = control, box
        self._hardening = Hardening(box)
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._children: dict[int, tuple[int, int]] = {}  # pidfd: (id, pid)
        self._last_id = 0
        self._self_pidfd = os.pidfd_open(os.getpid())
        self._hardening.protect_zygote()
        solver.rehearse()
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Forks, kills and reaps until the supervisor goes away."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd != self._control.fileno():
                    poll.unregister(fd)
                    self._reap(fd)
                    continue
                pidfd = self._obey()
                if pidfd is None:
                    return
                if pidfd:
                    poll.register(pidfd, select.POLLIN)

    def _obey(self) -> int | None:
        """Obeys one message: the new child's pidfd, 0 for none, None when the socket closed."""
        message, ancillary, _, _ = self._control.recvmsg(256, socket.CMSG_SPACE(4))
        if not message:
            return None
        if message[:1] == KILL:
            self._kill(*KILL_BODY.unpack(message[1:]))
            return 0
        stdin = array.array("i", ancillary[0][2])[0] if ancillary else self._null
        try:
            return self._fork(RunLimits.unpack(message[1:]), stdin)
        finally:
            if stdin != self._null:
                os.close(stdin)

    def _fork(self, limits: RunLimits, stdin: int) -> int:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
        out_read, out_write = os.pipe()
        error_read, error_write = os.pipe()
        if self._box.isolated:
            call("setns", self._self_pidfd, syscalls.CLONE_NEWPID)
            call("unshare", syscalls.CLONE_NEWPID)
        pid = os.fork()
        if not pid:
            take_descriptors(
                stdin, out_write, error_write, theirs.fileno(), self._hardening.ruleset
            )
            _become_child(self._hardening, limits)
        theirs.close()
        os.close(out_write)
        os.close(error_write)
        self._last_id += 1
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (self._last_id, pid)
        rights = array.array("i", [ours.fileno(), out_read, error_read])
        self._control.sendmsg(
            [FORKED + KILL_BODY.pack(self._last_id)],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)],
        )
        ours.close()
        os.close(out_read)
        os.close(error_read)
        return pidfd

    def _kill(self, child_id: int) -> None:
        for pidfd, (known, _) in self._children.items():
            if known == child_id:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def _reap(self, pidfd: int) -> None:
        child_id, pid = self._children.pop(pidfd)
        _, status, usage = os.wait4(pid, 0)
        os.close(pidfd)
        if not self._box.isolated:
            sweep({known for _, known in self._children.values()})
            if not self._children:
                empty(self._box.scratch)
        cpu_us = int((usage.ru_utime + usage.ru_stime) * 1e6)
        self._control.send(EXITED + EXITED_BODY.pack(child_id, status, usage.ru_maxrss, cpu_us))


def _become_child(hardening: Hardening, limits: RunLimits) -> None:
    """Never returns. A hardening that fails is said on the control socket, and nothing untrusted
    ever runs.
    """
    try:
        hardening.apply(limits)
        write_frame(CONTROL_FD, GREETING)
        solver.serve(CONTROL_FD)
    except BaseException as error:
        # A closed socket means that nobody listens any more.
        with contextlib.suppress(OSError):
            write_frame(CONTROL_FD, repr(error).encode(errors="replace")[:1000])
    finally:
        os._exit(70)
