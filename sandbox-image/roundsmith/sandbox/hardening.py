"""What a freshly forked child does to itself before it reads anything that an enemy wrote."""

import ctypes
import functools
import os
import resource
import signal
import struct
from typing import NamedTuple

from roundsmith.sandbox import landlock, languages, namespaces, seccomp, syscalls
from roundsmith.sandbox.codec import HEADER
from roundsmith.sandbox.launcher import Descriptor, Launcher, Step, StorePid
from roundsmith.sandbox.syscalls import call

CONTROL_FD, PROGRAM_FD = 3, 4
DESCRIPTORS, STACK_BYTES = 64, 64 * 2**20
"""Most of a child."""
GREETING = b"H"
"""A child's first frame, its last step: confined by then, it has run nothing yet."""
_GREETING_FRAME = HEADER.pack(len(GREETING)) + GREETING
_EVERY_DESCRIPTOR = 2**31 - 1
_SECCOMP_FILTER = 2
# Kinds of limits at once in a slot; beyond that they are made again.
_LAUNCHERS = 16
_OWN_PID = 0x7A5E0FDD  # stands in the prebuilt filter for the pid that only the child knows
# Supervisor, zygote and tester, where they have the child's user.
_TRUSTED_PROCESSES = 3
_CAPABILITY_VERSION_3 = 0x20080522
# The kernel counts by its ticks there, of which a program may take more than it uses.
_FAR_CPU_S = 2**20

_LIMITS_WIRE = struct.Struct("!IQQI")


class RunLimits(NamedTuple):
    """The kernel's limits of one child, sizes in bytes; CPU here is only the backstop of the
    supervisor's clock, and ends it by SIGXCPU.
    """

    cpu_s: int
    memory_bytes: int
    file_bytes: int
    processes: int

    def pack(self) -> bytes:
        return _LIMITS_WIRE.pack(*self)

    @classmethod
    def unpack(cls, content: bytes) -> "RunLimits":
        return cls(*_LIMITS_WIRE.unpack(content))


class Box(NamedTuple):
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
    also_written: tuple[str, ...] = ()
    """Directories that programs can write too, in gVisor, which has no Landlock: emptied after each
    run, so there is one supervisor to a sandbox.
    """
    phase: str = ""
    """`compile` or `run` in a profile of another language, where children become other programs."""
    executable: tuple[str, ...] = ()
    """What they may start then."""
    pairs: bool = False
    """Whether they may make a pair of connected sockets then."""
    owns_outside: bool = False
    """Whether their user owns what lies outside of their directory, and could change it but for the
    filter.
    """


