"""What a freshly forked child does to itself before it reads anything that an enemy wrote."""

import os
import resource
import signal
import struct
from dataclasses import dataclass

from roundsmith.sandbox import landlock, namespaces, seccomp, syscalls
from roundsmith.sandbox.syscalls import call, syscall

CONTROL_FD = 3
RULESET_FD = 4
_OWN_PID = 0x7A5E0FDD  # stands in the prebuilt filter for the pid that only the child knows
# Supervisor, zygote and tester, where they have the child's user.
_TRUSTED_PROCESSES = 3
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The kernel's limits of one child, sizes in bytes; CPU here is only the backstop of the
    supervisor's clock.
    """

    cpu_s: int
    memory_bytes: int
    file_bytes: int
    processes: int

    WIRE = struct.Struct("!IQQI")

    def pack(self) -> bytes:
        return self.WIRE.pack(self.cpu_s, self.memory_bytes, self.file_bytes, self.processes)

    @classmethod
    def unpack(cls, content: bytes) -> "RunLimits":
        return cls(*cls.WIRE.unpack(content))


@dataclass(frozen=True, slots=True)
class Box:
    """Where children run: T2 (`isolated`) or T1, which user they become, and what they may read and
    write.
    """

    isolated: bool
    child_uid: int | None
    """None where the caller is not root: then a child keeps the caller's user and loses its
    capabilities.
    """
    scratch: str
    readable: tuple[str, ...]
    address_space: int
    """Bytes that the interpreter maps already; a program's memory limit is on top of them."""


class Hardening:
    """Everything that can be made before the fork: the Landlock ruleset, both filters, the
    structures.
    """

    def __init__(self, box: Box) -> None:
        self._box = box
        # A mount over a directory hides the directory's own rule, not its parent's.
        writable = os.path.dirname(box.scratch) if box.isolated else box.scratch
        self.ruleset = landlock.build(box.readable, writable)
        pid = 1 if box.isolated else _OWN_PID
        self._filters = {
            threads: seccomp.Filter(seccomp.child_filter(threads, pid)) for threads in (False, True)
        }
        # RLIMIT_NPROC counts a user's processes: it needs a user or user namespace of the slot's.
        self._counts_processes = box.isolated or box.child_uid is not None
        self._hard_limits = {kind: _hard_limit(kind) for kind in _LIMITED}
        self._capability_header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)

    def protect_zygote(self) -> None:
        """For the zygote itself, once: dies with its parent, no new privileges, and the inherited
        filter.
        """
        call("prctl", syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        call("prctl", syscalls.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        call("prctl", syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0)
        call("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        seccomp.Filter(seccomp.zygote_filter()).install()

    def apply(self, limits: RunLimits) -> None:
        """Confines the calling process for ever. Raises OSError when any part is refused: the run
        must not start.
        """
        os.setsid()
        if self._box.isolated:
            call("unshare", syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC)
            owner = 0 if self._box.child_uid is None else self._box.child_uid
            namespaces.mount_scratch(owner, 2 * limits.file_bytes)
        os.umask(0o077)
        self._set_limits(limits)
        self._drop_privileges()
        os.chdir(self._box.scratch)
        call("prctl", syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        call("prctl", syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0)
        landlock.restrict(RULESET_FD)
        os.close(RULESET_FD)
        chosen = self._filters[limits.processes > 1 and self._counts_processes]
        if not self._box.isolated:
            chosen.replace(_OWN_PID, os.getpid())
        chosen.install()

    def _set_limits(self, limits: RunLimits) -> None:
        memory = self._box.address_space + limits.memory_bytes
        values = {
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_DATA: memory,
            resource.RLIMIT_CPU: limits.cpu_s,
            resource.RLIMIT_FSIZE: limits.file_bytes,
            resource.RLIMIT_NOFILE: 64,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_STACK: 64 * 2**20,
            resource.RLIMIT_MEMLOCK: 0,
            resource.RLIMIT_MSGQUEUE: 0,
        }
        if self._counts_processes:
            trusted = 0 if self._box.child_uid is not None else _TRUSTED_PROCESSES
            values[resource.RLIMIT_NPROC] = limits.processes + trusted
        for kind, wanted in values.items():
            value = min(wanted, self._hard_limits[kind])
            resource.setrlimit(kind, (value, value))

    def _drop_privileges(self) -> None:
        if self._box.child_uid is not None:
            os.setresgid(self._box.child_uid, self._box.child_uid, self._box.child_uid)
            os.setresuid(self._box.child_uid, self._box.child_uid, self._box.child_uid)
        else:
            syscall("capset", self._capability_header, bytes(24))


_LIMITED = (
    resource.RLIMIT_AS,
    resource.RLIMIT_DATA,
    resource.RLIMIT_CPU,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_CORE,
    resource.RLIMIT_STACK,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
)


def _hard_limit(kind: int) -> int:
    """What a process without privileges can not raise a limit beyond."""
    hard = resource.getrlimit(kind)[1]
    return 2**62 if hard == resource.RLIM_INFINITY else hard


def address_space_bytes() -> int:
    """What the interpreter maps already: a program's memory limit is on top of it. Needs /proc."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


def take_descriptors(stdin: int, stdout: int, stderr: int, control: int, keep: int) -> None:
    """Puts five descriptors at 0 to 4 and closes every other."""
    high = [
        os.dup2(fd, 64 + at, False) for at, fd in enumerate((stdin, stdout, stderr, control, keep))
    ]
    for at, fd in enumerate(high):
        os.dup2(fd, at, False)
    os.closerange(5, 1 << 16)
