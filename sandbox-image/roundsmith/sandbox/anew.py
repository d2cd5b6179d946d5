"""The names of the program's, as a test looks them up: by an import of the program, or as globals
whose plain values a call may have changed.
"""

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from roundsmith.sandbox.asked_names import PROGRAM


class Solution(ModuleType):
    """The program, as a test imports it."""

    def __init__(self, look_up: Callable[[str], dict[str, Any]]) -> None:
        super().__init__(PROGRAM)
        self.__look_up = look_up

    def __getattr__(self, name: str) -> Any:
        # Which names all of it are would be the program's to say, built-ins among them.
        found = {} if name == "__all__" else self.__look_up(name)
        if name not in found:
            raise AttributeError(f"the program defines no {name!r}")
        return found[name]


class Globals(dict[str, Any]):
    """Looks up such a value anew when the program was asked for anything since, unless the test
    has bound the name itself.

    Not handled: a class body of the test's sees the value that was there when the test began.
    """

    def __init__(
        self,
        bound: dict[str, Any],
        plain: Iterable[str],
        num_calls: Callable[[], int],
        look_up: Callable[[str], dict[str, Any]],
    ) -> None:
        super().__init__(bound)
        self._num_calls, self._look_up = num_calls, look_up
        self._read = {name: (num_calls(), bound[name]) for name in plain}

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        at, read = self._read.get(name, (0, None))
        if name not in self._read or value is not read or at == self._num_calls():
            return value
        found = self._look_up(name)
        if name not in found:
            del self[name], self._read[name]
            raise KeyError(name)
        super().__setitem__(name, found[name])
        self._read[name] = self._num_calls(), found[name]
        return found[name]

    def __setitem__(self, name: str, value: Any) -> None:
        """The test binds a name; what it declares as global in a function does not come here."""
        self._read.pop(name, None)
        super().__setitem__(name, value)
