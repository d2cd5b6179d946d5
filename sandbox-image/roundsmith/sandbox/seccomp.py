"""The seccomp deny filter as raw BPF, as a search tree over system call numbers, built before any
fork.

Denied calls fail with EPERM; starting a process or thread beyond the limit of one with EAGAIN, as a
limit would; a call of another architecture kills. What only the zygote still needs is denied in the
children. A child has no way to end itself, or another, by SIGKILL: what ends so was killed from
outside, and is never held against the program.
"""

import ctypes
import errno
import resource
import signal
import socket
import struct
from collections.abc import Iterable, Mapping

from roundsmith.sandbox import syscalls
from roundsmith.sandbox.denied import CHILD, EVER, METADATA
from roundsmith.sandbox.syscalls import call, number

_INSTRUCTION = struct.Struct("HBBI")
_LOAD, _EQUAL, _GREATER_EQUAL, _SET, _JUMP, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x05, 0x06
_AND = 0x54
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
# Numbers above are of newer kernels: no calls, as an older one says.
_LAST = max(syscalls.UNIFIED.values())
NAMESPACE_FLAGS = 0x7E020080
_CLONE_THREAD, _AT_EMPTY_PATH = 0x10000, 0x1000
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_GROWSDOWN = 1, 0x20, 0x100
_ARGUMENT_LOW = (16, 24, 32, 40, 48, 56)  # offsets of the low halves of the arguments
_ANY_WAIT = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
# Out of band (CVE-2025-38236) and the kernel's other rare ways, of which no event loop has need.
_RARE_FLAGS = 0xFFFFFFFF & ~(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
# Those of ioctl by which pipes and terminals are read. Others are of sockets (who gets a signal,
# which interfaces there are) or change a file that is open to be read.
_ANY_FILES_COMMANDS = 0x5400

Code = list[tuple[int, int, int, int]]

# fcntl: locks, leases, directory notification, hints that a file keeps; who gets which signal when
# a descriptor is ready.
_FCNTL = (5, 6, 7, 36, 37, 38, 1024, 1026, 1036, 1038, 8, 10, 15)
_PRCTL = (
    syscalls.PR_SET_PDEATHSIG,
    syscalls.PR_SET_DUMPABLE,
    syscalls.PR_SET_SECCOMP,
    syscalls.PR_SET_MM,
    syscalls.PR_SET_CHILD_SUBREAPER,
    syscalls.PR_SET_PTRACER,
    syscalls.PR_SCHED_CORE,
)


def _refuse(error: int = errno.EPERM) -> Code:
    return [(_RETURN, 0, 0, _ERRNO | error)]


def _refuse_when_any(argument: int, values: Iterable[int]) -> Code:
    """Refuse when the argument is one of the values, else allow."""
    listed = list(values)
    code: Code = [(_LOAD, 0, 0, _ARGUMENT_LOW[argument])]
    code += [(_EQUAL, len(listed) - at, 0, value) for at, value in enumerate(listed)]
    return [*code, (_RETURN, 0, 0, _ALLOW), *_refuse()]


def _refuse_unless(argument: int, value: int, then: Code) -> Code:
    """Refuse unless the argument has the value; then go on with `then`."""
    return [(_LOAD, 0, 0, _ARGUMENT_LOW[argument]), (_EQUAL, 1, 0, value), *_refuse(), *then]


def _refuse_unless_masked(argument: int, mask: int, value: int) -> Code:
    """Refuse unless these bits of the argument are the value, else allow."""
    load, *rest = _refuse_unless(argument, value, [(_RETURN, 0, 0, _ALLOW)])
    return [load, (_AND, 0, 0, mask), *rest]


def _clone(threads: bool) -> Code:
    if not threads:
        return _refuse(errno.EAGAIN)
    return [
        (_LOAD, 0, 0, _ARGUMENT_LOW[0]),
        (_SET, 0, 1, NAMESPACE_FLAGS),
        *_refuse(),
        # The signal that the parent gets at the end of the child.
        (_AND, 0, 0, 0xFF),
        (_EQUAL, 0, 1, signal.SIGKILL),
        *_refuse(),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _own_limits() -> Code:
    """Any limit of its own to read, and to set, where either half of the new one's address is not
    zero, all but that of CPU time, whose end is SIGKILL.
    """
    return [
        (_LOAD, 0, 0, _ARGUMENT_LOW[1]),
        (_EQUAL, 1, 0, resource.RLIMIT_CPU),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _ARGUMENT_LOW[2]),
        (_EQUAL, 0, 2, 0),
        (_LOAD, 0, 0, _ARGUMENT_LOW[2] + 4),
        (_EQUAL, 1, 0, 0),
        *_refuse(),
        (_RETURN, 0, 0, _ALLOW),
    ]


def zygote_filter(executes: bool = False) -> bytes:
    """The filter for the zygote and everything that it forks; children of one that `executes` have
    other programs started, as far as their own filter lets them.
    """
    allowed = ("execve", "execveat") if executes else ()
    return _program({number(name): _refuse() for name in EVER.split() if name not in allowed})


def compiler_filter(own_pid: int, pairs: bool = False) -> bytes:
    """The filter of a child that has a compiler run: as a child's with several processes, which may
    become other programs; no memory that no limit counts; pairs of sockets only with `pairs`.
    """
    code = _child_code(True, own_pid) | {number("mmap"): _counted_memory()}
    return _program(code | (_pairs() if pairs else {}))


def program_filter(own_pid: int, program_fd: int, pairs: bool = False) -> bytes:
    """The filter of a child that becomes a program: once what is open at `program_fd`, which is
    closed then; threads, but no process; memory and `pairs` as a compiler's, and none that moves.
    """
    whole = _refuse_unless(4, _AT_EMPTY_PATH, [(_RETURN, 0, 0, _ALLOW)])
    code = _child_code(True, own_pid) | {
        number("execve"): _refuse(),
        number("execveat"): _refuse_unless(0, program_fd, whole),
        number("clone"): _thread(),
        number("fork"): _refuse(errno.EAGAIN),
        number("vfork"): _refuse(errno.EAGAIN),
        number("mmap"): _counted_memory(),
        number("mremap"): _refuse(errno.ENOMEM),
    }
    return _program(code | (_pairs() if pairs else {}))


def _pairs() -> dict[int, Code]:
    """Pairs of Unix streams, connected to each other for good; datagrams could be sent elsewhere.
    What crosses is bytes: no descriptor, no address, nothing out of band.
    """
    stream = _refuse_unless_masked(1, 0xFFFFFFFF & ~_ANY_WAIT, socket.SOCK_STREAM)
    return {
        number("socketpair"): _refuse_unless(0, socket.AF_UNIX, stream),
        number("sendto"): _bytes_alone(),
        number("recvfrom"): _bytes_alone(),
    }


def _bytes_alone() -> Code:
    """Refused with an address, of which both halves are looked at, and with rare flags."""
    return [
        (_LOAD, 0, 0, _ARGUMENT_LOW[3]),
        (_SET, 4, 0, _RARE_FLAGS),
        (_LOAD, 0, 0, _ARGUMENT_LOW[4]),
        (_EQUAL, 0, 2, 0),
        (_LOAD, 0, 0, _ARGUMENT_LOW[4] + 4),
        (_EQUAL, 1, 0, 0),
        *_refuse(),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _thread() -> Code:
    return [
        (_LOAD, 0, 0, _ARGUMENT_LOW[0]),
        (_SET, 1, 0, _CLONE_THREAD),
        *_refuse(errno.EAGAIN),
        (_SET, 0, 1, NAMESPACE_FLAGS),
        *_refuse(),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _counted_memory() -> Code:
    """No memory that `RLIMIT_DATA` does not count: shared without a file, or growing as a stack."""
    return [
        (_LOAD, 0, 0, _ARGUMENT_LOW[3]),
        (_SET, 2, 0, _MAP_GROWSDOWN),
        (_SET, 0, 2, _MAP_ANONYMOUS),
        (_SET, 0, 1, _MAP_SHARED),
        *_refuse(errno.ENOMEM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def child_filter(threads: bool, own_pid: int, owns_outside: bool = False) -> bytes:
    """The filter that a child adds. It may signal only itself, neither kill nor stop itself, and
    have pairs of sockets, without which asyncio has no event loop. Where its user `owns_outside`,
    it changes no metadata of files.
    """
    kept = {number(name): _refuse() for name in METADATA.split() if owns_outside}
    return _program(_child_code(threads, own_pid) | _pairs() | kept)


def _child_code(threads: bool, own_pid: int) -> dict[int, Code]:
    deadly = _refuse_when_any(1, (signal.SIGKILL, signal.SIGSTOP))
    code = {number(name): _refuse() for name in CHILD.split()}
    code |= {
        number("clone"): _clone(threads),
        number("clone3"): _refuse(errno.ENOSYS if threads else errno.EAGAIN),
        number("fork"): _refuse(errno.EAGAIN) if not threads else [(_RETURN, 0, 0, _ALLOW)],
        number("vfork"): _refuse(errno.EAGAIN) if not threads else [(_RETURN, 0, 0, _ALLOW)],
        number("fcntl"): _refuse_when_any(1, _FCNTL),
        number("ioctl"): _refuse_unless_masked(1, 0xFFFFFF00, _ANY_FILES_COMMANDS),
        number("prctl"): _refuse_when_any(0, _PRCTL),
        number("prlimit64"): _refuse_unless(0, 0, _own_limits()),
        number("setrlimit"): _refuse_when_any(0, (resource.RLIMIT_CPU,)),
        number("kill"): _refuse_unless(0, own_pid, deadly),
        number("tgkill"): _refuse_unless(
            0, own_pid, _refuse_when_any(2, (signal.SIGKILL, signal.SIGSTOP))
        ),
    }
    return code


def _program(code_by_number: Mapping[int, Code]) -> bytes:
    head: Code = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _AUDIT_ARCH[syscalls.ARCHITECTURE]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_GREATER_EQUAL, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        (_GREATER_EQUAL, 0, 1, _LAST + 1),
        *_refuse(errno.ENOSYS),
    ]
    known = sorted((n, code) for n, code in code_by_number.items() if n >= 0)
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in head + _tree(known))


def _tree(known: list[tuple[int, Code]]) -> Code:
    if len(known) == 1:
        value, code = known[0]
        return [(_EQUAL, 1, 0, value), (_RETURN, 0, 0, _ALLOW), *code]
    middle = len(known) // 2
    left, right = _tree(known[:middle]), _tree(known[middle:])
    # Conditional jumps reach 255 instructions, plain ones any number.
    return [(_GREATER_EQUAL, 0, 1, known[middle][0]), (_JUMP, 0, 0, len(left)), *left, *right]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class Filter:
    """A filter ready for the kernel; keeps its buffer alive."""

    def __init__(self, program: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(program, len(program))
        self._program = _Program(len(program) // _INSTRUCTION.size, ctypes.addressof(self._buffer))
        self._pointer = ctypes.byref(self._program)

    @property
    def address(self) -> int:
        """Of the structure that the kernel takes."""
        return ctypes.addressof(self._program)

    def places(self, value: int) -> list[int]:
        """The addresses of the four bytes of each instruction that compares with a value."""
        start, size = ctypes.addressof(self._buffer), _INSTRUCTION.size
        found = [
            at
            for at in range(0, len(self._buffer), size)
            if _INSTRUCTION.unpack_from(self._buffer, at)[3] == value
        ]
        return [start + at + _INSTRUCTION.size - 4 for at in found]

    def install(self) -> None:
        """Confines the calling process for ever; it needs no-new-privs. Raises OSError."""
        call("prctl", syscalls.PR_SET_SECCOMP, 2, self._pointer, 0, 0)
