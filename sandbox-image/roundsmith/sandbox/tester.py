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
import importlib
import sys
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from roundsmith.sandbox import asked_names, classes, seeds
from roundsmith.sandbox.anew import Globals, Solution
from roundsmith.sandbox.asked_names import PROGRAM as SOLUTION
from roundsmith.sandbox.asked_names import is_given, may_be_asked
from roundsmith.sandbox.based import Changing, based, cross_to_json
from roundsmith.sandbox.codec import CodecError, Opaque, decode, encode
from roundsmith.sandbox.crossing import GIVES, SHOWS, DoesNotCross, arrived, left, take_over
from roundsmith.sandbox.events import unpack_blobs
from roundsmith.sandbox.exposure import CHANGING, COROUTINE
from roundsmith.sandbox.failures import OVERSIZED, Lineage, SolverFailure, classify
from roundsmith.sandbox.frames import read_frame, write_frame
from roundsmith.sandbox.mirror import Mirror
from roundsmith.sandbox.raised import Classes, caught, raised_by
from roundsmith.sandbox.remote import Awaited, Remote, ask
from roundsmith.sandbox.room import with_room
from roundsmith.sandbox.setup_names import imported

UNSUPPORTED = "UNSUPPORTED"
ASSERT, UNITTEST = "assert", "unittest"
TEST = "<test>"
NONCE_BYTES = 8


def run(control: int, nonce: bytes, asked: bytes) -> tuple[bytes, bytes, bytes]:
    """Runs statements or classes, beside the task's setup: kind, nonce and body of the answer, A
    when all held, else E.
    """
    setup, body = unpack_blobs(asked)
    link = Link(control, nonce, setup.decode("utf-8", "surrogatepass"))
    sys.modules[SOLUTION] = Solution(link.named)
    if b"seed" in body:
        seeds.share(link.seed)
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


def run_in(body: bytes, namespace: Callable[[str, ast.AST], dict[str, Any]]) -> object:
    """Runs (ASSERT or UNITTEST, source) in the namespace for it; what a tester answers. Raises
    whatever the test raises.
    """
    kind, source = decode(body, 2**31)
    tree = ast.parse(source, TEST)
    if "assertSetEqual" in source:
        classes.compare_sets_here()
    if "json" in source:
        cross_to_json()
    found = namespace(source, tree)
    before = dict(found)
    exec(compile(tree, TEST, "exec", dont_inherit=True), found)
    if kind != UNITTEST:
        return None
    made = {name: value for name, value in found.items() if before.get(name) is not value}
    return classes.run(made, TEST)


