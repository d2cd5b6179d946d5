"""The forbidden things that the probe and the canaries try in a child like any other.

Each answers `refused: ...` when the attempt failed, as isolation promises, or `done: ...` when it
worked. The supervisor loads this file before it forks, so that a canary costs little more than its
fork.
"""

import _thread
import ctypes
import errno
import functools
import os
import resource
import struct
from collections.abc import Callable

from roundsmith.sandbox.syscalls import LIBC

_SETS = struct.Struct("=6I")
_OWN_CAPABILITIES = struct.pack("=Ii", 0x20080522, 0)  # version 3, of this process
_READ_AND_WRITE, _OWN_AND_NEW = 3, 0x22
_map = ctypes.CDLL(None).mmap
_map.restype = ctypes.c_void_p
_map.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)

PROGRAM = """
from roundsmith.sandbox.attempts import try_all
from roundsmith.sandbox.traces import count_threads, leave_traces, surroundings
"""
"""The program of a canary."""


def try_all(named: list[tuple[str, tuple[object, ...]]]) -> list[str]:
    """Tries each attempt, by name and arguments; the answers in order."""
    return [globals()[name](*arguments) for name, arguments in named]


def _attempt(work: Callable[[], object]) -> str:
    try:
        return f"done: {work()!r}"[:200]
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        return f"refused: {type(error).__name__} {error}"[:200]


def system_call(number: int, *words: int) -> str:
    """Makes a system call; only EPERM is a refusal, any other error shows that the filter let it
    through.
    """
    result = LIBC.syscall(*[ctypes.c_long(word) for word in (number, *words, 0, 0, 0, 0, 0, 0)][:7])
    code = ctypes.get_errno() if result == -1 else 0
    return ("refused: " if code == errno.EPERM else "done: ") + errno.errorcode.get(
        code, "it worked"
    )


def execute() -> str:
    """Becomes another program."""
    return _attempt(lambda: os.execv("/proc/self/exe", ["python"]))


def fork() -> str:
    """Starts a process."""

    def work() -> int:
        pid = os.fork()
        if not pid:
            os._exit(0)
        return os.waitpid(pid, 0)[0]

    return _attempt(work)


def start_thread() -> str:
    """Starts a thread, where a run may have one."""
    return _attempt(lambda: _thread.start_new_thread(int, ()))


def lock_file() -> str:
    """Locks a file that other runs can open too: a channel between them."""
    import fcntl

    def work() -> None:
        with open(os.__file__, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)

    return _attempt(work)


def signal_process(pid: int) -> str:
    """Signals a process by number (signal 0 only asks whether one may)."""
    return _attempt(lambda: os.kill(pid, 0))


def signal_parent() -> str:
    """Signals the parent."""
    return signal_process(os.getppid())


def read_any(paths: list[str]) -> str:
    """Reads or lists any of the paths."""

    def work(path: str) -> object:
        if os.path.isdir(path):
            return os.listdir(path)
        with open(path, "rb") as stream:
            return len(stream.read(64))

    return _first_done([_attempt(functools.partial(work, path)) for path in paths])


def read_memory(pid: int) -> str:
    """Reads memory of a process whose addresses are its own: what a fork has where it was."""

    def work() -> bytes:
        fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        try:
            return os.pread(fd, 16, id(None))
        finally:
            os.close(fd)

    return _attempt(work)


def write_any(directories: list[str]) -> str:
    """Makes a file in any of the directories."""

    def work(directory: str) -> str:
        path = os.path.join(directory, f"probe-{os.getpid()}")
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        os.unlink(path)
        return path

    return _first_done([_attempt(functools.partial(work, path)) for path in directories])


def change_file() -> str:
    """Changes the mode of a file of the runtime, to what it is."""
    return _attempt(lambda: os.chmod(os.__file__, os.stat(os.__file__).st_mode & 0o7777))


def _first_done(answers: list[str]) -> str:
    return next((answer for answer in answers if answer.startswith("done")), answers[0])


def be_root() -> str:
    """Has a capability, or may gain one by setuid(0)."""
    held = ctypes.create_string_buffer(_SETS.size)
    if not LIBC.capget(_OWN_CAPABILITIES, held):
        effective, permitted, _, more_effective, more_permitted, _ = _SETS.unpack(held.raw)
        if effective | permitted | more_effective | more_permitted:
            return f"done: has capabilities {more_permitted:x}{permitted:08x}"

    def work() -> str:
        os.setuid(0)
        os.chown(".", 1, 1)
        return "changed the owner of a directory"

    return _attempt(work)


def read_environment() -> str:
    """Finds anything in the environment besides the fixed settings."""
    fixed = {"LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONHASHSEED", "OMP_NUM_THREADS"}
    found = sorted(set(os.environ) - fixed)
    return f"done: {found}" if found else "refused: only the fixed settings"


def find_descriptors(first: int, most: int) -> str:
    """Finds an open descriptor below `most`, from the `first` that a child is not given."""

    def is_open(fd: int) -> bool:
        try:
            os.fstat(fd)
        except OSError:
            return False
        return True

    found = [fd for fd in range(first, most) if is_open(fd)]
    return f"done: {found}" if found else f"refused: none from {first} on"


def take_memory(size: int) -> str:
    """Takes more memory than allowed, and leaves it untouched, where it gets it."""

    def work() -> str:
        taken = _map(None, size, _READ_AND_WRITE, _OWN_AND_NEW, -1, 0)
        if taken == ctypes.c_void_p(-1).value:
            raise MemoryError(f"{size} bytes")
        return f"{size} bytes"

    return _attempt(work)


def write_large(size: int) -> str:
    """Writes a file larger than allowed."""

    def work() -> int:
        try:
            with open("large", "wb") as stream:
                stream.truncate(size)
                return stream.tell()
        finally:
            os.unlink("large")

    return _attempt(work)


def raise_limit(kind: int, most: int) -> str:
    """Has more of a resource (`RLIMIT_*`) than allowed, or takes one more than it has."""
    soft, hard = resource.getrlimit(kind)
    if not 0 <= soft <= most:
        return f"done: has {soft}, {most} are allowed"
    return _attempt(lambda: resource.setrlimit(kind, (soft + 1, max(soft + 1, hard))))


def open_descriptors(most: int) -> str:
    """Has as many descriptors as no child may have."""
    opened: list[int] = []

    def work() -> str:
        while not opened or opened[-1] < most:
            opened.append(os.dup(0))
        return f"descriptor {opened[-1]}"

    try:
        return _attempt(work)
    finally:
        for fd in opened:
            os.close(fd)


def see_other_processes() -> str:
    """Sees itself as a process among others."""
    return f"done: process {os.getpid()}" if os.getpid() != 1 else "refused: alone as process 1"


def see_path(path: str) -> str:
    """Sees a path of the host at all."""
    return _attempt(lambda: os.stat(path).st_mode)
