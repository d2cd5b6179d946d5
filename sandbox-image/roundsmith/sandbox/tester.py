"""A test process: runs assert statements or unittest classes beside the solver, which it reaches by
calls through the codec only.

A name that the program defines becomes a stand-in here: functions and classes are called over
there, modules are imported here, plain values are copied. An object that does not cross stays over
there behind a `Remote`, which equals nothing but itself; an instance of a subclass of a built-in
compares by its base value (`based`). So whatever a program answers, the comparison is this
process's. Only a test that passes functions of its own is UNSUPPORTED: the server then runs it
inside the solver.
"""

import ast
import builtins
import importlib
import sys
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from roundsmith.sandbox import classes
from roundsmith.sandbox.based import Changing, based, cross_to_json
from roundsmith.sandbox.codec import (
    CONTAINERS,
    Lowered,
    Opaque,
    decode,
    encode,
    mapped,
)
from roundsmith.sandbox.events import unpack_blobs
from roundsmith.sandbox.exposure import CHANGING, COROUTINE, crosses
from roundsmith.sandbox.failures import Lineage, SolverFailure, classify
from roundsmith.sandbox.frames import read_frame, write_frame
from roundsmith.sandbox.raised import Classes, caught
from roundsmith.sandbox.remote import Awaited, Based, Remote, reference_of
from roundsmith.sandbox.setup_names import imported
from roundsmith.sandbox.taught import parted, take_over

UNSUPPORTED = "UNSUPPORTED"
ASSERT, UNITTEST = "assert", "unittest"
TEST, SOLUTION = "<test>", "solution"
NONCE_BYTES = 8
_GIVES = ("!setattr", "!setitem")
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def run(control: int, nonce: bytes, asked: bytes) -> tuple[bytes, bytes, bytes]:
    """Runs statements or classes, beside the task's setup: kind, nonce and body of the answer, A
    when all held, else E.
    """
    setup, body = unpack_blobs(asked)
    link = Link(control, nonce, setup.decode("utf-8", "surrogatepass"))
    sys.modules[SOLUTION] = Solution(link)
    error: BaseException | None = None
    try:
        answer = run_in(body, link.globals)
    except BaseException as raised:
        error = raised
    if link.failed and not isinstance(error, SolverFailure):
        error = link.failed
    if error:
        return b"E", link.nonce, encode(classify(error, TEST))
    return b"A", link.nonce, encode(answer)


def run_in(body: bytes, namespace: Callable[[ast.AST], dict[str, Any]]) -> object:
    """Runs (ASSERT or UNITTEST, source) in the namespace for it; what a tester answers. Raises
    whatever the test raises.
    """
    kind, source = decode(body, 2**31)
    tree = ast.parse(source, TEST)
    if "assertSetEqual" in source:
        classes.compare_sets_here()
    if "json" in source:
        cross_to_json()
    found = namespace(tree)
    before = dict(found)
    exec(compile(tree, TEST, "exec", dont_inherit=True), found)
    if kind != UNITTEST:
        return None
    made = {name: value for name, value in found.items() if before.get(name) is not value}
    return classes.run(made, TEST)


class Solution(ModuleType):
    """The program, as a test imports it."""

    def __init__(self, link: "Link") -> None:
        super().__init__(SOLUTION)
        self.__link = link

    def __getattr__(self, name: str) -> Any:
        # Which names all of it are would be the program's to say, built-ins among them.
        found = {} if name == "__all__" else self.__link.named([name])
        if name not in found:
            raise AttributeError(f"the program defines no {name!r}")
        return found[name]


class DoesNotCross(TypeError):
    """A value of the test's that the program can not be given."""


