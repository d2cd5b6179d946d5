"""An object of the program's, as a tester holds it: a reference, and what it is asked over there.

What the test compares with never goes there: operators work between two objects of the program's,
with anything else they are refused, so that an object can not agree to a value that it is shown.
Only membership and items take a key of the test's, because containers are made for that. What is
awaited is run to its end over there before anything else is done here.
"""

from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Protocol, TypeAlias

from roundsmith.sandbox.codec import Opaque
from roundsmith.sandbox.failures import SolverFailure
from roundsmith.sandbox.mirrored import KINDS

_MOST_AT_ONCE = 256
COMPARED = "lt le gt ge"
BETWEEN = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift"
"""Of `operator`; its functions take both and follow Python's protocol, reflected methods too."""
SIGNS = "abs neg pos invert"
_OF_LIBRARIES = ("__array_", "__dataframe__")
_OF_ONE = SIGNS + " index int float complex repr str bool len reversed"


class Caller(Protocol):
    """What asks."""

    num_calls: int
    """How often it asked for anything that may change what the program holds."""
    updating: bool
    """Whether dicts and sets here are made what they are there: then nothing is asked."""

    def call(
        self, target: Opaque, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any: ...

    def failure(self, kind: str, detail: str) -> SolverFailure:
        """What ends the test, even if it catches everything."""

    def hash_of(self, remote: "Remote", reference: Opaque) -> int:
        """The hash of an object there."""


class Remote:
    """Calls, attributes, items and operators are asked for; equal to nothing but itself and what of
    the program's own objects the program says.
    """

    __slots__ = ("__ahead", "__link", "__reference")

    def __init__(self, link: Caller, reference: Opaque) -> None:
        object.__setattr__(self, "_Remote__link", link)
        object.__setattr__(self, "_Remote__reference", reference)
        ahead: deque[Any] = deque()
        object.__setattr__(self, "_Remote__ahead", ahead)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__link.call(self.__reference, "", args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        ask(self, "delattr", name)

    def __getitem__(self, key: Any) -> Any:
        return ask(self, "getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        ask(self, "setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        ask(self, "delitem", key)

    def __contains__(self, key: Any) -> bool:
        return bool(ask(self, "contains", key))

    def __iter__(self) -> Iterator[Any]:
        """A few at a time, more and more, because it may never end. What was read and is not used
        is what the iterator gives next.
        """
        source, size, ended = ask(self, "iter"), 1, False
        ahead = source.__ahead
        while True:
            while ahead:
                yield ahead.popleft()
            if ended:
                return
            chunk = ask(ask(source, "islice", size), "list")
            ahead.extend(chunk)
            ended = len(chunk) < size
            # One that is one thing for both may be another when the next is made.
            if not any(type(member) in KINDS for member in chunk):
                size = min(2 * size, _MOST_AT_ONCE)

    def __next__(self) -> Any:
        return self.__ahead.popleft() if self.__ahead else ask(self, "next")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Remote | Based):
            return False
        if self.__link.updating:
            return self is other
        return self.__reference == reference_of(other) or ask(self, "eq", other) is True

    def __hash__(self) -> int:
        found: int = self.__link.hash_of(self, self.__reference)
        return found

    def __format__(self, how: str) -> str:
        text: str = ask(self, "format", how)
        return text

    def __mro_entries__(self, bases: object) -> tuple[type, ...]:
        raise self.__link.failure("UNSUPPORTED", "a class of the test's is below the program's")

    def __enter__(self) -> Any:
        return self.__link.call(self.__reference, "__enter__", (), {})

    def __exit__(self, *raised: object) -> None:
        """The program is not told what the test raised."""
        self.__link.call(self.__reference, "__exit__", (None, None, None), {})

    def __copy__(self) -> Any:
        return ask(self, "copy")

    def __deepcopy__(self, memo: object) -> Any:
        return ask(self, "deepcopy")

    def __await__(self) -> Generator[None, None, Any]:
        yield from ()
        return ask(self, "await")

    def __aiter__(self) -> Any:
        return ask(self, "aiter")

    async def __anext__(self) -> Any:
        return ask(ask(self, "anext"), "await")

    async def __aenter__(self) -> Any:
        return await self.__link.call(self.__reference, "__aenter__", (), {})

    async def __aexit__(self, *raised: object) -> None:
        await self.__link.call(self.__reference, "__aexit__", (None, None, None), {})

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, Remote | Based) and ask(instance, "isinstance", self) is True

    def __subclasscheck__(self, other: object) -> bool:
        return isinstance(other, Remote) and ask(other, "issubclass", self) is True


@Coroutine.register
class Awaited(Remote):
    """A coroutine of the program's, which an event loop here takes for one."""

    __slots__ = ()

    def __await__(self) -> Any:
        return self

    def __next__(self) -> Any:
        raise StopIteration(ask(self, "await"))

    def send(self, value: object) -> Any:
        """Runs it to its end."""
        return next(self)

    def throw(self, error: BaseException, *rest: object) -> Any:
        """Nothing is thrown into it: it does not wait here."""
        raise error

    def close(self) -> None:
        """It ends with its process."""


class Based:
    """Mixed into a built-in type that never changes: what the class of the program's adds to it is
    asked for.
    """

    def __getattr__(self, name: str) -> Any:
        return attribute(self, name)

    def __copy__(self) -> Any:
        return ask(self, "copy")

    def __deepcopy__(self, memo: object) -> Any:
        return ask(self, "deepcopy")

    def __repr__(self) -> str:
        text: str = ask(self, "repr")
        return text

    def __str__(self) -> str:
        text: str = ask(self, "str")
        return text


Theirs: TypeAlias = Remote | Based
"""Any object of the program's."""


def reference_of(theirs: Theirs) -> Opaque:
    """What stands for the object where it is."""
    reference: Opaque = object.__getattribute__(theirs, "_Remote__reference")
    return reference


def attribute(theirs: Theirs, name: str) -> Any:
    """An attribute over there. numpy and pandas find none by which an object would be shown what
    it meets, or be at an address in this process; what is a built-in's value is no array besides.
    """
    built_in = isinstance(theirs, Based | list | dict | set)
    if name.startswith(_OF_LIBRARIES) and (built_in or name != "__array__"):
        raise AttributeError(f"{name} is not asked for")
    return ask(theirs, "getattr", name)


def ask(remote: Theirs, function: str, *rest: Any) -> Any:
    """Has a function of Python's own called over there with the object first."""
    link: Caller = object.__getattribute__(remote, "_Remote__link")
    return link.call(Opaque(f"!{function}"), "", (remote, *rest), {})


def _between(function: str) -> Callable[[Remote, object], Any]:
    def asked(self: Remote, other: object) -> Any:
        return ask(self, function, other) if isinstance(other, Remote | Based) else NotImplemented

    return asked


def of_one(function: str) -> Callable[[Any], Any]:
    """A method without arguments that is asked for."""
    return lambda self: ask(self, function)


for _name in (COMPARED + " " + BETWEEN).split():
    setattr(Remote, f"__{_name.strip('_')}__", _between(_name))
for _name in BETWEEN.split():
    _name = f"i{_name.strip('_')}"
    setattr(Remote, f"__{_name}__", _between(_name))
for _name in _OF_ONE.split():
    setattr(Remote, f"__{_name}__", of_one(_name))
for _kind in (Remote, Awaited):
    # Theirs, not what is said of these classes here.
    setattr(_kind, "__doc__", property(lambda self: attribute(self, "__doc__")))  # noqa: B010