class Link:
    """The way to the solver: a request frame out, an answer frame in."""

    def __init__(self, control: int, nonce: bytes, setup: str) -> None:
        self._control, self.nonce, self._setup = control, nonce, setup
        self._classes = Classes()
        self._expected: Collection[str] = ()
        """The names by which the test expects exceptions."""
        self._raises: Collection[type[BaseException]] = ()
        """The classes of what it raises itself."""
        self._theirs: dict[tuple[str, str], Any] = {}
        """What stands here for an object of the program's, the same one every time."""
        self._modules: dict[int, Opaque] = {}
        """By their `id`, the modules that names of the program's stand for."""
        self._mirror = Mirror(self, follows=False)
        self.num_calls = 0
        self.updating = False
        self.failed: SolverFailure | None = None
        """The first failure that is no exception of the program's."""

    def globals(self, source: str, tree: ast.AST) -> dict[str, Any]:
        """The test's globals. A program's name hides a built-in, or what the task's setup imports,
        only where it is the one name that the test is about, so that a redefined `abs` or `isclose`
        can not bend a comparison.
        """
        names = sorted(asked_names.used(tree))
        self._expected = set(caught(tree))
        self._raises = raised_by(tree)
        self._mirror.keeps = "id" in names
        given = imported(self._setup, names)
        there = self._described(names)
        own = [entry for entry in there if not is_given(entry[0], given)]
        asked = [entry for entry in there if entry not in own and may_be_asked(entry[0], given)]
        if asked and not asked_names.imports_program(tree):
            read = asked_names.read_only(source, tree)
            if all(is_given(name, given) for name in read):
                rivals = [n for n in names if is_given(n, given) and may_be_asked(n, given)]
                if own or len(rivals) > 1:
                    raise self._undecided([entry[0] for entry in asked])
                own = asked
        found = {"__name__": "test", **given, **self._stand_ins(own)}
        plain = [name for name, kind, _ in own if kind == "value"]
        return Globals(found, plain, lambda: self.num_calls, self.named) if plain else found

    def _undecided(self, names: list[str]) -> SolverFailure:
        return self.failure(
            "TAMPERED",
            f"the program defines {', '.join(names)}, and the test may mean Python's: have it "
            f"import what it tests from {SOLUTION}",
        )

    def named(self, name: str) -> dict[str, Any]:
        """What stands for a name of the program's, nothing where it defines none."""
        return self._stand_ins(self._described([name]))

    def _described(self, names: list[str]) -> list[tuple[str, str, Any]]:
        """What the program has of these names. An answer about others is forged."""
        described = self.ask(b"N", (tuple(names),))
        if [name for name, _, _ in described] != names:
            raise self.failure("TAMPERED", "names that were not asked for")
        return [entry for entry in described if entry[1] != "missing"]

    def _stand_ins(self, described: list[tuple[str, str, Any]]) -> dict[str, Any]:
        """What stands for these here; the classes of expected exceptions are made here."""
        namespace: dict[str, Any] = {}
        for name, kind, value in described:
            if kind == "module":
                namespace[name] = module = importlib.import_module(value)
                self._modules[id(module)] = Opaque(f"={name}")
            elif kind == "exception":
                theirs, lineage = value
                expected = name in self._expected
                namespace[name] = self._expected_class(name, lineage) if expected else theirs
            else:
                namespace[name] = value
        return namespace

    def _expected_class(self, name: str, lineage: Lineage) -> type[BaseException]:
        """Which must not be one that what the test raises itself is of."""
        made = self._classes.stand_in(lineage)
        if any(issubclass(own, made) for own in self._raises):
            raise self.failure(
                "TAMPERED", f"{name} is {made.__name__}, which the test's own failure would be too"
            )
        return made

    def leave(self, value: Any, depth: int, hashed: bool) -> Any:
        """What stands for a value of the test's there: of a module that the program names, too."""
        if type(value) is ModuleType and id(value) in self._modules:
            return self._modules[id(value)]
        return value if type(value) is Opaque else left(value)

    def arrive(self, tag: str, name: str, value: Any) -> Any:
        """What represents an object over there: the same one every time."""
        if tag == "P":
            return arrived(value)
        if (tag, name) not in self._theirs:
            self._theirs[tag, name] = self._made(tag, Opaque(name), value)
        return self._theirs[tag, name]

    def _made(self, tag: str, reference: Opaque, value: Any) -> Any:
        if tag == "L":
            return based(self, reference, value)
        word = reference.type_name.partition(" ")[2]
        if word in CHANGING:
            return Changing(self, reference, CHANGING[word])
        return (Awaited if word == COROUTINE else Remote)(self, reference)

    def hash_of(self, remote: Remote, reference: Opaque) -> int:
        """The hash of an object over there, as it is now; or as it was told last, while dicts and
        sets are made what they are there. Raises CodecError then for one that was not told.
        """
        hashes, name = self._mirror.hashes, reference.type_name
        if not self.updating:
            hashes[name] = ask(remote, "hash")
        elif name not in hashes:
            raise CodecError("a key or member whose hash was not told")
        return hashes[name]

    def call(self, target: Opaque, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls something of the solver's; what it did to arguments that are copies there is done.

        A function of the test's that is given to the program makes it UNSUPPORTED. What an operator
        is given does not: which one meets an object of the program's is for the program to choose.
        """
        reads, shows = target.type_name[:1] == "!", target.type_name in SHOWS
        sent = target, name, args, tuple(kwargs.items())
        try:
            said = self.ask(b"D", sent, shows)
        except DoesNotCross as error:
            if reads and target.type_name not in GIVES:
                raise
            raise self.failure(UNSUPPORTED, str(error)) from error
        self.num_calls += target.type_name != "!own"
        given = *args, *kwargs.values()
        match said:
            case (int(alias), result, tuple(after), tuple(after_by_name)):
                after += after_by_name
            case _:
                raise self.failure("TAMPERED", "no answer to a call")
        if len(after) != len(given) or not -1 <= alias < len(args):
            raise self.failure("TAMPERED", "an answer about other arguments")
        for own, changed in zip(given, after, strict=True):
            take_over(own, changed)
        return args[alias] if alias >= 0 else result

    def seed(self, module: str, *args: Any, **kwargs: Any) -> None:
        """Seeds the generator that the program draws from."""
        self.call(Opaque("!seed"), "", (module, *args), kwargs)

    @with_room
    def ask(self, kind: bytes, said: tuple[Any, ...], shows: bool = False) -> Any:
        """What is answered; raises what the solver's side raised, and DoesNotCross for what is
        said. A value over the limits ends the test: as an exception the test could expect it.
        """
        if self.updating:
            raise self.failure("TAMPERED", "an answer that has more to be asked while it is read")
        if self.failed:
            raise self.failed
        try:
            body = self._mirror.sealed(self._mirror.draft(said, shows))
        except CodecError as error:
            raise self.failure(OVERSIZED, str(error)) from error
        except DoesNotCross as error:
            if self._mirror.saying:
                raise
            raise self.failure(UNSUPPORTED, str(error)) from error
        write_frame(self._control, kind, self.nonce, body)
        frame = read_frame(self._control)
        # Each answer from the supervisor is its next question, with a nonce of its own.
        self.nonce, reply = frame[1 : 1 + NONCE_BYTES], frame[1 + NONCE_BYTES :]
        answer = self._read(reply)
        if frame[:1] == b"A":
            return answer
        raise self._exception(*answer)

    def _read(self, reply: bytes) -> Any:
        """What an answer says, and what it changes done; nothing is asked meanwhile."""
        self.updating = True
        try:
            return self._mirror.read(reply)
        except MemoryError:
            raise
        except Exception as error:
            raise self.failure("TAMPERED", f"an answer that is none: {error}") from error
        finally:
            self.updating = False

    def _exception(self, kind: str, detail: str, *said: Any) -> BaseException:
        """The solver's failure as an exception here, of the same class, so that a test may expect
        it. What is a matter of limits ends the test, whatever it expects.
        """
        if kind in ("ERROR", "EXITED_EARLY"):
            raised = self._raised(detail, *said)
            if isinstance(raised, SystemExit if kind == "EXITED_EARLY" else Exception):
                return raised
        # A program that claims it would be run in its own process, where it may do what it likes.
        return self.failure("TAMPERED" if kind == UNSUPPORTED else kind, detail)

    def _raised(
        self, detail: str, lineage: Lineage, args: Any, attributes: Any, cause: Any
    ) -> BaseException:
        made = self._classes.raised(lineage, args, attributes, detail.partition(": ")[2])
        if cause is not None:
            made.__cause__ = self._raised(*cause)
        return made

    def failure(self, kind: str, detail: str) -> SolverFailure:
        """What ends the test, even if it catches everything."""
        made = SolverFailure(kind, detail)
        self.failed = self.failed or made
        return made