class Link:
    """The way to the solver: a request frame out, an answer frame in."""

    def __init__(self, control: int, nonce: bytes, setup: str) -> None:
        self._control, self.nonce, self._setup = control, nonce, setup
        self._classes = Classes()
        self._expected: Collection[str] = ()
        """The names by which the test expects exceptions."""
        self._theirs: dict[tuple[type, str], Any] = {}
        """What stands here for an object of the program's, the same one every time."""
        self.num_calls = 0
        self.failed: SolverFailure | None = None
        """The first failure that is no exception of the program's."""

    def globals(self, tree: ast.AST) -> dict[str, Any]:
        """The test's globals. A program's name hides a built-in, or what the task's setup imports,
        only in a test that uses no other name of the program and does not import it, so that a
        redefined `abs` or `isclose` can not bend a comparison.
        """
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self._expected = set(caught(tree))
        return self.named(sorted(names), hides=not _imports_program(tree))

    def named(self, names: list[str], hides: bool = True) -> dict[str, Any]:
        """What stands for these names; the classes of expected exceptions are made here. With
        `hides` a built-in's name is the program's where no other is. An answer about other names
        than those is forged.
        """
        described = decode(self.ask(b"N", names))
        if [name for name, _, _ in described] != names:
            raise self.failure("TAMPERED", "names that were not asked for")
        given = imported(self._setup, names)
        there = [entry for entry in described if entry[1] != "missing"]
        own = [entry for entry in there if not (hasattr(builtins, entry[0]) or entry[0] in given)]
        namespace: dict[str, Any] = {"__name__": "test", **given}
        for name, kind, value in own or (there if hides else []):
            if kind == "module":
                namespace[name] = importlib.import_module(value)
            elif kind == "exception":
                reference, lineage = value
                namespace[name] = (
                    self._classes.stand_in(lineage)
                    if name in self._expected
                    else self.stand_in(reference)
                )
            else:
                namespace[name] = self.stand_in(value)
        return namespace

    def stand_in(self, value: Any) -> Any:
        """What represents an answer here: itself, or what stands for an object over there."""
        if not isinstance(value, Opaque | Lowered):
            return mapped(value, self.stand_in)
        key = type(value), value.type_name
        if key not in self._theirs:
            self._theirs[key] = self._made(value)
        return self._theirs[key]

    def _made(self, value: Opaque | Lowered) -> Any:
        if isinstance(value, Lowered):
            return based(self, Opaque(value.type_name), self.stand_in(value.value))
        word = value.type_name.partition(" ")[2]
        if word in CHANGING:
            return Changing(self, value, CHANGING[word])
        return (Awaited if word == COROUTINE else Remote)(self, value)

    def call(self, target: Opaque, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls something of the solver's; what it did to lists, dicts and sets is done to ours.

        A function of the test's that is given to the program makes it UNSUPPORTED. What an operator
        is given does not: which one meets an object of the program's is for the program to choose.
        """
        try:
            crossing = tuple(map(_crossing, args)), {k: _crossing(v) for k, v in kwargs.items()}
        except DoesNotCross as error:
            if target.type_name.startswith("!") and target.type_name not in _GIVES:
                raise
            raise self.failure(UNSUPPORTED, str(error)) from error
        self.num_calls += target.type_name != "!own"
        sent = target, name, *crossing
        alias, result, after, after_by_name = decode(self.ask(b"D", sent))
        for given, changed in zip(args, after, strict=True):
            _take_over(given, self.stand_in(changed))
        for key, given in kwargs.items():
            _take_over(given, self.stand_in(after_by_name[key]))
        return args[alias] if alias >= 0 else self.stand_in(result)

    def ask(self, kind: bytes, request: object) -> bytes:
        """Sends a request; raises what the solver's side raised."""
        write_frame(self._control, kind, self.nonce, encode(request))
        frame = read_frame(self._control)
        # Each answer from the supervisor is its next question, with a nonce of its own.
        self.nonce, reply = frame[1 : 1 + NONCE_BYTES], frame[1 + NONCE_BYTES :]
        if frame[:1] == b"A":
            return reply
        raise self._exception(*decode(reply))

    def _exception(
        self, kind: str, detail: str, lineage: Lineage, args: Any, attributes: Any
    ) -> BaseException:
        """The solver's failure as an exception here, of the same class, so that a test may expect
        it. What is a matter of limits ends the test, whatever it expects.
        """
        if kind in ("ERROR", "EXITED_EARLY"):
            given, held = self.stand_in(args), self.stand_in(attributes)
            raised = self._classes.raised(lineage, given, held, detail.partition(": ")[2])
            if isinstance(raised, SystemExit if kind == "EXITED_EARLY" else Exception):
                return raised
        # A program that claims it would be run in its own process, where it may do what it likes.
        return self.failure("TAMPERED" if kind == UNSUPPORTED else kind, detail)

    def failure(self, kind: str, detail: str) -> SolverFailure:
        """What ends the test, even if it catches everything."""
        made = SolverFailure(kind, detail)
        self.failed = self.failed or made
        return made


def _imports_program(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=module) if module == SOLUTION:
                return True
            case ast.Import(names=names) if any(alias.name == SOLUTION for alias in names):
                return True
    return False


def _crossing(value: Any) -> Any:
    """The value as the solver gets it; raises DoesNotCross for what only lives here."""
    if isinstance(value, Remote | Based):
        return reference_of(value)
    if parted(value) and crosses(value):
        return value
    if type(value) not in (*_PLAIN, *CONTAINERS):
        raise DoesNotCross(f"{type(value).__name__} arguments do not cross")
    return mapped(value, _crossing)


def _take_over(given: Any, changed: Any) -> None:
    """What a call did to a mutable argument, done to the tester's own object."""
    if type(given) is not type(changed) or isinstance(given, Remote | Based):
        return
    if parted(given):
        take_over(given, changed)
    elif _same(given, changed):
        return
    elif isinstance(given, list):
        given[:] = changed
    elif isinstance(given, dict | set):
        given.clear()
        given.update(changed)


def _same(given: Any, changed: Any) -> bool:
    try:
        return bool(given == changed)
    except ValueError:
        # Arrays inside, which are compared member by member.
        return False