class Hardening:
    """Everything that can be made before the fork: the Landlock ruleset, both filters, and the
    steps that confine a child.
    """

    def __init__(self, box: Box, library: ctypes.PyDLL | None) -> None:
        self._box, self._library = box, library
        # A mount over a directory hides the directory's own rule, not its parent's.
        writable = os.path.dirname(box.scratch) if box.isolated else box.scratch
        ruleset = (
            None if box.also_written else landlock.build(box.readable, writable, box.executable)
        )
        confine = "landlock_restrict_self"
        self._landlock = () if ruleset is None else (Step(confine, (ruleset, 0)),)
        pid = 1 if box.isolated else _OWN_PID
        self._filters = {threads: self._filter(threads, pid) for threads in (False, True)}
        self.num_descriptors = PROGRAM_FD + 1 if box.phase else CONTROL_FD + 1
        """Those that a child is given: its streams, the control socket, a program's memory."""
        # RLIMIT_NPROC counts a user's processes: it needs a user or user namespace of the slot's.
        self._counts_processes = box.isolated or box.child_uid is not None
        self._hard_limits = {kind: _hard_limit(kind) for kind in _LIMITED}
        self.launcher = functools.lru_cache(_LAUNCHERS)(self._launcher)
        """What starts children of some limits."""

    def _filter(self, threads: bool, own_pid: int) -> seccomp.Filter:
        match self._box.phase:
            case languages.COMPILE:
                return seccomp.Filter(seccomp.compiler_filter(own_pid, self._box.pairs))
            case languages.RUN:
                pairs = self._box.pairs
                return seccomp.Filter(seccomp.program_filter(own_pid, PROGRAM_FD, pairs))
        return seccomp.Filter(seccomp.child_filter(threads, own_pid, self._box.owns_outside))

    def protect_zygote(self) -> None:
        """For the zygote itself, once: dies with its parent, no new privileges, and the inherited
        filter.
        """
        call("prctl", syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if not self._box.also_written:
            # In gVisor only process 1 can be one; a program has one process there.
            call("prctl", syscalls.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        call("prctl", syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0)
        call("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        seccomp.Filter(seccomp.zygote_filter(executes=bool(self._box.phase))).install()

    def _launcher(self, limits: RunLimits) -> Launcher:
        return Launcher(self.steps(limits), self._library)

    def steps(self, limits: RunLimits) -> list[Step | StorePid]:
        """What a child does before it reads a byte: it is confined for ever when all is done, and
        must not go on when any part is refused. It keeps the descriptors given at the fork.
        """
        chosen = self._filters[limits.processes > 1 and self._counts_processes]
        return [
            *(Step("dup3", (Descriptor(at), at, 0)) for at in range(self.num_descriptors)),
            Step("setsid", ()),
            *(self._own_mounts(limits) if self._box.isolated else ()),
            Step("umask", (0o077,)),
            *self._set_limits(limits),
            *self._drop_privileges(),
            Step("chdir", (self._box.scratch.encode(),)),
            Step("prctl", (syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)),
            Step("prctl", (syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0)),
            *self._landlock,
            Step("close_range", (self.num_descriptors, _EVERY_DESCRIPTOR, 0)),
            *(() if self._box.isolated else map(StorePid, chosen.places(_OWN_PID))),
            Step("prctl", (syscalls.PR_SET_SECCOMP, _SECCOMP_FILTER, chosen.address, 0, 0)),
            Step("write", (CONTROL_FD, _GREETING_FRAME, len(_GREETING_FRAME))),
        ]

    def before(self, own_pidfd: int) -> Launcher:
        """What the zygote does before each fork, to have the child in a pid namespace of its own
        below the zygote's, which it holds by `own_pidfd`.
        """
        steps = (
            Step("setns", (own_pidfd, syscalls.CLONE_NEWPID)),
            Step("unshare", (syscalls.CLONE_NEWPID,)),
        )
        return Launcher(steps if self._box.isolated else (), None)

    def _own_mounts(self, limits: RunLimits) -> tuple[Step, ...]:
        owner = 0 if self._box.child_uid is None else self._box.child_uid
        own = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC
        return Step("unshare", (own,)), namespaces.scratch_mount(owner, 2 * limits.file_bytes)

    def _set_limits(self, limits: RunLimits) -> list[Step]:
        memory = self._box.address_space + limits.memory_bytes
        values = {
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_DATA: memory,
            resource.RLIMIT_CPU: limits.cpu_s,
            resource.RLIMIT_FSIZE: limits.file_bytes,
            resource.RLIMIT_NOFILE: DESCRIPTORS,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_STACK: STACK_BYTES,
            resource.RLIMIT_MEMLOCK: 0,
        }
        if not self._box.also_written:
            # gVisor does not let it be set, and has no message queues of a user's own.
            values[resource.RLIMIT_MSGQUEUE] = 0
        if self._counts_processes:
            trusted = 0 if self._box.child_uid is not None else _TRUSTED_PROCESSES
            values[resource.RLIMIT_NPROC] = limits.processes + trusted
        return [
            Step("prlimit64", (0, kind, self._pair(kind, value), 0))
            for kind, value in values.items()
        ]

    def _pair(self, kind: int, wanted: int) -> bytes:
        """Where the limit is, and how far a child could raise it: nowhere. That of CPU time, which
        it may not set at all, ends there by SIGKILL, so it is far off.
        """
        most = self._hard_limits[kind]
        farthest = _FAR_CPU_S if kind == resource.RLIMIT_CPU else wanted
        return struct.pack("QQ", min(wanted, most), min(farthest, most))

    def _drop_privileges(self) -> tuple[Step, ...]:
        uid = self._box.child_uid
        if uid is not None:
            return Step("setresgid", (uid, uid, uid)), Step("setresuid", (uid, uid, uid))
        return (Step("capset", (struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))),)


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


def address_space_bytes(proc: int | None = None) -> int:
    """What the interpreter maps already: a program's memory limit is on top of it. `proc` is a
    descriptor of `/proc` where that is out of sight.
    """
    statm = os.open("/proc/self/statm" if proc is None else "self/statm", os.O_RDONLY, dir_fd=proc)
    try:
        return int(os.read(statm, 256).split()[0]) * resource.getpagesize()
    finally:
        os.close(statm)
