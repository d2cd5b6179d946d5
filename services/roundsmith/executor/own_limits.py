"""The limits of one cell: the item's, replaced by what its program and its test say themselves."""

from dataclasses import fields, replace
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.types import ExecuteItem, Limits, OwnLimits, Program, Test

_MOST_WALL_FACTOR = 10_000
_MOST_BYTES, _MOST_PROCESSES = 2**60, 2**20
"""Far above what any machine has, and what the kernel takes."""


def resolved(limits: Limits, program: Program, test: Test) -> Limits:
    """The item's limits with those of the program and the test in their place; where both say one,
    the smaller.
    """
    said = [own for own in (program.limits, test.limits) if own is not None]
    if not said:
        return limits
    changed: dict[str, Any] = {}
    for field in fields(OwnLimits):
        values = [v for own in said if (v := getattr(own, field.name)) is not None]
        if values:
            changed[field.name] = min(values)
    return replace(limits, **changed)


def check_limits(item: ExecuteItem) -> None:
    """Raises ConfigError for limits that nothing can run in."""
    _check(item.limits, f"item {item.item_id}")
    for program in item.programs:
        if program.limits is not None:
            _check_own(program.limits, f"program {program.code_id}")
    for test in item.tests:
        if test.limits is not None:
            _check_own(test.limits, f"test {test.test_id}")


def _check_own(own: OwnLimits, whose: str) -> None:
    said = {f.name: v for f in fields(own) if (v := getattr(own, f.name)) is not None}
    _check(replace(Limits(), **said), whose)


def _check(limits: Limits, whose: str) -> None:
    if not (0 < limits.cpu_s <= 3600 and 1 <= limits.wall_factor <= _MOST_WALL_FACTOR):
        raise ConfigError(
            f"{whose}: limits {limits}: expected 0 < cpu_s <= 3600 and 1 <= wall_factor <= "
            f"{_MOST_WALL_FACTOR}"
        )
    sizes = limits.memory_bytes, limits.output_bytes, limits.file_bytes
    if min(sizes) < 0 or max(sizes) > _MOST_BYTES:
        raise ConfigError(f"{whose}: limits {limits}: expected sizes from 0 to {_MOST_BYTES}")
    if not 1 <= limits.processes <= _MOST_PROCESSES:
        raise ConfigError(f"{whose}: limits {limits}: expected 1 to {_MOST_PROCESSES} processes")
