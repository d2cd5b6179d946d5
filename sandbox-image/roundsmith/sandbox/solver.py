"""The child's own side: takes a program, then calls or statements one at a time, and answers in
frames.

An enemy shares this process and may rewrite all of it: nothing here decides a verdict of PASS for a
call, because what is expected never comes here. Frames in: P program, C call, X statements, T test
(see `tester`), Q anything else to say; each answer echoes the frame's nonce: A value, E failure
(kind, text). A tester's calls come as D (the arguments go back with the result, because a call may
change them) after N (which names there are).
"""

import builtins
import gc
import random
import sys
import types
from collections.abc import Callable
from typing import Any, cast

from roundsmith.sandbox import tester
from roundsmith.sandbox.codec import CodecError, decode, encode, encode_opaque
from roundsmith.sandbox.failures import classify, compile_failure
from roundsmith.sandbox.frames import read_frame, write_frame
from roundsmith.sandbox.tester import NONCE_BYTES, TEST

SOLUTION = "<solution>"


def serve(control: int) -> None:
    """Answers frames until the supervisor closes the socket or kills the process."""
    solver = Solver(control)
    random.seed(0)
    gc.enable()
    while True:
        frame = read_frame(control)
        solver.answer(frame[:1], frame[1 : 1 + NONCE_BYTES], frame[1 + NONCE_BYTES :])


class Solver:
    """One program's namespace and the frames about it."""

    def __init__(self, control: int) -> None:
        self._control = control
        self._module = types.ModuleType("solution")

    def answer(self, kind: bytes, nonce: bytes, body: bytes) -> None:
        """Does what one frame asks and writes exactly one answer."""
        if kind == b"T":
            write_frame(self._control, *tester.run(self._control, nonce, body))
            return
        work: Callable[[bytes], bytes] | None = {
            b"P": self._load,
            b"C": self._call,
            b"D": self._call_back,
            b"X": self._run,
            b"N": self._names,
            b"Q": self._nothing,
        }.get(kind)
        assert work is not None, f"unknown frame {kind!r}"
        letter, result = _attempt(work, body)
        _flush()
        write_frame(self._control, letter, nonce, result)

    def _load(self, body: bytes) -> bytes:
        name, setup, source = decode(body, 2**26)
        self._module.__name__ = name
        sys.modules[name] = self._module
        for text, filename in ((setup, "<setup>"), (source, SOLUTION)):
            if text:
                exec(_compile(text, filename), self._module.__dict__)
        return encode(None)

    def _call(self, body: bytes) -> bytes:
        entry_point, args, kwargs = decode(body)
        return _encoded(self._function(entry_point)(*args, **kwargs))

    def _call_back(self, body: bytes) -> bytes:
        entry_point, args, kwargs = decode(body)
        result = self._function(entry_point)(*args, **kwargs)
        alias = next((at for at, argument in enumerate(args) if argument is result), -1)
        return _encoded((alias, result, args, kwargs))

    def _function(self, name: str) -> Callable[..., object]:
        function = self._module.__dict__.get(name, getattr(builtins, name, None))
        if function is None:
            raise NameError(f"the program defines no {name!r}")
        return cast(Callable[..., object], function)

    def _run(self, body: bytes) -> bytes:
        exec(_compile(body.decode("utf-8", "surrogatepass"), TEST), dict(self._module.__dict__))
        return encode(None)

    def _nothing(self, body: bytes) -> bytes:
        return b""

    def _names(self, body: bytes) -> bytes:
        """Of the names asked for, what the program has: (name, kind, value or module name)."""
        return encode([tester.describe(name, self._module.__dict__) for name in decode(body)])


class _CompileFailure(Exception):
    pass


def _compile(text: str, filename: str) -> types.CodeType:
    try:
        return compile(text, filename, "exec", dont_inherit=True)
    except BaseException as error:
        if filename == SOLUTION:
            raise _CompileFailure(compile_failure(error)) from error
        raise


def _encoded(value: Any) -> bytes:
    try:
        return encode(value)
    except CodecError as error:
        return encode_opaque(str(error))


def _attempt(work: Callable[[bytes], bytes], body: bytes) -> tuple[bytes, bytes]:
    try:
        return b"A", work(body)
    except _CompileFailure as error:
        return b"E", encode(("COMPILE_ERROR", str(error)))
    except BaseException as error:
        return b"E", encode(classify(error, TEST))


def _flush() -> None:
    # The program may have closed or replaced them.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            continue


def add_interactive_builtins() -> None:
    """`exit` and `quit`, which the interpreter has only with `site`."""
    for name in ("exit", "quit"):
        setattr(builtins, name, sys.exit)
