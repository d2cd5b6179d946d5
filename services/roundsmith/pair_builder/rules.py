"""Selection rules by name: what the pair builder was started with. It knows no recipe itself."""

import importlib
import importlib.util
import logging
import pkgutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, Protocol, cast

from pydantic import ValidationError

from roundsmith.errors import ConfigError, EngineError, UnknownName
from roundsmith.hashing import derive_seed
from roundsmith.types import Group, Row
from roundsmith.wrong_settings import explain

log = logging.getLogger(__name__)
SOURCES = "a package, a folder of .py files or one such file"


class Rule(Protocol):
    """A recipe as the pair builder sees it: settings in, and a pure choice of rows."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Rule": ...

    def select(self, group: Group, random: Random) -> Sequence[Row]: ...


Rules = Mapping[str, type[Rule]]


def load_rules(sources: Sequence[str]) -> dict[str, type[Rule]]:
    """The `RECIPE` class of every module of the packages and folders, by module name.

    A source is the dotted name of a package, a folder of .py files or one such file. Raises
    ConfigError for one that is none of these, can not be imported or holds no recipe, and for two
    recipes of one name.
    """
    rules: dict[str, type[Rule]] = {}
    for source in sources:
        found = {
            name: module.RECIPE for name, module in _modules(source) if hasattr(module, "RECIPE")
        }
        if not found:
            raise ConfigError(
                f"--recipes {source}: expected at least one module with RECIPE, saw none: "
                "name the class of each recipe RECIPE in its module"
            )
        for name, rule in found.items():
            rules[name] = _checked(rule, name, source, rules)
    return rules


def find_rule(rules: Rules, name: str) -> type[Rule]:
    """The class of a recipe; raises UnknownName with the list when there is none."""
    if name not in rules:
        raise UnknownName(
            f"recipe {name!r}: expected one of {', '.join(sorted(rules)) or 'none'}: "
            "check the spelling, or add the folder that holds it with --recipes"
        )
    return rules[name]


def configure(rule: type[Rule], name: str, config: Mapping[str, Any]) -> Rule:
    """The rule with its settings; raises ConfigError that names the setting that is wrong."""
    try:
        return rule.from_config(config)
    except ValidationError as error:
        details = explain(error, getattr(rule, "Config", None))
        raise ConfigError(f"recipe {name!r}: {details}") from error


def select(
    rules: Rules, recipe: str, config: Mapping[str, Any], seed: int, group: Group
) -> list[Row]:
    """The rows of a group: the recipe's own choice, with the group's own seed H(seed, task_id).

    Raises EngineError that names recipe, task and line when the recipe's own code raises; its
    traceback is logged.
    """
    rule = configure(find_rule(rules, recipe), recipe, config)
    task_id = group.task.task_id
    try:
        return list(rule.select(group, Random(derive_seed(seed, task_id))))
    except Exception as error:
        log.exception("recipe %r, task %r: select raised", recipe, task_id)
        seen = f"{type(error).__name__}: {error}{_place(error, type(rule))}"
        raise EngineError(
            f"recipe {recipe!r}, task {task_id!r}: expected rows from select, saw {seen}: correct "
            "it there and run again"
        ) from error


def _place(error: Exception, rule: type[Rule]) -> str:
    """Where in the recipe's own file it was raised, or the last place of all."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is the call of select
    source = getattr(sys.modules.get(rule.__module__), "__file__", None)
    own = [frame for frame in frames if frame.filename == source] or frames
    return f" at {own[-1].filename}:{own[-1].lineno}" if own else ""


def _checked(rule: Any, name: str, source: str, rules: Mapping[str, type[Rule]]) -> type[Rule]:
    if name in rules:
        raise ConfigError(
            f"recipe {name!r}: expected one, saw a second in {source}: rename one of the files"
        )
    lacking = [method for method in ("from_config", "select") if not hasattr(rule, method)]
    if lacking:
        raise ConfigError(
            f"recipe {name!r} in {source}: expected RECIPE to be a class with from_config and "
            f"select, saw none of {lacking}"
        )
    return cast(type[Rule], rule)


def _modules(source: str) -> list[tuple[str, ModuleType]]:
    given = Path(source)
    if given.is_dir():
        return [(path.stem, _import_file(path)) for path in sorted(given.glob("[!_]*.py"))]
    if given.is_file() and given.suffix == ".py":
        return [(given.stem, _import_file(given))]
    if "/" in source or source.startswith(".") or source.endswith(".py") or given.is_file():
        seen = "another file" if given.is_file() else "no such file or folder"
        raise ConfigError(
            f"--recipes {source}: expected {SOURCES}, saw {seen}: check the path, which starts "
            "where the command does"
        )
    try:
        return _package_modules(source)
    except Exception as error:  # whatever a user's module raises
        raise ConfigError(
            f"--recipes {source}: expected {SOURCES}, saw {type(error).__name__}: {error}"
        ) from error


@cache
def _package_modules(name: str) -> list[tuple[str, ModuleType]]:
    package = importlib.import_module(name)
    found = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    return [(module, importlib.import_module(f"{name}.{module}")) for module in found]


def _import_file(path: Path) -> ModuleType:
    name = f"roundsmith_recipe_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's module raises
        raise ConfigError(
            f"{path}: expected a module that can be imported, saw {type(error).__name__}: {error}"
        ) from error
    return module
