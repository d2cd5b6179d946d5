"""The child's own side: takes a program, then calls or statements one at a time, and answers in
frames.

An enemy shares this process and may rewrite all of it: nothing here decides a verdict of PASS for a
call, because what is expected never comes here. Frames in: P program, C call, M calls, X
statements, T test (see `tester`), Q anything else to say; each answer echoes the frame's nonce: A
value, E failure (kind, text). A tester's calls come as D (the arguments go back with the result,
because a call may change them) after N (which names there are).
"""

import atexit
import builtins
import fcntl
import gc
import io
import marshal
import os
import random
import socket
import sys
import time
import types
from collections.abc import Callable
from functools import partial
from typing import Any

from roundsmith.sandbox import named_input, tester
from roundsmith.sandbox.calls import EVERY_PYTHON, pack_calls, unpack_calls
from roundsmith.sandbox.codec import HEADER, CodecError, encode, encode_opaque
from roundsmith.sandbox.exposure import Exposure
from roundsmith.sandbox.failures import classify, compile_failure
from roundsmith.sandbox.frames import write_frame
from roundsmith.sandbox.hardening import CONTROL_FD
from roundsmith.sandbox.raised import described
from roundsmith.sandbox.tester import NONCE_BYTES, TEST

SOLUTION = "<solution>"
_CHUNK = 1 << 16
_LONG_S, _PAUSE_S = 0.002, 0.0001
_clock, _sleep, _ioctl = time.monotonic, time.sleep, fcntl.ioctl
_read, _write, _pack_size = os.read, os.write, HEADER.pack
_PAUSES = 200_000
_PRINTED, _SENT = 0x541B, 0x5411  # FIONREAD of a pipe, SIOCOUTQ of a socket
_NO_BYTES = bytes(4)
_HEAD = HEADER.size
_NOTHING = encode(None)


def prepared() -> Callable[[int], None]:
    """What a child serves with, made before the fork, so that no child has to."""
    _write_to_pipes()
    _rehearse()
    random.seed(0)
    return Solver(CONTROL_FD).serve


def _write_to_pipes() -> None:
    """Makes the interpreter's output streams anew over a pipe, as a program's will be. A stream
    remembers whether it could seek where it was made, and the zygote's own may.
    """
    read, write = os.pipe()
    for fd, name in ((1, "stdout"), (2, "stderr")):
        old: io.TextIOWrapper = getattr(sys, name)
        own = os.dup(fd)
        os.dup2(write, fd)
        binary = io.BufferedWriter(io.FileIO(fd, "wb", closefd=False))
        binary.raw.name = old.name
        made = io.TextIOWrapper(binary, old.encoding, old.errors, "\n", old.line_buffering)
        vars(made)["mode"] = old.mode
        os.dup2(own, fd)
        os.close(own)
        for one in (name, f"__{name}__"):
            setattr(sys, one, made)
    os.close(read)
    os.close(write)


def _until_read(control: int) -> None:
    for _ in range(_PAUSES):
        if not (_unread(control, _SENT) or _unread(1, _PRINTED) or _unread(2, _PRINTED)):
            return
        _sleep(_PAUSE_S)


def _unread(fd: int, what: int) -> bool:
    """Whether the supervisor has yet to read from the other end. A program may have closed or
    replaced this one.
    """
    try:
        return _ioctl(fd, what, _NO_BYTES) != _NO_BYTES
    except OSError:
        return False


def _rehearse() -> None:
    """Answers a few frames of a program of our own, before any fork: what the interpreter sets up
    at first use is then there, and a child does not copy the pages of it.
    """
    program = marshal.dumps(("solution", "", "def f(x):\n    return [x]\n"), EVERY_PYTHON)
    asked = [(b"P", program), *[(b"C", pack_calls(("f", (1,), {})))] * 16, (b"Q", b"")]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for kind, body in asked:
            write_frame(ours.fileno(), kind, bytes(NONCE_BYTES), body)
        ours.shutdown(socket.SHUT_WR)
        Solver(theirs.fileno(), heard=False).serve(theirs.fileno())
    gc.disable()
    del sys.modules["solution"]


