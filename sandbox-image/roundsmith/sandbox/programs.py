"""The child's own side in the profiles of other languages: it compiles a program, or becomes one.

K: (commands, environment, name of the source, its text, name of the product, ending of the files
that it is an archive of): the answer is A, with the product in the memory at descriptor 4, or E
with what the compiler said, O when it used up its CPU time. L: the child becomes the program in
that memory, or an interpreter that reads it as a file; there is no answer to it. Y: (attempts by
name and arguments, paths): the child tries what it must not be able to do; the answer is A. F
answers any where the machine failed: it lacks the compiler, or room.
"""

import ctypes
import errno
import os
import resource
import signal
from collections.abc import Callable, Sequence
from typing import Any

from roundsmith.sandbox import named_input
from roundsmith.sandbox.codec import decode, encode
from roundsmith.sandbox.frames import FrameBuffer, write_frame
from roundsmith.sandbox.questions import COMPILE, FAULT, LAUNCH, OVERTIME, TRY
from roundsmith.sandbox.syscalls import LIBC, number
from roundsmith.sandbox.tester import NONCE_BYTES
from roundsmith.sandbox.traces import canary

PROGRAM_FD = 4
_CONTROL_FD = 3
_CHUNK = 1 << 16
_WORDS, _WORDS_BYTES = "words", 4000
_AT_EMPTY_PATH = 0x1000
# The kernel ends a process by its ticks, and says afterwards what was used.
_NEARLY = 0.9
_MACHINES = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""What is refused for the machine's sake, whatever the program is."""
_ENVIRONMENT = {"PATH": "/usr/bin", "LANG": "C.UTF-8", "TZ": "UTC", "TMPDIR": ".", "HOME": "."}


def serve(control: int) -> None:
    """Does what one frame after the other asks, until it becomes a program or is killed."""
    for fd in (_CONTROL_FD, PROGRAM_FD):
        os.set_inheritable(fd, False)
    asked = FrameBuffer(2**32)
    while chunk := os.read(control, _CHUNK):
        asked.feed(chunk)
        for frame in asked.frames():
            kind, nonce, body = frame[:1], frame[1 : 1 + NONCE_BYTES], frame[1 + NONCE_BYTES :]
            work = _WORKS[kind]
            letter, answer = _done(work, decode(body, 2**31))
            write_frame(control, letter, nonce, answer)


def _done(
    work: Callable[..., tuple[bytes, bytes]], arguments: Sequence[Any]
) -> tuple[bytes, bytes]:
    """The answer to a question. What was refused for the program's size is the program's own."""
    try:
        return work(*arguments)
    except OSError as error:
        if error.errno == errno.EFBIG:
            return b"E", encode(("FILE_LIMIT", f"more than the largest file: {error}"))
        return FAULT, str(error).encode("utf-8", "replace")[:_WORDS_BYTES]
    except MemoryError:
        return b"E", encode(("MEMORY", "more than the memory of a compilation"))


def _compile(
    commands: Sequence[Sequence[str]],
    environment: Sequence[tuple[str, str]],
    source: str,
    text: str,
    product: str,
    packed: str,
) -> tuple[bytes, bytes]:
    with open(source, "w", encoding="utf-8", errors="surrogatepass") as stream:
        stream.write(text)
    words = os.open(_WORDS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    said = [(os.POSIX_SPAWN_DUP2, words, 1), (os.POSIX_SPAWN_DUP2, words, 2)]
    for command in commands:
        variables = _ENVIRONMENT | dict(environment)
        pid = os.posix_spawn(command[0], tuple(command), variables, file_actions=said)
        if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            return _failed(status, os.pread(words, _WORDS_BYTES, 0))
    try:
        if packed:
            _pack(product, packed)
        made = os.open(product, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _MACHINES or error.errno == errno.EFBIG:
            raise
        return b"E", encode(("COMPILE_ERROR", f"the compiler made no program: {error}"))
    _copy(made, PROGRAM_FD)
    return b"A", encode(None)


def _failed(status: int, words: bytes) -> tuple[bytes, bytes]:
    """Why a compiler made nothing. Its own processes are ended by the limit too, which it tells in
    its own words, so that what they used is what shows.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    limit_s = resource.getrlimit(resource.RLIMIT_CPU)[0]
    if used.ru_utime + used.ru_stime > _NEARLY * limit_s > 0:
        return OVERTIME, f"more than {limit_s} s of CPU time".encode()
    if status == -signal.SIGKILL:
        raise ChildProcessError("the compiler was killed from outside the sandbox")
    told = words.decode("utf-8", "replace").strip()
    why = told or f"the compiler ended with {status} and no word"
    return b"E", encode(("COMPILE_ERROR", why))


def _pack(product: str, ending: str) -> None:
    """Makes an archive of all files of that ending, below the directory of the run."""
    import zipfile  # here alone: programs of most languages need none

    with zipfile.ZipFile(product, "w") as archive:
        for folder, _, files in os.walk("."):
            for file in sorted(file for file in files if file.endswith(ending)):
                archive.write(os.path.join(folder, file))


def _launch(
    arguments: Sequence[str],
    environment: Sequence[tuple[str, str]],
    interpreter: str,
    file: str,
    address_space: int,
    writable: int,
    stack: int,
    names_input: bool,
) -> tuple[bytes, bytes]:
    if names_input:
        named_input.give()
    if interpreter:
        _copy(PROGRAM_FD, os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        os.dup2(os.open(interpreter, os.O_RDONLY | os.O_CLOEXEC), PROGRAM_FD, inheritable=False)
    for kind in (signal.SIGPIPE, signal.SIGXFSZ):
        # The interpreter of this process ignores them, and what is ignored stays so.
        signal.signal(kind, signal.SIG_DFL)
    for limit, size in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_DATA, writable),
        (resource.RLIMIT_STACK, stack),
    ):
        size = min(size, resource.getrlimit(limit)[1])
        resource.setrlimit(limit, (size, size))
    variables = _ENVIRONMENT | dict(environment)
    LIBC.syscall(
        ctypes.c_long(number("execveat")),
        ctypes.c_long(PROGRAM_FD),
        b"",
        _texts(arguments),
        _texts([f"{name}={value}" for name, value in variables.items()]),
        ctypes.c_long(_AT_EMPTY_PATH),
    )
    code = ctypes.get_errno()
    why = f"the program could not be started: {os.strerror(code)}"
    if code in _MACHINES - {errno.ENOMEM}:  # a program may be made to need more than there is
        raise OSError(code, why)
    return b"E", encode(("ERROR", why))


def _texts(texts: Sequence[str]) -> "ctypes.Array[ctypes.c_char_p]":
    return (ctypes.c_char_p * (len(texts) + 1))(*(text.encode() for text in texts), None)


def _copy(source: int, target: int) -> None:
    """All of a file, from its start to the start of another."""
    at = 0
    while chunk := os.pread(source, _CHUNK, at):
        at += os.pwrite(target, chunk, at)


def _try(named: list[tuple[str, tuple[object, ...]]], others: list[str]) -> tuple[bytes, bytes]:
    return b"A", encode(canary(named, others))


_WORKS: dict[bytes, Callable[..., tuple[bytes, bytes]]] = {
    COMPILE: _compile,
    LAUNCH: _launch,
    TRY: _try,
}
