"""The packages of the profile `scientific`: found beside whoever starts a supervisor, loaded by
path in a zygote. No folder of packages is searched, so nothing else there can be imported.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

NEEDED = ("numpy", "pandas")
_BESIDE = ("dateutil", "pytz", "six", "tzdata")
_ARRAYS = "roundsmith.sandbox.arrays"
_LIBRARIES = ".libs"
"""Wheels keep the shared libraries of a package in a folder beside it."""


def find() -> dict[str, str]:
    """Where each package is that this interpreter can import: a folder, or a file of one module."""
    found = {}
    for name in (*NEEDED, *_BESIDE):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            # Not by its search locations: six, once imported, claims an empty list of them.
            folder, file = os.path.split(spec.origin)
            path = folder if file == "__init__.py" else spec.origin
            found[name] = os.path.realpath(path)
    return found


def readable_paths(places: Mapping[str, str]) -> tuple[str, ...]:
    """What a child must read of the packages: they and their shared libraries."""
    libraries = (path + _LIBRARIES for path in places.values())
    return (*places.values(), *filter(os.path.isdir, libraries))


def _arrays_code() -> CodeType:
    spec = importlib.util.find_spec(_ARRAYS)
    assert spec is not None
    code = spec.loader.get_code(_ARRAYS)  # type: ignore[union-attr]  # a loader of files has it
    assert isinstance(code, CodeType)
    return code


# Kept from the start: where packages are loaded its file is out of sight.
_CODE = _arrays_code()


def load(places: Mapping[str, str], modules: Sequence[str]) -> None:
    """Imports the modules, which lie in the packages, and teaches the codec their values. Raises
    ImportError.
    """
    finder = _Finder(places)
    sys.meta_path.append(finder)
    try:
        for name in (*places, *modules):
            importlib.import_module(name)
    finally:
        sys.meta_path.remove(finder)
    module = ModuleType(_ARRAYS)
    sys.modules[_ARRAYS] = module
    exec(_CODE, module.__dict__)
    module.install()


class _Finder:
    """Finds the packages by name; their own modules are found by what lies in them."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        place = self._places.get(name)
        if place is None:
            return None
        if place.endswith(".py"):
            return importlib.util.spec_from_file_location(name, place)
        initial = os.path.join(place, "__init__.py")
        return importlib.util.spec_from_file_location(
            name, initial, submodule_search_locations=[place]
        )
