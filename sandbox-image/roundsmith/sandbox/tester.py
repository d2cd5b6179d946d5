"""A test process: runs assert statements beside the solver, which it reaches by calls through the
codec only.

Names of the test that the program defines as functions become proxies; modules are imported here;
plain values are copied. What does not cross (classes, functions as arguments, objects) is
UNSUPPORTED, and the server then runs the statements inside the solver.
"""

import ast
import builtins
import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

from roundsmith.sandbox.codec import CodecError, Node, decode, encode, nodes
from roundsmith.sandbox.failures import SolverFailure, classify
from roundsmith.sandbox.frames import read_frame, write_frame

UNSUPPORTED = "UNSUPPORTED"
TEST = "<test>"
NONCE_BYTES = 8


def describe(name: str, namespace: dict[str, object]) -> tuple[str, str, object]:
    """In the solver: (name, kind, value) with kind `missing`, `call`, `module`, `value` or
    `object`.
    """
    if name not in namespace:
        return name, "missing", None
    value = namespace[name]
    if isinstance(value, types.ModuleType):
        return name, "module", value.__name__
    if callable(value):
        return name, "object" if isinstance(value, type) else "call", None
    try:
        return (name, "value", value) if _plain(nodes(encode(value))) else (name, "object", None)
    except CodecError:
        return name, "object", None


def _plain(node: Node) -> bool:
    if node.tag in "LO":
        return False
    if node.tag == "m":
        return all(_plain(part) for pair in node.content for part in pair)
    return all(map(_plain, node.content)) if node.tag in "ltSZ" else True


def run(control: int, nonce: bytes, body: bytes) -> tuple[bytes, bytes, bytes]:
    """Runs the statements: kind, nonce and body of the answer, A when none raised, else E with the
    kind of failure.
    """
    link = _Link(control, nonce)
    try:
        tree = ast.parse(body.decode("utf-8", "surrogatepass"), TEST)
        code = compile(tree, TEST, "exec", dont_inherit=True)
        exec(code, link.namespace(_names(tree)))
    except BaseException as error:
        return b"E", link.nonce, encode(classify(error, TEST))
    return b"A", link.nonce, encode(None)


def _names(tree: ast.Module) -> list[str]:
    return sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})


class _Link:
    """The way to the solver: a request frame out, an answer frame in."""

    def __init__(self, control: int, nonce: bytes) -> None:
        self._control, self.nonce = control, nonce

    def namespace(self, names: list[str]) -> dict[str, Any]:
        """The test's globals. A program's name hides a built-in only in a test that uses no other
        name of it.
        """
        described = [
            entry for entry in decode(self._ask(b"N", encode(names))) if entry[1] != "missing"
        ]
        own = [entry for entry in described if not hasattr(builtins, entry[0])]
        namespace: dict[str, Any] = {"__name__": "test"}
        for name, kind, value in own or described:
            namespace[name] = self._stand_in(name, kind, value)
        return namespace

    def _stand_in(self, name: str, kind: str, value: Any) -> Any:
        if kind == "call":
            return self._proxy(name)
        if kind == "value":
            return value
        if kind == "module" and value.partition(".")[0] in sys.stdlib_module_names:
            return importlib.import_module(value)
        raise SolverFailure(UNSUPPORTED, f"{name} is no function, module or plain value")

    def _proxy(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            request = encode((name, args, kwargs))
            if not _plain(nodes(request)):
                raise SolverFailure(UNSUPPORTED, f"an argument of {name} does not cross")
            reply = self._ask(b"D", request)
            if not _plain(nodes(reply)):
                raise SolverFailure(UNSUPPORTED, f"the result of {name} does not cross")
            alias, result, after, after_by_name = decode(reply)
            for given, changed in zip(args, after, strict=True):
                _take_over(given, changed)
            for key, given in kwargs.items():
                _take_over(given, after_by_name[key])
            return args[alias] if alias >= 0 else result

        call.__name__ = name
        return call

    def _ask(self, kind: bytes, body: bytes) -> bytes:
        write_frame(self._control, kind, self.nonce, body)
        frame = read_frame(self._control)
        # Each answer from the supervisor is its next question, with a nonce of its own.
        self.nonce, reply = frame[1 : 1 + NONCE_BYTES], frame[1 + NONCE_BYTES :]
        if frame[:1] == b"A":
            return reply
        raise _exception(*decode(reply))


def _take_over(given: Any, changed: Any) -> None:
    """What a call did to a mutable argument, done to the tester's own object."""
    if type(given) is not type(changed) or given == changed:
        return
    if isinstance(given, list):
        given[:] = changed
    elif isinstance(given, dict | set):
        given.clear()
        given.update(changed)


def _exception(kind: str, detail: str) -> BaseException:
    name, _, text = detail.partition(": ")
    known = getattr(builtins, name, None)
    if kind == "ERROR" and isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(text)
        except TypeError:
            return Exception(detail)
    return Exception(detail) if kind == "ERROR" else SolverFailure(kind, detail)
