"""Which children ended: descriptors to poll, whatever the kernel offers for it."""

import contextlib
import errno
import os
import select
import signal


class Exits:
    """Watches children for `poll`. Without pidfds, as in gVisor, a signal tells that one ended."""

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self._pid_by_pidfd: dict[int, int] = {}
        self._pidfd_by_pid: dict[int, int] = {}
        self._told = -1
        try:
            os.close(os.pidfd_open(os.getpid()))
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            self._told, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
            signal.signal(signal.SIGCHLD, lambda number, frame: None)
            poll.register(self._told, select.POLLIN)

    @property
    def by_descriptor(self) -> bool:
        """Whether the kernel has pidfds."""
        return self._told < 0

    def forget(self) -> None:
        """In a child: the signal is none of its business."""
        if self._told >= 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def watch(self, pid: int) -> None:
        """A child was started."""
        if self._told >= 0:
            self._pidfd_by_pid[pid] = -1
            return
        pidfd = os.pidfd_open(pid)
        self._pid_by_pidfd[pidfd], self._pidfd_by_pid[pid] = pid, pidfd
        self._poll.register(pidfd, select.POLLIN)

    def ended(self, fd: int) -> list[int]:
        """The children that a descriptor which is ready says have ended, not reaped yet."""
        if fd in self._pid_by_pidfd:
            return [self._pid_by_pidfd[fd]]
        if fd != self._told:
            return []
        with contextlib.suppress(BlockingIOError):
            os.read(fd, 4096)
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return [pid for pid in self._pidfd_by_pid if os.waitid(os.P_PID, pid, options)]

    def reaped(self, pid: int) -> None:
        """The child is no more."""
        pidfd = self._pidfd_by_pid.pop(pid)
        if pidfd >= 0:
            del self._pid_by_pidfd[pidfd]
            self._poll.unregister(pidfd)
            os.close(pidfd)