class Solver:
    """One program's namespace and the frames about it."""

    def __init__(self, control: int, heard: bool = True) -> None:
        self._control, self._heard = control, heard
        """Where answers go, and whether anyone reads them there as they come."""
        self.printed = False
        """Whether output of the last question was not read yet when it was answered, which the
        answer says by a small letter.
        """
        self.unloadable = False
        """Whether the program failed to load: then nothing more is answered."""
        self._module = types.ModuleType("solution")
        self._namespace = self._module.__dict__
        self._exposure = Exposure(self._namespace)
        self._works: dict[bytes, Callable[[bytes], bytes]] = {
            b"P": self._load,
            b"C": self._call,
            b"M": self._calls,
            b"D": self._exposure.call,
            b"X": self._run,
            b"N": self._exposure.describe,
            b"Q": self._nothing,
        }

    def serve(self, control: int) -> None:
        """Answers frames until the supervisor closes the socket or kills the process."""
        gc.enable()
        waiting = b""
        while chunk := _read(control, _CHUNK):
            waiting = self._answer_whole(waiting + chunk)

    def _answer_whole(self, waiting: bytes) -> bytes:
        """Answers the frames that are here whole; what comes after them."""
        at, size = 0, len(waiting)
        while size - at >= _HEAD:
            end = at + _HEAD + int.from_bytes(waiting[at : at + _HEAD])
            if end > size:
                break
            start = _clock()
            if not self.unloadable:
                kind, body = at + _HEAD + 1, at + _HEAD + 1 + NONCE_BYTES
                self.answer(waiting[kind - 1 : kind], waiting[kind:body], waiting[body:end])
            if (self.printed or _clock() - start > _LONG_S) and self._heard:
                # The supervisor reads clock and output now, and not after the next cells.
                _until_read(self._control)
            at = end
        return waiting[at:]

    def answer(self, kind: bytes, nonce: bytes, body: bytes) -> None:
        """Does what one frame asks and writes exactly one answer."""
        if kind == b"T":
            write_frame(self._control, *tester.run(self._control, nonce, body))
            return
        letter = b"A"
        try:
            result = self._works[kind](body)
        except BaseException as error:
            letter, result = b"E", self._failure(kind, error)
        self.unloadable = kind == b"P" and letter == b"E"
        _flush()
        try:
            printed = _ioctl(1, _PRINTED, _NO_BYTES) != _NO_BYTES or _unread(2, _PRINTED)
        except OSError:
            printed = _unread(2, _PRINTED)
        if printed:
            letter = letter.lower()
        self.printed = printed
        frame = b"".join((_pack_size(1 + len(nonce) + len(result)), letter, nonce, result))
        sent = _write(self._control, frame)
        while sent < len(frame):
            sent += _write(self._control, memoryview(frame)[sent:])

    def _failure(self, kind: bytes, error: BaseException) -> bytes:
        if isinstance(error, _CompileFailure):
            return encode(("COMPILE_ERROR", str(error)))
        if kind in b"DN":  # for a tester
            return self._exposure.failure(classify(error, TEST), described(error))
        return encode(classify(error, TEST))

    def _load(self, body: bytes) -> bytes:
        name, setup, source = marshal.loads(body)
        self._module.__name__, self._module.__file__ = name, sys.argv[0]
        sys.modules[name] = self._module
        if name == "__main__" and named_input.is_named(source):
            named_input.give()
        try:
            if setup:
                exec(compile(setup, "<setup>", "exec", dont_inherit=True), self._module.__dict__)
            if source:
                try:
                    code = compile(source, SOLUTION, "exec", dont_inherit=True)
                except BaseException as error:
                    raise _CompileFailure(compile_failure(error)) from error
                exec(code, self._module.__dict__)
        except SystemExit as leaving:
            # A script may end so; a module that tests call into may not.
            if name != "__main__":
                raise
            if leaving.code:
                raise RuntimeError(f"exit status {leaving.code!r}") from leaving
        if name == "__main__":
            _end_script()
        return _NOTHING

    def _call(self, body: bytes) -> bytes:
        name, args, kwargs = unpack_calls(body)
        function = self._namespace.get(name)
        if function is None:
            function = self._exposure.function(name)
        return _encoded(function(*args, **kwargs))

    def _calls(self, body: bytes) -> bytes:
        results = []
        for name, args, kwargs in unpack_calls(body):
            results.append(_encoded(self._exposure.function(name)(*args, **kwargs)))
        return _encoded(results)

    def _run(self, body: bytes) -> bytes:
        return encode(tester.run_in(body, lambda source, tree: dict(self._module.__dict__)))

    def _nothing(self, body: bytes) -> bytes:
        return b""


class _CompileFailure(Exception):
    pass


def _encoded(value: Any) -> bytes:
    try:
        return encode(value)
    except CodecError as error:
        return encode_opaque(str(error))


def _end_script() -> None:
    """What the interpreter does when a script has ended well: waits for its threads, and does what
    it left for the end.
    """
    if (threading := sys.modules.get("threading")) is not None:
        for thread in iter(partial(_first_thread, threading), None):
            thread.join()
    atexit._run_exitfuncs()


def _first_thread(threading: Any) -> Any:
    here, living = threading.current_thread(), threading.enumerate()
    return next((t for t in living if t is not here and not t.daemon), None)


def _flush() -> None:
    out, error, own_out, own_error = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    streams = (
        (out, error) if own_out is out and own_error is error else (out, error, own_out, own_error)
    )
    # The program may have closed or replaced them.
    for stream in streams:
        try:
            stream.flush()  # type: ignore[union-attr]  # one that is None has none
        except BaseException:
            continue


def add_interactive_builtins() -> None:
    """`exit` and `quit`, which the interpreter has only with `site`."""
    for name in ("exit", "quit"):
        setattr(builtins, name, sys.exit)
